//! TLS of the servers: certificates, versions and client authorities, read from files and read again when these change.
//!
//! `Tls` is one server's; a connection takes what is current when it begins and stays with it. The sessions themselves
//! are in `socket.rs`: they keep no buffers of their own, as hundreds of thousands of them are idle.
//! Nothing here extracts a secret from rustls or writes a record by itself.

mod certificates;
mod handshake;
mod pending;
mod reload;
mod socket;
mod version;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use certificates::Certificates;
pub(super) use handshake::{HandshakeError, accept};
pub(super) use reload::reload;
pub(super) use socket::TlsSocket;
pub use version::{Version, Versions};

/// The one protocol spoken inside (ALPN, RFC 7301): a client that insists on another is refused.
const HTTP_1_1: &[u8] = b"http/1.1";

/// A server's TLS, as its section of the configuration has it (contract §9.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The server's certificates with their keys (`certificateFile`, `keyFile`); which one a client gets depends on the
    /// name that it asks for. Never empty.
    pub pairs: Vec<Pair>,
    /// The authorities of which every client must have a certificate (`clientCACertFile`).
    pub client_ca: Option<PathBuf>,
    /// The versions of the protocol (`minVersion`, `maxVersion`).
    pub versions: Versions,
}

/// The files, in PEM, of a certificate chain and of its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Which key of a server's section is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `certificateFile`
    Certificate,
    /// `keyFile`
    PrivateKey,
    /// `clientCACertFile`
    ClientCa,
}

/// What the files hold cannot be used. It shows paths, never contents.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", .path.display())]
pub struct TlsError {
    /// The key that names the file.
    pub key: Key,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It is not there, or must not be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is not PEM, or has nothing of what is looked for.
    #[error("expected {0}, PEM")]
    NotFound(&'static str),
    /// It can be read, but not used.
    #[error("cannot be used: {0}")]
    Unusable(rustls::Error),
    /// The private key is another certificate's.
    #[error("is not the private key of the certificate in {}", .0.display())]
    Mismatch(PathBuf),
    /// The authorities cannot be used to check a client.
    #[error("cannot be used: {0}")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
}

/// One server's TLS at work.
pub(super) struct Tls {
    config: Config,
    current: ArcSwap<ServerConfig>,
    /// What the files held when they were read for the first time.
    loaded: Option<reload::Fingerprint>,
}

impl Config {
    /// Reads the files and puts together what connections need.
    ///
    /// # Errors
    /// [`TlsError`], for the first file that cannot be used.
    pub fn load(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let certificates = Certificates::load(&self.pairs, &provider)?;
        let verifier = self.client_verifier(&provider)?;
        let is_mutual = verifier.offer_client_auth();
        let unusable = |error| self.fault(Problem::Unusable(error));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions.supported())
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        // Sessions are resumed by tickets, which the client keeps: nothing here grows with the number of clients.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if is_mutual {
            // A ticket would let a client back in whose certificate has expired, or whose authority was removed.
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(unusable)?;
            config.send_tls13_tickets = 1;
        }
        Ok(config)
    }

    /// Whether clients have to show a certificate.
    #[must_use]
    pub fn is_mutual(&self) -> bool {
        self.client_ca.is_some()
    }

    fn client_verifier(
        &self,
        provider: &Arc<rustls::crypto::CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let Some(path) = &self.client_ca else { return Ok(WebPkiClientVerifier::no_client_auth()) };
        let mut roots = RootCertStore::empty();
        let fault = |problem| TlsError { key: Key::ClientCa, path: path.clone(), problem };
        for authority in certificates_in(path).map_err(fault)? {
            roots.add(authority).map_err(|error| fault(Problem::Unusable(error)))?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| fault(error.into()))
    }

    /// Every file that is read, in a fixed order.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs = self.pairs.iter().flat_map(|pair| [pair.certificate.as_path(), pair.key.as_path()]);
        pairs.chain(self.client_ca.as_deref())
    }

    /// A fault of no file in particular is the first certificate's.
    fn fault(&self, problem: Problem) -> TlsError {
        let path = self.pairs.first().map(|pair| pair.certificate.clone()).unwrap_or_default();
        TlsError { key: Key::Certificate, path, problem }
    }
}

impl Key {
    /// Its name in a server's section.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Key::Certificate => "certificateFile",
            Key::PrivateKey => "keyFile",
            Key::ClientCa => "clientCACertFile",
        }
    }
}

impl Tls {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(super) fn load(config: Config) -> Result<Arc<Self>, TlsError> {
        // Before: what is written in between is a change.
        let loaded = reload::fingerprint(&config);
        let current = ArcSwap::from_pointee(config.load()?);
        Ok(Arc::new(Self { config, current, loaded }))
    }

    /// What a connection that begins now needs.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The certificates in a file, at least one.
fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let pem = fs::read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or(Problem::NotFound("a certificate"))
}
