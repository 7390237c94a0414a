//! The way of a socket from the HTTP connection that it began as to the session that keeps it.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Permit;
use super::stream::Stream;

/// A connection that has left HTTP behind.
#[derive(Debug)]
pub struct Taken {
    /// The socket.
    pub socket: TcpStream,
    /// What the client had already sent behind its request; usually nothing.
    pub read_ahead: Bytes,
    /// The connection's place in its server's count: kept as long as the socket.
    pub permit: Permit,
}

/// The upgraded connection is none that a [`Server`](super::Server) accepted.
#[derive(Debug, thiserror::Error)]
#[error("the upgraded connection did not come from one of our servers")]
pub struct Foreign;

/// Takes the socket out of an upgraded connection, leaving nothing of HTTP's buffers behind.
///
/// # Errors
/// [`Foreign`] if the connection is not of this module's making.
pub fn take(upgraded: Upgraded) -> Result<Taken, Foreign> {
    let parts = upgraded.downcast::<TokioIo<Stream>>().map_err(|_| Foreign)?;
    let (socket, permit) = parts.io.into_inner().into_parts();
    // A copy, since the original holds on to the whole buffer that the request was read into.
    let read_ahead =
        if parts.read_buf.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(&parts.read_buf) };
    Ok(Taken { socket, read_ahead, permit })
}
