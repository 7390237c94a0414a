//! The TLS handshake of one connection, in a future of its own: what it needs is gone when it is done.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use rustls::{Error, ServerConfig};
use tokio::net::TcpStream;

use super::TlsSocket;
use crate::server::Failure;

/// The first byte of every TLS connection: a handshake record (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::server) enum HandshakeError {
    /// The client sends something else.
    #[error("not TLS")]
    NotTls {
        /// The socket, for an answer to a client that seems to speak HTTP.
        http: Option<TcpStream>,
    },
    /// The protocol failed.
    #[error(transparent)]
    Tls(Error),
    /// The socket failed, or ended.
    #[error(transparent)]
    Io(io::Error),
}

/// Negotiates a session with a client that has just connected.
///
/// # Errors
/// [`HandshakeError`]; the client has then been told, as far as it listens.
pub(in crate::server) async fn accept(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
) -> Result<TlsSocket, HandshakeError> {
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
    poll_fn(|cx| socket.poll_handshake(cx)).await?;
    Ok(socket)
}

impl HandshakeError {
    /// What it counts as.
    pub(in crate::server) fn failure(&self) -> Failure {
        match self {
            Self::NotTls { .. } => Failure::NotTls,
            Self::Io(_) => Failure::HandshakeAborted,
            Self::Tls(Error::NoCertificatesPresented) => Failure::NoCertificate,
            Self::Tls(Error::InvalidCertificate(_)) => Failure::BadCertificate,
            Self::Tls(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => Failure::Incompatible,
            Self::Tls(Error::AlertReceived(_)) => Failure::RefusedByClient,
            Self::Tls(_) => Failure::HandshakeFailed,
        }
    }
}

impl From<io::Error> for HandshakeError {
    /// The session's own errors come wrapped (`TlsSocket`).
    fn from(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => Self::Tls(error),
            Err(error) => Self::Io(error),
        }
    }
}
