//! The task of one connected device. It owns the socket; everything else reaches the device through its outbox.
//!
//! Hand-written rather than an `async fn`, because an idle device must cost next to nothing: the task holds no buffer
//! (reads and writes use the thread's), no channel and no timer. It is woken by three causes, and looks at all of them
//! whenever it is: bytes from the device, something in the outbox, a signal of the wheel.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use prometheus::IntGauge;
use talaria_protocol::go::duration;
use talaria_protocol::session::{CloseReason, Ending, Reason, Session, Step};
use talaria_protocol::ws::Input;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::info;

use super::batch::Batch;
use super::{fill, receive};
use crate::device::outbox::{Signal, Signals};
use crate::device::registry::Running;
use crate::device::{Device, Manager};

/// The size of a thread's read buffer. A frame that does not fit is put together in memory of its own.
const READ_BUFFER: usize = 64 * 1024;
/// A thread's write buffer that a long message made larger than this is not kept.
const WRITE_BUFFER: usize = 64 * 1024;
/// How often a task reads before it lets others have their turn: few devices say more at once, and one that floods the
/// gateway must not make the others wait for what a megabyte takes to be decrypted.
const READS_IN_A_ROW: usize = 2;
/// What a device may still send after the end, unheard, so that it reads the close frame before the connection is reset. One
/// that floods the gateway is not waited for.
const UNHEARD_BYTES: usize = 256 * 1024;

thread_local! {
    static READ: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static WRITE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a session needs of the connection it runs on.
pub(in crate::device) struct Connection<S> {
    /// The socket, past the handshake.
    pub(in crate::device) io: S,
    /// What was read from it already.
    pub(in crate::device) read_ahead: bytes::Bytes,
    /// The device, registered.
    pub(in crate::device) device: Arc<Device>,
    /// Its series of `hardware_model`, in which it is counted.
    pub(in crate::device) model: IntGauge,
    /// Its place among the sessions that run.
    pub(in crate::device) running: Running,
}

pub(super) struct Task<S> {
    io: S,
    manager: Arc<Manager>,
    device: Arc<Device>,
    session: Session,
    /// What the socket did not take yet.
    unsent: Option<Box<Batch>>,
    phase: Phase,
    needs_flush: bool,
    /// The session's share of the memory for unfinished messages.
    kept: usize,
    /// Bytes that came after the end.
    unheard: usize,
    model: IntGauge,
    _running: Running,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The close frame is being written.
    Closing,
    /// Nothing more will be written; the device may still answer the close, or be slow to read it.
    Lingering,
    /// There is nothing left to do but to close the socket.
    Over,
}

/// Runs a device's session until it ends.
pub(in crate::device) fn spawn<S>(manager: Arc<Manager>, connection: Connection<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut task = Task {
        session: Session::new(manager.config().frame_limits()),
        manager,
        io: connection.io,
        device: connection.device,
        unsent: None,
        phase: Phase::Open,
        needs_flush: false,
        kept: 0,
        unheard: 0,
        model: connection.model,
        _running: connection.running,
    };
    if !connection.read_ahead.is_empty() {
        task.take_in(&mut connection.read_ahead.to_vec());
    }
    tokio::spawn(task);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Task<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        // Before anything is looked at: what comes from now on wakes the task again.
        task.device.outbox().register(cx.waker());
        let signals = task.device.outbox().take_signals();
        task.heed(signals);
        let read = task.read(cx);
        task.conclude();
        task.write(cx);
        task.conclude();
        if task.is_over(read, signals, cx) {
            return Poll::Ready(());
        }
        if read == Read::More {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// All there was.
    Drained,
    /// There is more.
    More,
    /// There will be no more.
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Task<S> {
    /// What the gateway wants of the session.
    fn heed(&mut self, signals: Signals) {
        if let Some(reason) = self.device.outbox().take_close() {
            self.session.end(Ending::by_gateway(reason));
        }
        let config = self.manager.config();
        if signals.has(Signal::Idle) {
            let error = format!("nothing heard for {}", duration::format(config.idle_period));
            let reason = CloseReason::with_error(Reason::ReadError, &error);
            self.session.end(Ending::by_gateway(reason));
        }
        if signals.has(Signal::Stalled) {
            let error = format!("not written within {}", duration::format(config.write_timeout));
            let reason = CloseReason::with_error(Reason::WriteError, &error);
            self.session.end(Ending::unreachable(reason));
        }
        if signals.has(Signal::Ping) {
            self.session.ping();
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Read {
        let mut buffer = READ.take().unwrap_or_else(|| vec![0; READ_BUFFER].into_boxed_slice());
        let mut result = Read::More;
        for _ in 0..READS_IN_A_ROW {
            let mut bytes = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.io).poll_read(cx, &mut bytes) {
                Poll::Pending => {
                    result = Read::Drained;
                    break;
                }
                Poll::Ready(Ok(())) if !bytes.filled().is_empty() => self.take_in(bytes.filled_mut()),
                Poll::Ready(end) => {
                    self.session.end(Ending::unreachable(read_end(end)));
                    result = Read::Ended;
                    break;
                }
            }
            let has_ended = self.session.ending().is_some();
            if has_ended && (self.phase == Phase::Open || self.unheard > UNHEARD_BYTES) {
                break;
            }
        }
        READ.set(Some(buffer));
        result
    }

    /// Takes what the device sent; nothing counts any more once the session has ended.
    fn take_in(&mut self, bytes: &mut [u8]) {
        if self.phase != Phase::Open {
            self.unheard += bytes.len();
            return;
        }
        let mut input = Input::new(bytes);
        loop {
            match self.session.next(&mut input) {
                Step::NeedMore | Step::Ended => break,
                Step::Message(frame) => receive::binary(&self.manager, &self.device, frame),
                Step::Text(length) => receive::text(&self.manager, &self.device, length),
                Step::Ping => {}
                Step::Pong => {
                    self.manager.metrics().pong_count.inc();
                    self.manager.wheel().heard(&self.device);
                }
            }
        }
        let kept = self.session.kept();
        let is_affordable = self.manager.unfinished().change(self.kept, kept);
        self.kept = kept;
        if !is_affordable {
            self.session.end(Ending::out_of_memory(self.manager.unfinished().limit()));
        }
    }

    /// Writes until there is nothing left, or the socket takes no more.
    fn write(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Lingering | Phase::Over) {
            return;
        }
        while self.write_unsent(cx) && self.write_next(cx) {}
        if self.needs_flush
            && let Poll::Ready(flushed) = Pin::new(&mut self.io).poll_flush(cx)
        {
            self.needs_flush = false;
            if let Err(error) = flushed {
                self.fail_write(&error);
            }
        }
    }

    /// Writes what an earlier write left over. Whether that is done.
    fn write_unsent(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(unsent) = &mut self.unsent {
            match Pin::new(&mut self.io).poll_write(cx, unsent.rest()) {
                Poll::Pending => return false,
                Poll::Ready(Ok(count)) if count > 0 => {
                    unsent.wrote(count, self.device.statistics());
                    if unsent.rest().is_empty() {
                        self.unsent = None;
                        self.manager.wheel().flowing(&self.device);
                    }
                }
                Poll::Ready(result) => {
                    self.fail_write(&write_failure(result));
                    return false;
                }
            }
        }
        true
    }

    /// Writes the next batch. Whether there was one, and all of it was written.
    fn write_next(&mut self, cx: &mut Context<'_>) -> bool {
        let mut batch = Batch::over(WRITE.take());
        let device = &self.device;
        if fill(&mut self.session, &mut batch, device.id().as_str(), || device.outbox().pop()) {
            self.manager.metrics().ping_count.inc();
        }
        let mut is_whole = false;
        if batch.len() > 0 {
            self.needs_flush = true;
            match Pin::new(&mut self.io).poll_write(cx, batch.rest()) {
                Poll::Pending => {}
                Poll::Ready(Ok(count)) if count > 0 => batch.wrote(count, device.statistics()),
                Poll::Ready(result) => {
                    self.fail_write(&write_failure(result));
                    return false;
                }
            }
            is_whole = batch.rest().is_empty();
        }
        let buffer = if is_whole || batch.len() == 0 {
            batch.into_buffer()
        } else {
            let (rest, buffer) = batch.split_rest();
            self.unsent = Some(rest);
            self.manager.wheel().stalled(&self.device);
            // Again, so that the socket wakes this task when it takes more.
            is_whole = self.write_unsent(cx);
            buffer
        };
        if buffer.capacity() <= WRITE_BUFFER {
            WRITE.set(buffer);
        }
        is_whole
    }

    fn fail_write(&mut self, error: &io::Error) {
        self.session.end(Ending::unreachable(CloseReason::with_error(Reason::WriteError, error)));
        if self.phase != Phase::Open {
            // The close frame has no way to the device.
            self.phase = Phase::Over;
        }
    }

    /// The session has ended: lets go of everything that others hold of it, and tells of it, once.
    fn conclude(&mut self) {
        let Some(ending) = self.session.ending().filter(|_| self.phase == Phase::Open) else {
            return;
        };
        let device = &self.device;
        self.manager.disconnected(device, &ending.reason);
        if let Some(error) = ending.protocol_error {
            self.manager.metrics().count_protocol_error(error);
        }
        self.model.dec();
        let statistics = device.statistics();
        info!(
            id = %device.id(),
            session_id = device.session_id(),
            reason = %ending.reason,
            up_time = duration::format(statistics.up_time()),
            messages_received = statistics.messages_received(),
            bytes_received = statistics.bytes_received(),
            messages_sent = statistics.messages_sent(),
            bytes_sent = statistics.bytes_sent(),
            "device disconnected"
        );
        self.phase = if ending.close_frame.is_some() {
            self.manager.wheel().linger(device);
            Phase::Closing
        } else {
            Phase::Over
        };
    }

    /// Whether nothing is left to do but to close the socket. To close it while the device still sends would have the
    /// kernel answer with a reset, which can overtake the close frame; so the device gets a moment.
    fn is_over(&mut self, read: Read, signals: Signals, cx: &mut Context<'_>) -> bool {
        match self.phase {
            Phase::Open => return false,
            Phase::Over => return true,
            Phase::Closing | Phase::Lingering
                if read == Read::Ended || signals.has(Signal::Lingered) || self.unheard > UNHEARD_BYTES =>
            {
                return true;
            }
            Phase::Closing | Phase::Lingering => {}
        }
        let is_written = self.unsent.is_none() && !self.needs_flush;
        if self.phase == Phase::Closing && is_written {
            self.phase = Phase::Lingering;
            // Says "no more" to the device, which then closes as well. If that fails there is nobody to say it to.
            return matches!(Pin::new(&mut self.io).poll_shutdown(cx), Poll::Ready(Err(_)));
        }
        false
    }
}

impl<S> Drop for Task<S> {
    fn drop(&mut self) {
        self.manager.unfinished().change(self.kept, 0);
    }
}

/// Why a read brought nothing: a device that goes away without a word is nothing special (contract §14.17).
fn read_end(end: io::Result<()>) -> CloseReason {
    match end {
        Ok(()) => Reason::ReadError.into(),
        Err(error) => CloseReason::with_error(Reason::ReadError, &error),
    }
}

fn write_failure(result: io::Result<usize>) -> io::Error {
    result.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into())
}
