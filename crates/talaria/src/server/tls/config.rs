//! The TLS settings of one server, and the rustls configuration that they make.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer, cipher_suite};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite};

use super::certificates::{self, Certificates};
use super::files::{FileError, Key, Pair, TlsError, certificates_in, revocation_lists_in};
use super::tickets::{EndingTickets, ProvingClients};
use super::version::Versions;
use crate::trust;

/// The only protocol offered (ALPN, RFC 7301). The handshake with a client that requires another one fails.
const HTTP_1_1: &[u8] = b"http/1.1";

/// The cipher suites, the preferred ones first. A handshake hashes much, and processors have instructions for SHA-256 but not
/// for SHA-384, so suites with SHA-256 come first. As in Go's server, AES-128 is the first of all.
const CIPHER_SUITES: [SupportedCipherSuite; 9] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// The TLS settings of a server's section (contract §9.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The server's certificates with their keys (`certificateFile`, `keyFile`). The name that a client asks for decides
    /// which one it gets. Never empty.
    pub pairs: Vec<Pair>,
    /// The authorities that every client's certificate has to come from (`clientCACertFile`).
    pub client_ca: Option<PathBuf>,
    /// Lists of revoked client certificates (`clientCRLFile`). If there are any, each certificate of a client's chain has to
    /// be covered by one.
    pub client_crls: Vec<PathBuf>,
    /// The versions of the protocol (`minVersion`, `maxVersion`).
    pub versions: Versions,
}

/// What the files of a server make.
pub(super) struct Loaded {
    /// For the connections.
    pub(super) config: Arc<ServerConfig>,
    /// When the first certificate ends, in seconds since 1970.
    pub(super) not_after: Option<i64>,
}

impl Config {
    /// These certificates, for clients without certificates, in all versions.
    #[must_use]
    pub fn of(pairs: Vec<Pair>) -> Self {
        Self { pairs, client_ca: None, client_crls: Vec::new(), versions: Versions::default() }
    }

    /// Reads the files and builds the configuration that connections use.
    ///
    /// # Errors
    /// [`TlsError`], for the first file that cannot be used.
    pub(super) fn load(&self) -> Result<Loaded, TlsError> {
        let provider = Arc::new(provider());
        let certificates = Certificates::load(&self.pairs, &provider)?;
        let not_after = certificates.not_after();
        let verifier = self.client_verifier(&provider)?;
        let is_mutual = verifier.offer_client_auth();
        let unusable = |error| self.fault(FileError::Unusable(error));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions.supported())
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        config.ignore_client_order = true;
        // Sessions are resumed by tickets, which the client keeps, so that no memory grows with the number of clients.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // The keys are new with each configuration: no ticket outlives the trust in what was checked for it.
        let keys = Ticketer::new().map_err(unusable)?;
        config.ticketer = if is_mutual {
            Arc::new(EndingTickets { keys, clock: Arc::clone(&config.time_provider) })
        } else {
            keys
        };
        // A client uses a ticket once and gets the next one with it, so that one is enough.
        config.send_tls13_tickets = 1;
        Ok(Loaded { config: Arc::new(config), not_after })
    }

    /// Everything that is wrong with the files.
    #[must_use]
    pub fn check(&self) -> Vec<TlsError> {
        let provider = Arc::new(provider());
        let mut faults: Vec<_> =
            self.pairs.iter().flat_map(|pair| certificates::check(pair, &provider)).collect();
        if let Some(path) = &self.client_ca {
            let fault = |problem| TlsError { key: Key::ClientCa, path: path.clone(), problem };
            faults.extend(certificates_in(path).map_err(fault).err());
        }
        for path in &self.client_crls {
            let fault = |problem| TlsError { key: Key::ClientCrl, path: path.clone(), problem };
            faults.extend(revocation_lists_in(path).map_err(fault).err());
        }
        if faults.is_empty() {
            // What only shows when all of them are put together.
            faults.extend(self.load().err());
        }
        faults
    }

    /// Whether clients have to present a certificate.
    #[must_use]
    pub fn is_mutual(&self) -> bool {
        self.client_ca.is_some()
    }

    fn client_verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let Some(path) = &self.client_ca else { return Ok(WebPkiClientVerifier::no_client_auth()) };
        let mut roots = RootCertStore::empty();
        let fault = |problem| TlsError { key: Key::ClientCa, path: path.clone(), problem };
        let authorities = certificates_in(path).map_err(fault)?;
        for authority in &authorities {
            roots.add(authority.clone()).map_err(|error| fault(FileError::Unusable(error)))?;
        }
        let roots = Arc::new(roots);
        let builder =
            || WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));
        let mut lists = Vec::new();
        for path in &self.client_crls {
            let fault = |problem| TlsError { key: Key::ClientCrl, path: path.clone(), problem };
            let in_file = revocation_lists_in(path).map_err(fault)?;
            // Alone first, so that the error names its file.
            builder().with_crls(in_file.clone()).build().map_err(|error| fault(error.into()))?;
            lists.extend(in_file);
        }
        // A certificate that no list covers is rejected. A list stays in use beyond its nextUpdate: one that comes late must
        // not lock out every device.
        builder()
            .with_crls(lists)
            .build()
            .map(|webpki| Arc::new(ProvingClients(trust::client_verifier(authorities, webpki))) as _)
            .map_err(|error| fault(error.into()))
    }

    /// The files that are read, always in the same order.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs = self.pairs.iter().flat_map(|pair| [pair.certificate.as_path(), pair.key.as_path()]);
        pairs.chain(self.client_ca.as_deref()).chain(self.client_crls.iter().map(PathBuf::as_path))
    }

    /// An error that concerns no file in particular is reported for the first certificate.
    fn fault(&self, problem: FileError) -> TlsError {
        let path = self.pairs.first().map(|pair| pair.certificate.clone()).unwrap_or_default();
        TlsError { key: Key::Certificate, path, problem }
    }
}

fn provider() -> CryptoProvider {
    CryptoProvider { cipher_suites: CIPHER_SUITES.to_vec(), ..aws_lc_rs::default_provider() }
}
