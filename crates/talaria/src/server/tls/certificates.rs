//! The certificates of a server, and the choice of one for each client.

use std::fs;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use talaria_protocol::x509::Certificate;

use super::files::{FileError, Key, Pair, TlsError, certificates_in};

/// All certificates of a server, in the order of the configuration; at least one.
#[derive(Debug)]
pub(super) struct Certificates(Vec<Arc<CertifiedKey>>);

impl Certificates {
    /// Reads every pair.
    ///
    /// # Errors
    /// If a file cannot be used or a key does not belong to its certificate.
    pub(super) fn load(pairs: &[Pair], provider: &CryptoProvider) -> Result<Self, TlsError> {
        pairs.iter().map(|pair| load(pair, provider).map(Arc::new)).collect::<Result<_, _>>().map(Self)
    }

    /// When the first of them ends, of chains the first of each chain: in seconds since 1970. `None` if no end can be read.
    pub(super) fn not_after(&self) -> Option<i64> {
        let ends = |key: &Arc<CertifiedKey>| {
            key.cert.iter().filter_map(|der| Some(Certificate::read(der).ok()?.not_after())).min()
        };
        self.0.iter().filter_map(ends).min()
    }

    /// The first certificate for this name whose signature scheme the client supports, otherwise the first with such a
    /// scheme, otherwise the first of all: as the Go gateway chooses.
    fn choose(&self, hello: &ClientHello<'_>) -> Option<&Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let supported = || self.0.iter().filter(|key| key.key.choose_scheme(schemes).is_some());
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| supported().find(|key| is_valid_for(key, &name)));
        named.or_else(|| supported().next()).or_else(|| self.0.first())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self.0.as_slice() {
            [only] => Some(Arc::clone(only)),
            _ => self.choose(&hello).cloned(),
        }
    }
}

/// Everything that is wrong with a pair.
pub(super) fn check(pair: &Pair, provider: &CryptoProvider) -> Vec<TlsError> {
    match (load_chain(pair), load_key(pair, provider)) {
        (Ok(_), Ok(_)) => load(pair, provider).err().into_iter().collect(),
        (chain, key) => chain.err().into_iter().chain(key.err()).collect(),
    }
}

fn load(pair: &Pair, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let of_certificate =
        |problem| TlsError { key: Key::Certificate, path: pair.certificate.clone(), problem };
    let of_key = |problem| TlsError { key: Key::PrivateKey, path: pair.key.clone(), problem };
    let chain = load_chain(pair)?;
    let key = load_key(pair, provider)?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(of_key(FileError::Mismatch(pair.certificate.clone()))),
        Err(error) => Err(of_certificate(FileError::Unusable(error))),
    }
}

fn load_chain(pair: &Pair) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |problem| TlsError { key: Key::Certificate, path: pair.certificate.clone(), problem };
    certificates_in(&pair.certificate).map_err(fault)
}

fn load_key(pair: &Pair, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, TlsError> {
    let fault = |problem| TlsError { key: Key::PrivateKey, path: pair.key.clone(), problem };
    let pem = fs::read(&pair.key).map_err(|error| fault(error.into()))?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| fault(FileError::NotFound("an unencrypted private key")))?;
    provider.key_provider.load_private_key(private).map_err(|error| fault(FileError::Unusable(error)))
}

fn is_valid_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let Ok(certificate) = key.end_entity_cert() else { return false };
    ParsedCertificate::try_from(certificate)
        .and_then(|certificate| rustls::client::verify_server_name(&certificate, name))
        .is_ok()
}
