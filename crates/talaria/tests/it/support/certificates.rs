//! An authority of the test's own, and what it signs, in a folder that goes with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList, CertificateRevocationListParams,
    CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use talaria::server::tls;

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    /// How many certificates it has issued; the last one has this serial number.
    issued: AtomicU64,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::for_names(&[])
    }

    /// The same, whose own certificate is for these names.
    pub(crate) fn for_names(names: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("pki-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).expect("cargo's folder for tests can be written to");
        let mut params = CertificateParams::new(owned(names)).expect("good names");
        params.distinguished_name.push(DnType::CommonName, "an authority of tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let authority = Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("signs itself"),
            folder,
            issued: AtomicU64::new(0),
        };
        fs::write(authority.file("ca.pem"), authority.issuer.pem()).expect("the folder can be written to");
        authority
    }

    /// The path of a file in its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The file of its own certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// Its own certificate and key, as PEM: a self-signed certificate.
    pub(crate) fn own(&self) -> (String, String) {
        (self.issuer.pem(), self.issuer.key().serialize_pem())
    }

    /// A certificate for these names, and its key, as PEM.
    pub(crate) fn issue(&self, names: &[&str]) -> (String, String) {
        self.issue_to("a certificate of tests", names)
    }

    /// The same, whose subject has this common name.
    pub(crate) fn issue_to(&self, common_name: &str, names: &[&str]) -> (String, String) {
        self.sign(common_name, CertificateParams::new(owned(names)).expect("good names"))
    }

    /// The same, which ends when this year begins.
    pub(crate) fn issue_until(&self, year: i32, names: &[&str]) -> (String, String) {
        let mut params = CertificateParams::new(owned(names)).expect("good names");
        params.not_after = date_time_ymd(year, 1, 1);
        self.sign("a certificate of tests", params)
    }

    fn sign(&self, common_name: &str, mut params: CertificateParams) -> (String, String) {
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.serial_number = Some((self.issued.fetch_add(1, Ordering::Relaxed) + 1).into());
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("is signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// The serial number of the certificate that was issued last.
    pub(crate) fn last_serial(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    /// A list that revokes the certificates with these serial numbers. Its time is long over.
    pub(crate) fn revocation_list(&self, revoked: &[u64]) -> CertificateRevocationList {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2020, 2, 1),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("is signed")
    }

    /// The same in files `<name>.pem` and `<name>.key`; over those that are there, certificate first.
    pub(crate) fn pair(&self, name: &str, names: &[&str]) -> tls::Pair {
        let pair = tls::Pair {
            certificate: self.file(&format!("{name}.pem")),
            key: self.file(&format!("{name}.key")),
        };
        let (certificate, key) = self.issue(names);
        fs::write(&pair.certificate, certificate).expect("the folder can be written to");
        fs::write(&pair.key, key).expect("the folder can be written to");
        pair
    }

    /// What a server with this certificate needs whose clients have to show one of this authority.
    pub(crate) fn server_with_clients(&self, (certificate, key): &(String, String)) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(clients.build().expect("a verifier"))
            .with_single_cert(chain, key)
            .expect("a certificate with its key")
    }

    /// What a client needs that trusts this authority; it shows the certificate if it has one.
    pub(crate) fn client(
        &self,
        certificate: Option<&(String, String)>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        self.client_of(rustls::crypto::aws_lc_rs::default_provider(), certificate, versions)
    }

    /// The same, with the suites of this provider.
    pub(crate) fn client_of(
        &self,
        provider: CryptoProvider,
        certificate: Option<&(String, String)>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        match certificate {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
                config.with_client_auth_cert(chain, key).expect("a certificate with its key")
            }
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
