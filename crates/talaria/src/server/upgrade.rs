//! The way of a socket from the HTTP connection that it began as to the session that keeps it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Permit;
use super::stream::Stream;
use super::transport::Transport;

/// A connection that has left HTTP behind.
#[derive(Debug)]
pub struct Taken {
    /// The socket.
    pub socket: Socket,
    /// What the client had already sent behind its request; usually nothing.
    pub read_ahead: Bytes,
}

/// An upgraded connection's socket. It counts among its server's connections until it is dropped; HTTP's timeouts
/// are gone.
#[derive(Debug)]
pub struct Socket {
    inner: Transport,
    _permit: Permit,
}

/// Takes the socket out of an upgraded connection, leaving nothing of HTTP's buffers behind.
///
/// # Errors
/// Gives the connection back if it is none that a [`Server`](super::Server) accepted.
pub fn take(upgraded: Upgraded) -> Result<Taken, Upgraded> {
    let parts = upgraded.downcast::<TokioIo<Stream>>()?;
    let (inner, permit) = parts.io.into_inner().into_parts();
    // A copy, since the original holds on to the whole buffer that the request was read into.
    let read_ahead =
        if parts.read_buf.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(&parts.read_buf) };
    Ok(Taken { socket: Socket { inner, _permit: permit }, read_ahead })
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
