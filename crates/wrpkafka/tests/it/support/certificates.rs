//! Authorities and certificates, made anew for each run.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// An authority that signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key.
pub(crate) struct Identity {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn certificate(&self) -> &rcgen::Certificate {
        self.0.as_ref()
    }

    /// A certificate for a server or a client of these host names or addresses.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.sign(names, |_| {})
    }

    /// A certificate that was valid until 2020.
    pub(crate) fn issue_expired(&self, names: &[&str]) -> Identity {
        self.sign(names, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1))
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names.concat());
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Identity { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }

    /// Writes the authority's own certificate, for those who trust it.
    pub(crate) fn write(&self, file: &Path) {
        replace(file, &self.0.pem());
    }
}

impl Identity {
    /// Writes certificate and key into one file, as Kafka's PEM keystores have them.
    pub(crate) fn write_keystore(&self, file: &Path) {
        replace(file, &format!("{}{}", self.key.serialize_pem(), self.certificate.pem()));
    }

    /// Writes certificate and key into a file each, as clients have them.
    pub(crate) fn write(&self, certificate: &Path, key: &Path) {
        replace(key, &self.key.serialize_pem());
        replace(certificate, &self.certificate.pem());
    }
}

/// The file changes at one moment, as when certificates are rotated.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}
