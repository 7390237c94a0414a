//! An accepted socket with its deadlines, under the HTTP connection.
//!
//! hyper has one timeout for headers, which also ends idle connections; four are promised (contract §9.7). So the
//! reading and writing deadlines live here, at the socket, where they also see a reader that takes nothing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use talaria_protocol::smuggling::Ambiguity;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::transport::Transport;
use super::{Config, Failure, Identity, Permit, refusal};

/// How long a client may take to read why it was refused. To close while it still sends would have the kernel reset
/// the connection, which can overtake the answer.
const LINGER: Duration = Duration::from_millis(500);

/// A connection under HTTP. Reads fail with `TimedOut` when a request is late, writes when nobody takes the response.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    permit: Permit,
    timeouts: Timeouts,
    phase: Arc<Phase>,
    reading: Deadline,
    writing: Deadline,
    /// What the header that is coming in looks like.
    ambiguity: Ambiguity,
    identity: Arc<Identity>,
    /// Set when hyper refuses what it cannot read: our answer, and how much of it is written.
    refusal: Option<(Vec<u8>, usize)>,
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
    /// Whether a request was answered and its answer is not known to be written.
    is_owing: AtomicBool,
    /// Whether the last header gave two lengths.
    is_ambiguous: AtomicBool,
}

/// Lasts from a request's arrival until its response's body is gone.
#[derive(Debug)]
pub(super) struct Answering(Arc<Phase>);

const HEADER: u8 = 0;
const ANSWER: u8 = 1;
const NEXT: u8 = 2;
const REFUSED: u8 = 3;

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
        self.is_owing.store(true, Ordering::Relaxed);
        Answering(Arc::clone(self))
    }

    fn get(&self) -> u8 {
        self.now.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.now.store(phase, Ordering::Relaxed);
    }
}

impl Answering {
    /// Whether the request's header gives two lengths.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.0.is_ambiguous.load(Ordering::Relaxed)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.set(NEXT);
        self.0.reader.wake();
    }
}

impl Stream {
    /// A connection whose first header has to be there at `first_header_by`.
    pub(super) fn new(
        transport: Transport,
        permit: Permit,
        config: &Config,
        identity: Arc<Identity>,
        first_header_by: Option<Instant>,
    ) -> Self {
        let timeouts = Timeouts {
            header: config.read_header_timeout,
            idle: config.idle_timeout,
            write: config.write_timeout,
        };
        let reading = Deadline {
            phase: HEADER,
            sleep: first_header_by.map(|by| Box::pin(tokio::time::sleep_until(by))),
        };
        Self {
            transport,
            permit,
            timeouts,
            phase: Arc::default(),
            reading,
            writing: Deadline::default(),
            ambiguity: Ambiguity::default(),
            identity,
            refusal: None,
        }
    }

    pub(super) fn phase(&self) -> Arc<Phase> {
        Arc::clone(&self.phase)
    }

    pub(super) fn into_parts(self) -> (Transport, Permit) {
        (self.transport, self.permit)
    }

    /// Looks at what came in, as far as it belongs to a header.
    fn look(&mut self, phase: u8, bytes: &[u8]) {
        if phase == NEXT {
            self.phase.set(HEADER);
            self.reading.clear();
            self.ambiguity = Ambiguity::default();
        }
        if phase != ANSWER {
            self.ambiguity.scan(bytes);
            self.phase.is_ambiguous.store(self.ambiguity.is_found(), Ordering::Relaxed);
        }
    }

    /// If what is to be written is hyper's own refusal: writes ours in its place. Every answer of ours is owed until it
    /// is flushed; what hyper writes without owing one is a refusal, and the last that it writes.
    fn poll_refuse(&mut self, cx: &mut Context<'_>, head: &[u8]) -> Option<Poll<io::Result<()>>> {
        if self.refusal.is_none() {
            if self.phase.get() == ANSWER || self.phase.is_owing.load(Ordering::Relaxed) {
                return None;
            }
            let status = refusal::status_of(head)?;
            let answer = refusal::response(status, &refusal::text(status), &self.identity);
            self.refusal = Some((answer, 0));
        }
        let (answer, written) = self.refusal.as_mut()?;
        while *written < answer.len() {
            match Pin::new(&mut self.transport).poll_write(cx, &answer[*written..]) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(count)) => *written += count,
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        Some(Poll::Ready(Ok(())))
    }

    /// Says that no more comes, and waits a moment for the client to hear it.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.transport).poll_shutdown(cx))?;
        loop {
            let mut unwanted = [0; 1024];
            let mut unwanted = ReadBuf::new(&mut unwanted);
            match Pin::new(&mut self.transport).poll_read(cx, &mut unwanted) {
                Poll::Ready(Ok(())) if !unwanted.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return self.reading.poll(cx, REFUSED, Some(LINGER)).map(Ok),
            }
        }
    }

    /// Ends a wait for the client to read at its deadline.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing.clear();
            return written;
        }
        ready!(self.writing.poll(cx, ANSWER, self.timeouts.write));
        self.permit.failed(Failure::SlowReader);
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
        let before = buf.filled().len();
        let read = Pin::new(&mut this.transport).poll_read(cx, buf);
        let phase = this.phase.get();
        if read.is_ready() {
            this.look(phase, &buf.filled()[before..]);
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
        if phase == HEADER {
            this.permit.failed(Failure::SlowHeader);
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self.poll_refuse(cx, buf) {
            Some(refused) => refused.map_ok(|()| buf.len()),
            None => Pin::new(&mut self.transport).poll_write(cx, buf),
        };
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let head: &[u8] = bufs.first().map_or(&[], |head| head);
        let written = match self.poll_refuse(cx, head) {
            Some(refused) => refused.map_ok(|()| bufs.iter().map(|buf| buf.len()).sum()),
            None => Pin::new(&mut self.transport).poll_write_vectored(cx, bufs),
        };
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refusal.is_some() {
            return self.poll_linger(cx);
        }
        ready!(Pin::new(&mut self.transport).poll_flush(cx))?;
        if self.phase.get() != ANSWER {
            self.phase.is_owing.store(false, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
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
