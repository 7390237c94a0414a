//! The task of one connected device. It owns the socket; everything else reaches the device through its outbox.
//!
//! It is a hand-written future instead of an `async fn`, because an idle device must cost as little memory as possible: the
//! task has no buffer (it borrows the [thread's](crate::thread_buffer)), no channel and no timer. Three causes wake it, and
//! each time it checks all of them: bytes from the device, something in the outbox, a signal of the wheel.
//!
//! Start reading at [`Task`]'s `poll`; how a session writes is in `writing.rs`, and how it ends in `ending.rs`.

mod ending;
mod writing;

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use talaria_protocol::go::duration;
use talaria_protocol::session::{CloseReason, Ending, Reason, Session, Step};
use talaria_protocol::ws::Input;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::batch::Batch;
use super::context::SessionContext;
use super::long_message::LongMessage;
use super::pace::{Excess, Pace};
use super::receive;
use crate::budget::{Holder, Holding, NoRoomError};
use crate::device::back_pressure::LONGEST_WAIT;
use crate::device::config::RateLimit;
use crate::device::connected::Device;
use crate::device::ends::RunningEnd;
use crate::device::metrics::CountedModel;
use crate::device::outbox::{Signal, Signals};
use crate::device::registry::RunningSession;
use crate::long_work::LONG;
use crate::thread_buffer::ReadBuffer;
use crate::turn_watch::{Stuck, Turn};

/// The most that is read at once. A frame that is longer is put together in memory of the session.
const READ_AT_ONCE: usize = 64 * 1024;
/// How often a task reads before other tasks have their turn. Few devices send more at once, and the others must not wait
/// while the data of one that floods the gateway is decrypted.
const READS_IN_A_ROW: usize = 2;
/// How much a device may still send after the end of its session. It is ignored, but read, so that the device can read the
/// close frame before the connection is reset. A device that sends more is cut off.
const MAX_IGNORED: usize = 256 * 1024;

/// The connection of a registered device.
pub(in crate::device) struct Connection<S> {
    /// The socket after the handshake.
    pub(in crate::device) io: S,
    /// The bytes that were already read from it.
    pub(in crate::device) read_ahead: bytes::Bytes,
    /// The registered device.
    pub(in crate::device) device: Arc<Device>,
    /// Counts it in `hardware_model`.
    pub(in crate::device) model: CountedModel,
    /// Counts the session as running.
    pub(in crate::device) running: RunningSession,
    /// The client's address, if it is known.
    pub(in crate::device) client: Option<IpAddr>,
}

/// The task of one session.
pub(super) struct Task<S> {
    io: S,
    context: Arc<SessionContext>,
    device: Arc<Device>,
    session: Session,
    /// The message that is being handled elsewhere, because it is long.
    long_message: Option<Box<LongMessage>>,
    /// What the device has left of its rate, if there is one.
    pace: Option<Box<Pace>>,
    /// The rest of a batch that the socket did not accept yet.
    unsent: Option<Box<Batch>>,
    phase: Phase,
    /// Whether bytes were written since the last flush.
    needs_flush: bool,
    /// The session's part of the memory for unfinished messages.
    unfinished: Holding,
    /// How many bytes arrived after the end of the session.
    ignored: usize,
    /// None once the session has ended.
    model: Option<CountedModel>,
    /// Measures the end. Dropped after the socket, whose close belongs to it.
    end: Option<Box<RunningEnd>>,
    _running: RunningSession,
}

/// How far the session has come. It goes through the phases in this order; `Waiting` is left out if few sessions end at the same
/// time, `Closing` and `Lingering` if the device cannot be sent a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Messages go both ways.
    Open,
    /// The session has ended and waits for its turn to be disconnected. Nothing is read and nothing is written.
    Waiting,
    /// The session has ended and the close frame is being written.
    Closing,
    /// The close frame is written. The device gets a moment to read it and to close its side.
    Lingering,
    /// Only the socket is left to be closed.
    Over,
}

/// Runs a device's session until it ends.
pub(in crate::device) fn spawn<S>(context: Arc<SessionContext>, connection: Connection<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Only a device whose address matters later has this before its first message.
    let needs_address = context.refusals.needs_address();
    let pace = needs_address.then(|| Box::new(Pace::of(connection.client)));
    let mut task = Task {
        session: Session::new(context.config.load().frame_limits()),
        context,
        io: connection.io,
        device: connection.device,
        long_message: None,
        pace,
        unsent: None,
        phase: Phase::Open,
        needs_flush: false,
        unfinished: Holding::default(),
        ignored: 0,
        model: Some(connection.model),
        end: None,
        _running: connection.running,
    };
    for piece in connection.read_ahead.to_vec().chunks_mut(READ_AT_ONCE) {
        task.receive(piece);
    }
    tokio::spawn(task);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Task<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        // Before the outbox is read, so that everything that is put there from now on wakes the task again.
        task.device.outbox().register(cx.waker());
        let signals = task.device.outbox().take_signals();
        if task.phase == Phase::Waiting {
            if !signals.has(Signal::MayEnd) {
                return Poll::Pending;
            }
            task.disconnect();
            if task.phase == Phase::Over {
                return Poll::Ready(());
            }
        }
        if let Some(end) = &mut task.end {
            end.resume();
        }
        let turn = Turn::begin();
        let polled = task.go_on(signals, cx);
        if let Some(Stuck { took, suppressed }) = turn.end() {
            tracing::warn!(id = %task.device.id(), ?took, suppressed, "the turn of a device held up its thread");
        }
        if polled.is_pending()
            && let Some(end) = &mut task.end
        {
            end.pause();
        }
        polled
    }
}

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// The socket has no more bytes now.
    Drained,
    /// Other tasks have their turn; there may be more bytes.
    More,
    /// Nothing is read from the device.
    Paused,
    /// The connection has ended.
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Task<S> {
    /// Does everything that can be done now.
    fn go_on(&mut self, signals: Signals, cx: &mut Context<'_>) -> Poll<()> {
        self.apply(signals);
        let read = if self.resume(cx).is_pending() {
            Read::More
        } else if self.is_reading_paused() {
            Read::Paused
        } else {
            self.read(cx)
        };
        // What has just been read may hold up the device. Polled here, it wakes the task.
        let is_held_up = self.resume(cx).is_pending();
        // Until a long message has been handled, the device's next messages wait, and so does the end of the session, whose
        // offline event comes after the message.
        if self.long_message.is_some() {
            if self.session.ending().is_none() {
                self.write(cx);
            }
            return Poll::Pending;
        }
        self.disconnect_if_ended();
        self.write(cx);
        self.disconnect_if_ended();
        if self.is_over(read, signals, cx) {
            return Poll::Ready(());
        }
        if read == Read::More && !is_held_up || read == Read::Paused && !self.is_reading_paused() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Does what the outbox and the wheel ask for.
    fn apply(&mut self, signals: Signals) {
        if let Some(reason) = self.device.outbox().take_close() {
            self.session.end(Ending::by_gateway(reason));
        }
        let config = self.context.config.load();
        // A device that is not read cannot be heard.
        if signals.has(Signal::Idle) && !self.device.outbox().is_reading_stopped() {
            let error = format!("nothing heard for {}", duration::format(config.idle_period));
            let reason = CloseReason::with_error(Reason::ReadError, &error);
            self.session.end(Ending::by_gateway(reason));
        }
        if signals.has(Signal::Expired) && self.session.ending().is_none() {
            self.context.metrics.expired_token_count.inc();
            self.session.end(Ending::by_gateway(Reason::TokenExpired.into()));
        }
        if signals.has(Signal::Stalled) {
            let error = format!("not written within {}", duration::format(config.write_timeout));
            let reason = CloseReason::with_error(Reason::WriteError, &error);
            self.session.end(Ending::unreachable(reason));
        }
        if signals.has(Signal::SlowMessage) && self.session.is_unfinished() {
            self.session.end(Ending::slow_message(&duration::format(config.message_timeout)));
        }
        if signals.has(Signal::UnfinishedTooMuch) {
            self.session.end(Ending::out_of_memory(self.context.unfinished.limit()));
        }
        if signals.has(Signal::UnreadTooMuch) {
            self.session.end(Ending::unread(self.context.queued.limit()));
        }
        if signals.has(Signal::Ping) {
            self.session.ping();
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Read {
        let mut buffer = ReadBuffer::borrow();
        for _ in 0..READS_IN_A_ROW {
            let mut bytes = ReadBuf::new(&mut buffer[..READ_AT_ONCE]);
            match Pin::new(&mut self.io).poll_read(cx, &mut bytes) {
                Poll::Pending => return Read::Drained,
                Poll::Ready(Ok(())) if !bytes.filled().is_empty() => self.receive(bytes.filled_mut()),
                Poll::Ready(end) => {
                    self.session.end(Ending::unreachable(read_end(end)));
                    return Read::Ended;
                }
            }
            let has_ended = self.session.ending().is_some();
            if has_ended && (self.phase == Phase::Open || self.ignored > MAX_IGNORED) {
                break;
            }
            if self.is_held_up() || self.is_reading_paused() {
                break;
            }
        }
        Read::More
    }

    /// Whether nothing is read from the device: it has to read first, or the gateway stops.
    fn is_reading_paused(&self) -> bool {
        let outbox = self.device.outbox();
        self.phase == Phase::Open && (outbox.is_reading_paused() || outbox.is_reading_stopped())
    }

    /// Processes bytes of the device. After the end of the session they are only counted.
    fn receive(&mut self, bytes: &mut [u8]) {
        if self.phase != Phase::Open {
            self.ignored += bytes.len();
            return;
        }
        if let Some(long) = &mut self.long_message {
            return long.keep_for_later(bytes);
        }
        if self.pace.as_mut().is_some_and(|pace| pace.keep_for_later(bytes)) {
            return;
        }
        if self.pace.as_mut().is_some_and(|pace| pace.may_wait_again()) {
            self.device.room().allow();
        }
        let rated = self.context.rated_now();
        let mut input = Input::new(bytes);
        let mut completes_message = false;
        loop {
            if self.begin_pause(rated, input.rest()) || self.begin_wait(input.rest()) {
                break;
            }
            match self.session.next(&mut input) {
                Step::NeedMore | Step::Ended => break,
                Step::Message(frame) if frame.len() < LONG => {
                    completes_message = true;
                    let excess = admit(&mut self.pace, rated, frame.len());
                    receive::binary(&self.context, &self.device, frame, excess.into());
                    self.exceeded(excess);
                }
                Step::Message(frame) => {
                    completes_message = true;
                    let excess = admit(&mut self.pace, rated, frame.len());
                    self.exceeded(excess);
                    // A message in one piece is not longer than what is read at once, so the session holds this one.
                    if let Some(message) = self.session.take_message() {
                        let (context, device) = (&self.context, &self.device);
                        let long = LongMessage::handle(context, device, message, excess.into(), input.rest());
                        self.long_message = Some(long);
                        break;
                    }
                }
                Step::Text(length) => {
                    completes_message = true;
                    // It is ignored in any case.
                    let excess = admit(&mut self.pace, rated, length);
                    receive::text(&self.context, &self.device, length);
                    self.exceeded(excess);
                }
                Step::Ping => {}
                Step::Pong => {
                    self.context.metrics.pong_count.inc();
                    self.context.wheel.heard(&self.device);
                }
            }
        }
        self.watch_unfinished(completes_message);
        if self.account_unfinished().is_err() {
            self.session.end(Ending::out_of_memory(self.context.unfinished.limit()));
        }
    }

    /// Starts or ends the deadline of the message that is arriving.
    fn watch_unfinished(&self, completes_message: bool) {
        let (wheel, device) = (&self.context.wheel, &self.device);
        let was_unfinished = device.vitals().has_unfinished_message();
        if !self.session.is_unfinished() {
            if was_unfinished {
                wheel.message_complete(device);
            }
        } else if completes_message || !was_unfinished {
            wheel.message_begun(device);
        }
    }

    /// Waits for what holds up the device, a long message that is being handled or a pause, and then processes what the
    /// device sent after it.
    fn resume(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut kept = if let Some(long) = &mut self.long_message {
                let next = ready!(long.poll_handled(cx));
                self.long_message = None;
                next
            } else if let Some(pace) = &mut self.pace {
                let kept = if self.session.ending().is_some() {
                    pace.end_pause()
                } else {
                    let (kept, wait) = ready!(pace.poll_pause(self.device.room(), cx));
                    if let Some(end) = wait {
                        self.context.metrics.count_wait_for_room(end);
                    }
                    kept
                };
                let Some(kept) = kept else { return Poll::Ready(()) };
                kept
            } else {
                return Poll::Ready(());
            };
            self.receive(&mut kept);
        }
    }

    /// Whether nothing is read for now.
    fn is_held_up(&self) -> bool {
        self.long_message.is_some() || self.pace.as_ref().is_some_and(|pace| pace.is_paused())
    }

    /// Begins a pause if the device has to make one before its next message; `rest` is what it has sent already.
    fn begin_pause(&mut self, rated: Option<(RateLimit, Duration)>, rest: &[u8]) -> bool {
        let (Some((limit, now)), Some(pace), None) = (rated, &mut self.pace, self.session.ending()) else {
            return false;
        };
        let Some(pause) = pace.begin_pause(&limit, rest, now) else { return false };
        // It is silent because it is not read.
        self.context.wheel.heard_until(&self.device, pause);
        true
    }

    /// Begins a wait for room if there is none for the next message of the device; `rest` is what it has sent already.
    fn begin_wait(&mut self, rest: &[u8]) -> bool {
        if !self.device.room().is_waiting() || self.session.ending().is_some() {
            return false;
        }
        self.pace.get_or_insert_default().begin_wait(rest);
        // It is silent because it is not read.
        self.context.wheel.heard_until(&self.device, LONGEST_WAIT);
        true
    }

    /// The device has exceeded its rate, if it has. If it did so for too long, its session ends.
    fn exceeded(&mut self, excess: Option<Excess>) {
        let Some(excess) = excess else { return };
        if let Some(ending) = self.context.exceeded(&self.device, &excess) {
            self.session.end(ending);
        }
    }
}

impl<S> Task<S> {
    fn account_unfinished(&mut self) -> Result<(), NoRoomError> {
        let device = &self.device;
        let holder = || Arc::clone(device) as Arc<dyn Holder>;
        let long_message = self.long_message.as_ref().map_or(0, |long| long.memory());
        let paused = self.pace.as_ref().map_or(0, |pace| pace.memory());
        let kept = self.session.kept() + long_message + paused;
        self.context.unfinished.change(&mut self.unfinished, kept, holder)
    }
}

/// Takes what a message of so many bytes takes of the device's rate, if there is one. Returns an excess if the message is to be
/// dropped.
fn admit(pace: &mut Option<Box<Pace>>, rated: Option<(RateLimit, Duration)>, bytes: usize) -> Option<Excess> {
    let (limit, now) = rated?;
    pace.get_or_insert_default().admit(&limit, bytes, now)
}

/// Why a connection ended. A device that leaves without a close frame is not an error (contract §14.17).
fn read_end(end: io::Result<()>) -> CloseReason {
    match end {
        Ok(()) => Reason::ReadError.into(),
        Err(error) => CloseReason::with_error(Reason::ReadError, &error),
    }
}
