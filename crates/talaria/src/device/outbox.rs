//! The outbox: everything that reaches a device's session from the rest of the gateway.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use talaria_protocol::session::CloseReason;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{OutboxLimit, SendError};

/// Messages to send, the request to close, and the signals of the wheel. Bounded in messages and bytes; an empty outbox owns
/// no further memory.
#[derive(Debug)]
pub struct Outbox {
    state: Mutex<State>,
    /// The signals that are set, one bit each.
    signals: AtomicU8,
    /// Wakes the session's task.
    session: AtomicWaker,
    /// Wakes senders that wait for room.
    room: Notify,
    limit: OutboxLimit,
}

/// A signal of the wheel or of a budget to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Signal {
    /// A ping is due.
    Ping = 1,
    /// The device has been silent for too long.
    Idle = 2,
    /// A write has been stuck for too long.
    Stalled = 4,
    /// The device's time to answer the closing handshake is over.
    Lingered = 8,
    /// The device's token has expired.
    Expired = 16,
    /// A message of the device has not arrived completely in time.
    SlowMessage = 32,
    /// The device's unfinished message is the largest when all of them are too much.
    UnfinishedTooMuch = 64,
}

/// A set of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signals(u8);

/// A message on its way to the device.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) frame: Bytes,
    pub(super) receipt: Option<Receipt>,
}

/// Tells a sender that its message was written. Dropping it means that it was not.
#[derive(Debug)]
pub(super) struct Receipt(oneshot::Sender<()>);

#[derive(Debug)]
struct State {
    queue: VecDeque<Outgoing>,
    bytes: usize,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Messages are accepted.
    Open,
    /// The session is asked to end for this reason, which it has not read yet.
    Closing(CloseReason),
    /// The session has read the reason, or has ended by itself.
    Closed,
}

impl Outbox {
    pub(super) fn new(limit: OutboxLimit) -> Outbox {
        Outbox {
            state: Mutex::new(State { queue: VecDeque::new(), bytes: 0, phase: Phase::Open }),
            signals: AtomicU8::new(0),
            session: AtomicWaker::new(),
            room: Notify::new(),
            limit,
        }
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Queues a message if there is room.
    pub(super) fn try_send(&self, frame: Bytes) -> Result<(), SendError> {
        self.push(Outgoing { frame, receipt: None }).map_err(|(error, _)| error)
    }

    /// Queues a message, waiting for room, and waits until it has been written. A message whose sender gave up waiting
    /// is not written any more.
    pub(super) async fn send(&self, frame: Bytes, deadline: Instant) -> Result<(), SendError> {
        let (receipt, written) = oneshot::channel();
        let mut outgoing = Outgoing { frame, receipt: Some(Receipt(receipt)) };
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            // From here on a pop is noticed, so none can be missed between the attempt and the wait.
            room.as_mut().enable();
            match self.push(outgoing) {
                Ok(()) => break,
                Err((SendError::Busy, back)) => outgoing = back,
                Err((error, _)) => return Err(error),
            }
            timeout_at(deadline, room).await.map_err(|_| SendError::Timeout)?;
        }
        match timeout_at(deadline, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SendError::Closed),
            Err(_) => Err(SendError::Timeout),
        }
    }

    /// Asks the session to end. The first reason counts; returns whether this was the first.
    pub(super) fn close(&self, reason: CloseReason) -> bool {
        {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Open) {
                return false;
            }
            state.phase = Phase::Closing(reason);
        }
        self.room.notify_waiters();
        self.session.wake();
        true
    }

    /// Whether the session has ended or is about to end.
    pub(super) fn is_closed(&self) -> bool {
        !matches!(self.state.lock().phase, Phase::Open)
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.signals.fetch_or(signal as u8, Ordering::Release);
        self.session.wake();
    }

    /// Lets everything that is put into the outbox from now on wake the session's task. Call it before taking anything.
    pub(super) fn register(&self, session: &Waker) {
        self.session.register(session);
    }

    pub(super) fn take_signals(&self) -> Signals {
        if self.signals.load(Ordering::Relaxed) == 0 {
            return Signals(0);
        }
        Signals(self.signals.swap(0, Ordering::Acquire))
    }

    /// Why the session is asked to end; returned once.
    pub(super) fn take_close(&self) -> Option<CloseReason> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.phase, Phase::Closed) {
            Phase::Closing(reason) => Some(reason),
            phase => {
                state.phase = phase;
                None
            }
        }
    }

    /// The next message whose sender still waits for it to be written.
    pub(super) fn pop(&self) -> Option<Outgoing> {
        let mut state = self.state.lock();
        let was_full = state.is_full(self.limit);
        let mut popped = None;
        while let Some(outgoing) = state.queue.pop_front() {
            state.bytes -= outgoing.frame.len();
            if outgoing.receipt.as_ref().is_none_or(Receipt::is_awaited) {
                popped = Some(outgoing);
                break;
            }
        }
        if state.queue.is_empty() {
            // The memory of a burst must not stay with an idle device.
            state.queue = VecDeque::new();
        }
        drop(state);
        if was_full {
            self.room.notify_waiters();
        }
        popped
    }

    /// Accepts no more messages and fails those that wait. For the end of the session.
    pub(super) fn shut(&self) {
        let dropped = {
            let mut state = self.state.lock();
            state.phase = Phase::Closed;
            state.bytes = 0;
            std::mem::take(&mut state.queue)
        };
        drop(dropped);
        self.room.notify_waiters();
    }

    fn push(&self, outgoing: Outgoing) -> Result<(), (SendError, Outgoing)> {
        {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Open) {
                return Err((SendError::Closed, outgoing));
            }
            let over = state.bytes + outgoing.frame.len() > self.limit.bytes && !state.queue.is_empty();
            if over || state.queue.len() >= self.limit.messages.max(1) {
                return Err((SendError::Busy, outgoing));
            }
            state.bytes += outgoing.frame.len();
            state.queue.push_back(outgoing);
        }
        self.session.wake();
        Ok(())
    }
}

impl State {
    /// Whether a sender may be waiting for room. How many bytes a sender needs is not known here, so half of the limit
    /// counts as full.
    fn is_full(&self, limit: OutboxLimit) -> bool {
        self.queue.len() >= limit.messages.max(1) || self.bytes > limit.bytes / 2
    }
}

impl Signals {
    pub(super) fn has(self, signal: Signal) -> bool {
        self.0 & signal as u8 != 0
    }
}

impl Receipt {
    /// The kernel has accepted the message.
    pub(super) fn written(self) {
        // A sender that has stopped waiting does not need to know.
        let _ = self.0.send(());
    }

    fn is_awaited(&self) -> bool {
        !self.0.is_closed()
    }
}
