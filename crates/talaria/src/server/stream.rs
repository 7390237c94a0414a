//! An accepted socket with its deadlines, under the HTTP connection.
//!
//! hyper has one timeout for headers, which also ends idle connections; four are promised (contract §9). So the
//! reading and writing deadlines live here, at the socket, where they also see a reader that takes nothing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::{Config, Permit};

/// A socket under HTTP. Reads fail with `TimedOut` when a request is late, writes when nobody takes the response.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    permit: Permit,
    timeouts: Timeouts,
    phase: Arc<Phase>,
    reading: Deadline,
    writing: Deadline,
}

#[derive(Clone, Copy, Debug)]
struct Timeouts {
    header: Option<Duration>,
    idle: Option<Duration>,
    write: Option<Duration>,
}

/// What the connection is waiting for. The stream sees a request begin, the service sees it arrive and be answered.
#[derive(Debug, Default)]
pub(super) struct Phase {
    now: AtomicU8,
    /// The connection's task, if it began to wait while a request was being answered: no deadline runs then, and
    /// hyper does not look at the socket again on its own once the answer is written.
    reader: AtomicWaker,
}

/// Lasts from a request's arrival until its response's body is gone.
#[derive(Debug)]
pub(super) struct Answering(Arc<Phase>);

const HEADER: u8 = 0;
const ANSWER: u8 = 1;
const NEXT: u8 = 2;

/// A point in time at which waiting ends; costs nothing until something has to wait.
#[derive(Debug, Default)]
struct Deadline {
    /// The phase it was set for.
    phase: u8,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Phase {
    /// A request has arrived; dropping the guard says that it is answered.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        self.set(ANSWER);
        Answering(Arc::clone(self))
    }

    fn get(&self) -> u8 {
        self.now.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.now.store(phase, Ordering::Relaxed);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.set(NEXT);
        self.0.reader.wake();
    }
}

impl Stream {
    pub(super) fn new(socket: TcpStream, permit: Permit, config: &Config) -> Self {
        let timeouts = Timeouts {
            header: config.read_header_timeout,
            idle: config.idle_timeout,
            write: config.write_timeout,
        };
        let phase = Arc::default();
        Self { socket, permit, timeouts, phase, reading: Deadline::default(), writing: Deadline::default() }
    }

    pub(super) fn phase(&self) -> Arc<Phase> {
        Arc::clone(&self.phase)
    }

    pub(super) fn into_parts(self) -> (TcpStream, Permit) {
        (self.socket, self.permit)
    }

    /// Ends a wait for the client to read at its deadline.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing.clear();
            return written;
        }
        ready!(self.writing.poll(cx, ANSWER, self.timeouts.write));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let read = Pin::new(&mut this.socket).poll_read(cx, buf);
        let phase = this.phase.get();
        if read.is_ready() {
            if phase == NEXT {
                this.phase.set(HEADER);
                this.reading.clear();
            }
            return read;
        }
        let timeout = match phase {
            HEADER => this.timeouts.header,
            // The last bytes of a response may still be waiting for their reader.
            NEXT if !this.writing.is_set() => this.timeouts.idle,
            _ => {
                this.phase.reader.register(cx.waker());
                if this.phase.get() != phase {
                    cx.waker().wake_by_ref();
                }
                None
            }
        };
        ready!(this.reading.poll(cx, phase, timeout));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl Deadline {
    /// Ready once `timeout` has passed since the first call in this phase; never without a timeout.
    fn poll(&mut self, cx: &mut Context<'_>, phase: u8, timeout: Option<Duration>) -> Poll<()> {
        let Some(timeout) = timeout else {
            self.clear();
            return Poll::Pending;
        };
        match &mut self.sleep {
            Some(_) if self.phase == phase => {}
            Some(sleep) => sleep.as_mut().reset(Instant::now() + timeout),
            None => self.sleep = Some(Box::pin(tokio::time::sleep(timeout))),
        }
        self.phase = phase;
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    fn is_set(&self) -> bool {
        self.sleep.is_some()
    }

    fn clear(&mut self) {
        self.sleep = None;
    }
}
