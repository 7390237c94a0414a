//! Takes the socket out of a connection that was upgraded, so that nothing of HTTP stays with it.

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

/// An upgraded connection.
#[derive(Debug)]
pub struct Taken {
    /// The socket.
    pub socket: Socket,
    /// The bytes that followed the request and were already read; usually none.
    pub read_ahead: Bytes,
}

/// The socket of an upgraded connection. It counts as one of its server's connections until it is dropped. HTTP's timeouts
/// do not apply any more.
#[derive(Debug)]
pub struct Socket {
    inner: Transport,
    _permit: Permit,
}

/// Takes the socket out of an upgraded connection and frees HTTP's buffers.
///
/// # Errors
/// Gives the connection back if no [`Server`](super::Server) accepted it.
pub fn take(upgraded: Upgraded) -> Result<Taken, Upgraded> {
    let parts = upgraded.downcast::<TokioIo<Stream>>()?;
    let (inner, permit) = parts.io.into_inner().into_parts();
    // A copy, because the original keeps the whole buffer that the request was read into.
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
