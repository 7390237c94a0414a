//! The TLS handshake of one connection. It is a future of its own, so that its memory is freed when it ends.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use rustls::{CertificateError, Error, ServerConfig};
use tokio::net::TcpStream;

use super::TlsSocket;
use super::tickets::Proof;
use crate::server::ConnectionFailure;

/// The first byte of every TLS connection: a handshake record (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::server) enum HandshakeError {
    /// The client does not speak TLS.
    #[error("not TLS")]
    NotTls {
        /// The socket, for a response, if the client seems to speak HTTP.
        http: Option<TcpStream>,
    },
    /// The protocol failed.
    #[error(transparent)]
    Tls(Error),
    /// The socket failed or was closed.
    #[error(transparent)]
    Io(io::Error),
}

/// Negotiates a session with a client that has just connected.
///
/// # Errors
/// [`HandshakeError`]. The alert, if there is one, has been sent.
pub(in crate::server) async fn accept(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
) -> Result<Box<TlsSocket>, HandshakeError> {
    let mut first = [0];
    match tcp.peek(&mut first).await? {
        0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        _ if first[0] != HANDSHAKE => {
            let http = first[0].is_ascii_uppercase().then_some(tcp);
            return Err(HandshakeError::NotTls { http });
        }
        _ => {}
    }
    let mut socket = TlsSocket::new(tcp, config).map_err(HandshakeError::Tls)?;
    let mut proof = Proof::default();
    poll_fn(|cx| proof.during(|| socket.poll_handshake(cx))).await?;
    Ok(socket)
}

impl HandshakeError {
    pub(in crate::server) fn failure(&self) -> ConnectionFailure {
        match self {
            Self::NotTls { .. } => ConnectionFailure::NotTls,
            Self::Io(_) => ConnectionFailure::HandshakeAborted,
            Self::Tls(Error::NoCertificatesPresented) => ConnectionFailure::NoCertificate,
            Self::Tls(Error::InvalidCertificate(
                CertificateError::Revoked | CertificateError::UnknownRevocationStatus,
            )) => ConnectionFailure::RevokedCertificate,
            Self::Tls(Error::InvalidCertificate(_)) => ConnectionFailure::BadCertificate,
            Self::Tls(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => {
                ConnectionFailure::Incompatible
            }
            Self::Tls(Error::AlertReceived(_)) => ConnectionFailure::RefusedByClient,
            Self::Tls(_) => ConnectionFailure::HandshakeFailed,
        }
    }
}

impl From<io::Error> for HandshakeError {
    /// Errors of the TLS session come wrapped in an I/O error ([`TlsSocket`]).
    fn from(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => Self::Tls(error),
            Err(error) => Self::Io(error),
        }
    }
}
