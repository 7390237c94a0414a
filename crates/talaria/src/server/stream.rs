//! An accepted connection with its deadlines, under the HTTP connection.
//!
//! hyper has one timeout for headers, which also ends idle connections, but there are four to keep (contract §9.7). So the
//! deadlines for reading and writing live here, at the socket, where a client that does not read is noticed, too.
//!
//! hyper also answers by itself to a header that it cannot parse, without the identity headers. This stream replaces that
//! response: whatever hyper writes while no response of ours is owed is such an answer.
//!
//! While a response is stuck because the client does not read, nothing more is read from that client. Otherwise a client
//! that pipelines requests and reads no responses would make hyper keep any number of them.
//!
//! Start reading at `state.rs`; [`Stream`]'s `poll_read` has the deadlines, `poll_write` the replacement.

mod deadline;
mod state;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use talaria_protocol::smuggling::Ambiguity;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::memory::ConnectionMemory;
use super::transport::Transport;
use super::{Config, ConnectionFailure, Identity, Permit, raw_response};
use deadline::{Deadline, Wait};
use state::State;

pub(super) use state::{Answering, SharedState};

/// How long a client may take to read an error response. If the connection were closed while the client still sends, the
/// kernel would reset it, and the reset can overtake the response.
const ERROR_READ_TIMEOUT: Duration = Duration::from_millis(500);

/// How many bytes of a client are read and ignored after an error response, for the same reason (contract §9.7).
const MAX_IGNORED_BYTES: usize = 256 * 1024;

/// A connection under HTTP. Reads fail with `TimedOut` when a request is late, writes when the client does not read.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    permit: Permit,
    timeouts: Timeouts,
    state: Arc<SharedState>,
    reading: Deadline,
    /// The whole response that is stuck.
    writing: Deadline,
    /// The next bytes of it.
    stalled: Deadline,
    output_flow: OutputFlow,
    /// The check of the header that is arriving.
    ambiguity: Ambiguity,
    identity: Arc<Identity>,
    output: Output,
    /// What requests and responses take of the budget, if there is one.
    memory: Option<Arc<ConnectionMemory>>,
}

#[derive(Clone, Copy, Debug)]
struct Timeouts {
    header: Option<Duration>,
    idle: Option<Duration>,
    write: Option<Duration>,
    write_stall: Option<Duration>,
}

/// Whether the client reads what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutputFlow {
    Free,
    /// The socket's buffers are full. Reads are refused since then if one was tried.
    Stuck {
        read_refused: bool,
    },
}

/// What is written to the client.
#[derive(Debug)]
enum Output {
    /// What hyper writes.
    Hyper,
    /// An error response of ours in place of hyper's: the last bytes on this connection.
    Replaced { response: Vec<u8>, written: usize, ignored: usize },
}

impl Stream {
    /// A connection whose first header has to arrive by this time.
    pub(super) fn new(
        transport: Transport,
        permit: Permit,
        config: &Config,
        identity: Arc<Identity>,
        first_header_by: Option<Instant>,
        memory: Option<Arc<ConnectionMemory>>,
    ) -> Self {
        let timeouts = Timeouts {
            header: config.read_header_timeout,
            idle: config.idle_timeout,
            write: config.write_timeout,
            write_stall: config.write_stall_timeout,
        };
        Self {
            transport,
            permit,
            timeouts,
            state: SharedState::new(),
            reading: Deadline::at(Wait::Header, first_header_by),
            writing: Deadline::default(),
            stalled: Deadline::default(),
            output_flow: OutputFlow::Free,
            ambiguity: Ambiguity::default(),
            identity,
            output: Output::Hyper,
            memory,
        }
    }

    pub(super) fn state(&self) -> Arc<SharedState> {
        Arc::clone(&self.state)
    }

    pub(super) fn into_parts(self) -> (Transport, Permit) {
        (self.transport, self.permit)
    }

    /// Takes note of bytes that have arrived, and checks them if they belong to a header.
    fn note_arrival(&mut self, bytes: &[u8]) {
        let (state, begins_request) = self.state.bytes_arrived();
        if begins_request {
            self.reading.clear();
            self.ambiguity = Ambiguity::default();
        }
        if state != State::Answering {
            self.ambiguity.scan(bytes);
            self.state.set_ambiguous(self.ambiguity.is_found());
        }
    }

    /// Writes our error response if what hyper wants to write is one of its own; none if it is not.
    fn poll_replace(&mut self, cx: &mut Context<'_>, head: &[u8]) -> Option<Poll<io::Result<()>>> {
        if matches!(self.output, Output::Hyper) {
            if self.state.get().owes_response() {
                return None;
            }
            let status = raw_response::status_of(head)?;
            let response = raw_response::response(status, &raw_response::text(status), &self.identity);
            self.output = Output::Replaced { response, written: 0, ignored: 0 };
        }
        let Output::Replaced { response, written, .. } = &mut self.output else { return None };
        while *written < response.len() {
            match Pin::new(&mut self.transport).poll_write(cx, &response[*written..]) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(count)) => *written += count,
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        Some(Poll::Ready(Ok(())))
    }

    /// Shuts the connection down for writing and waits a moment for the client to read the error response. What it still
    /// sends is ignored, and beyond a limit not even read.
    fn poll_error_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.transport).poll_shutdown(cx))?;
        while let Output::Replaced { ignored, .. } = &mut self.output
            && *ignored < MAX_IGNORED_BYTES
        {
            let mut bytes = [0; 1024];
            let mut bytes = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.transport).poll_read(cx, &mut bytes) {
                Poll::Ready(Ok(())) if !bytes.filled().is_empty() => *ignored += bytes.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        self.reading.poll(cx, Wait::ErrorRead, Some(ERROR_READ_TIMEOUT)).map(Ok)
    }

    /// Fails a write if the connection has to give back what it holds.
    fn check_memory(&self) -> io::Result<()> {
        if self.memory.as_ref().is_some_and(|memory| memory.is_cut()) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Fails a pending write at its deadlines, and lets a read that was refused go on once there is room again.
    fn with_deadline<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.output_flow != OutputFlow::Free
                && let Some(memory) = &self.memory
            {
                memory.flowing();
            }
            self.stalled.clear();
            if self.output_flow == (OutputFlow::Stuck { read_refused: true }) {
                cx.waker().wake_by_ref();
            }
            self.output_flow = OutputFlow::Free;
            return written;
        }
        if let Some(memory) = &self.memory {
            memory.stuck(cx);
        }
        if self.output_flow == OutputFlow::Free {
            self.output_flow = OutputFlow::Stuck { read_refused: false };
        }
        let whole = self.writing.poll(cx, Wait::Reader, self.timeouts.write);
        if whole.is_pending() {
            ready!(self.stalled.poll(cx, Wait::Reader, self.timeouts.write_stall));
        }
        self.permit.count_failure(ConnectionFailure::SlowReader);
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
        if let OutputFlow::Stuck { read_refused } = &mut this.output_flow {
            *read_refused = true;
            // The client's time for a request begins anew; that for the response runs.
            this.reading.clear();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.transport).poll_read(cx, buf);
        if read.is_ready() {
            this.note_arrival(&buf.filled()[before..]);
            return read;
        }
        let state = this.state.get();
        let (wait, timeout) = match state {
            State::Header | State::PipelinedHeader => (Wait::Header, this.timeouts.header),
            State::Unflushed | State::Idle => (Wait::NextRequest, this.timeouts.idle),
            State::Answering => {
                this.state.wake_when_answered(state, cx.waker());
                (Wait::NextRequest, None)
            }
        };
        ready!(this.reading.poll(cx, wait, timeout));
        if wait == Wait::Header {
            this.permit.count_failure(ConnectionFailure::SlowHeader);
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check_memory()?;
        let written = match self.poll_replace(cx, buf) {
            Some(replaced) => replaced.map_ok(|()| buf.len()),
            None => Pin::new(&mut self.transport).poll_write(cx, buf),
        };
        self.with_deadline(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_memory()?;
        let head: &[u8] = bufs.first().map_or(&[], |head| head);
        let written = match self.poll_replace(cx, head) {
            Some(replaced) => replaced.map_ok(|()| bufs.iter().map(|buf| buf.len()).sum()),
            None => Pin::new(&mut self.transport).poll_write_vectored(cx, bufs),
        };
        self.with_deadline(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.output, Output::Replaced { .. }) {
            return self.poll_error_read(cx);
        }
        ready!(Pin::new(&mut self.transport).poll_flush(cx))?;
        self.writing.clear();
        self.state.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
