//! TLS for clients of the gateway: devices and callers of the API.

mod tickets;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use tickets::KeptTickets;
pub use tickets::Tickets;

/// The TLS configuration of clients. A clone shares it.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// The servers that a client trusts.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// Those whose certificate an authority in this PEM file has signed.
    Authorities(&'a Path),
    /// All servers, with any certificate.
    AnyServer,
}

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("cannot read {path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of reading it.
        source: pem::Error,
    },
    /// rustls does not accept a certificate or key.
    #[error("a certificate or key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl Tls {
    /// TLS 1.2 and 1.3. `client` is the certificate chain and the key (PEM files) for servers that request one.
    ///
    /// # Errors
    /// If a file cannot be read, or rustls does not accept its content.
    pub fn new(trust: Trust<'_>, client: Option<(&Path, &Path)>, tickets: Tickets) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match trust {
            Trust::Authorities(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    roots.add(authority)?;
                }
                builder.with_root_certificates(roots)
            }
            Trust::AnyServer => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
            }
        };
        let mut config = match client {
            Some((certificate, key)) => {
                let file = |source| TlsError::File { path: key.to_owned(), source };
                let key = PrivateKeyDer::from_pem_file(key).map_err(file)?;
                builder.with_client_auth_cert(certificates(certificate)?, key)?
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = match tickets {
            Tickets::Kept => Resumption::store(Arc::new(KeptTickets::new())),
            Tickets::Ignored => Resumption::disabled(),
        };
        Ok(Self(Arc::new(config)))
    }

    /// Does the TLS handshake over a connection to the server with this name (`host` or `host:port`).
    ///
    /// # Errors
    /// If the handshake fails or the connection ends.
    pub async fn connect(&self, stream: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(without_port(host).to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// The host without its port, and an IPv6 address without its brackets.
fn without_port(host: &str) -> &str {
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => host,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |source| TlsError::File { path: path.to_owned(), source };
    CertificateDer::pem_file_iter(path).map_err(file)?.collect::<Result<_, _>>().map_err(file)
}

/// Accepts any certificate. The signature of the handshake is still checked against the certificate's key.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_server_is_its_host_without_the_port() {
        for (host, name) in
            [("h:1", "h"), ("h", "h"), ("127.0.0.1:1", "127.0.0.1"), ("[::1]:1", "::1"), ("[::1]", "::1")]
        {
            assert_eq!(without_port(host), name);
        }
    }
}
