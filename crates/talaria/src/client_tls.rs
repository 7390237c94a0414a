//! TLS to the servers that the operator names, other than event receivers and brokers: Consul, a collector of traces. The files
//! are read for each connection, so that changed ones count.
//!
//! Deliberately absent: the settings of the sections, which `config` reads.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::trust;

/// How connections are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The name in the server's certificate, where it is not the host.
    pub server_name: Option<String>,
    /// The authorities that are trusted in place of the system's: a file, or all files of a folder.
    pub authorities: Option<PathBuf>,
    /// The gateway's own certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Whether the server's certificate is not checked.
    pub accepts_any: bool,
}

/// What connections to one server begin with.
#[derive(Debug)]
pub(crate) struct Tls {
    config: TlsConfig,
    /// Kept, because reading the system's certificates takes tens of milliseconds.
    system: OnceCell<Vec<CertificateDer<'static>>>,
}

impl Tls {
    pub(crate) fn new(config: TlsConfig) -> Self {
        Self { config, system: OnceCell::new() }
    }

    /// The name that the server's certificate must have.
    pub(crate) fn server_name<'a>(&'a self, host: &'a str) -> &'a str {
        self.config.server_name.as_deref().unwrap_or(host)
    }

    /// What a new connection begins with.
    ///
    /// # Errors
    /// A file cannot be used; the text names it.
    pub(crate) async fn config(&self) -> io::Result<Arc<ClientConfig>> {
        let config = self.config.clone();
        let system = match (&config.authorities, config.accepts_any) {
            (None, false) => {
                let load = async || spawn_blocking(|| rustls_native_certs::load_native_certs().certs).await;
                self.system.get_or_try_init(load).await.map_err(io::Error::other)?.clone()
            }
            _ => Vec::new(),
        };
        spawn_blocking(move || client_config(&config, system)).await.map_err(io::Error::other)?.map(Arc::new)
    }
}

/// Whether all files of the settings can be used.
///
/// # Errors
/// The first that cannot; the text names it.
pub(crate) fn check(config: &TlsConfig) -> io::Result<()> {
    if let Some(path) = &config.authorities {
        authorities(path)?;
    }
    match &config.client {
        Some((certificate, key)) => client_certificate(certificate, key).map(drop),
        None => Ok(()),
    }
}

fn client_config(config: &TlsConfig, system: Vec<CertificateDer<'static>>) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = if config.accepts_any {
        Arc::new(AcceptAny(Arc::clone(&provider)))
    } else {
        let trusted = match &config.authorities {
            Some(path) => authorities(path)?,
            None => system,
        };
        trust::server_verifier(trusted, Arc::clone(&provider)).map_err(io::Error::other)?
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match &config.client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let (chain, private) = client_certificate(certificate, key)?;
            builder.with_client_auth_cert(chain, private).map_err(|error| problem(key, &error))
        }
    }
}

/// The certificates of a file, or of all files of a folder.
fn authorities(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let files: Vec<PathBuf> = if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| problem(path, &error))?;
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?
    } else {
        vec![path.to_owned()]
    };
    let mut found = Vec::new();
    for file in files {
        found.extend(certificates(&file)?);
    }
    Ok(found)
}

fn client_certificate(
    certificate: &Path,
    key: &Path,
) -> io::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| problem(key, &error))?;
    Ok((certificates(certificate)?, private))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let content = std::fs::read(path).map_err(|error| problem(path, &error))?;
    let found = trust::certificates_in(&content);
    found.ok_or_else(|| problem(path, &"it has no certificates, expected PEM"))
}

fn problem(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

/// Accepts every certificate (`insecureSkipVerify`).
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
