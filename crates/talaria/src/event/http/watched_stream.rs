//! A byte stream that tells whether anything was written to it, and whether its peer has closed it.
//!
//! A request may be repeated at once only if nothing of it was sent (contract §14.31), and only the stream knows that. Whether
//! an idle connection was closed is known to the system before it is known to tokio's reactor.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::Stream;

/// A stream with its watch.
pub(super) struct WatchedStream {
    stream: Box<dyn Stream>,
    watch: Arc<Watch>,
}

/// What the owner of a connection and its stream tell each other.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Set by every write that accepts bytes.
    pub(super) has_written: AtomicBool,
    /// Asks the next read that has no bytes to ask the system, too. Nothing is expected to arrive: if something has, it is
    /// the end of the connection, or the peer does not keep to HTTP; either way the stream reports its end.
    pub(super) probes: AtomicBool,
}

impl WatchedStream {
    pub(super) fn new(stream: Box<dyn Stream>, watch: Arc<Watch>) -> Self {
        Self { stream, watch }
    }

    fn watch(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.watch.has_written.store(true, Relaxed);
        }
        written
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_pending() && self.watch.probes.load(Relaxed) && self.stream.has_input() {
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
