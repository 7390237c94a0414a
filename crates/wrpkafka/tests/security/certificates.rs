//! Authorities and certificates, made anew for each run.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for a server or a client of these host names or addresses.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.sign(names, |_| {})
    }

    /// One that was valid long ago.
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
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes the authority's own certificate, as who trusts it needs it.
    pub(crate) fn write(&self, file: &Path) {
        replace(file, &self.0.pem());
    }
}

impl Identity {
    /// Writes both into one file, as Kafka has its keystores.
    pub(crate) fn write_keystore(&self, file: &Path) {
        replace(file, &format!("{}{}", self.key, self.certificate));
    }

    /// Writes each into its file, as clients have them.
    pub(crate) fn write(&self, certificate: &Path, key: &Path) {
        replace(key, &self.key);
        replace(certificate, &self.certificate);
    }
}

/// The file changes at one moment, as those who rotate certificates do it.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}
