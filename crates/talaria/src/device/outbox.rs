//! The outbox: everything that reaches a device's session from the rest of the gateway.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use talaria_protocol::session::CloseReason;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{OutboxLimit, SendError};
use crate::budget::{Budget, Holder, Holding, NoRoomError};

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
    /// What may wait for all devices together; no bound if none.
    budget: Option<Arc<Budget>>,
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
    /// The device does not read, and most messages wait for it when all that wait are too much.
    UnreadTooMuch = 128,
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
    /// The bytes of messages that are not in the queue: those whose senders wait for room, and the rest of a write.
    outside: usize,
    /// What all of these bytes take of the budget.
    holding: Holding,
    phase: Phase,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PushError {
    /// This outbox is full.
    Full,
    /// All outboxes together are full.
    NoRoom,
    /// The session has ended or is about to.
    Closed,
}

/// A sender that waits for room: its message counts as long as this exists.
struct Waiting<'a, H: Holder + 'static> {
    outbox: &'a Outbox,
    device: &'a Arc<H>,
    bytes: usize,
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
    /// An empty outbox. Its methods get the device that it belongs to, which is the holder of its part of the budget.
    pub(super) fn new(limit: OutboxLimit, budget: Option<Arc<Budget>>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            outside: 0,
            holding: Holding::default(),
            phase: Phase::Open,
        };
        Self {
            state: Mutex::new(state),
            signals: AtomicU8::new(0),
            session: AtomicWaker::new(),
            room: Notify::new(),
            limit,
            budget,
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
    pub(super) fn try_send<H: Holder + 'static>(
        &self,
        device: &Arc<H>,
        frame: Bytes,
    ) -> Result<(), SendError> {
        self.push(device, Outgoing { frame, receipt: None }).map_err(|(error, _)| error.into())
    }

    /// Queues a message, waiting for room, and waits until it has been written. A message whose sender gave up waiting
    /// is not written any more. Only for room in this outbox: if all outboxes together are full, it fails at once.
    pub(super) async fn send<H: Holder + 'static>(
        &self,
        device: &Arc<H>,
        frame: Bytes,
        deadline: Instant,
    ) -> Result<(), SendError> {
        let (receipt, written) = oneshot::channel();
        let bytes = frame.len();
        let mut outgoing = Outgoing { frame, receipt: Some(Receipt(receipt)) };
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            // From here on a pop is noticed, so none can be missed between the attempt and the wait.
            room.as_mut().enable();
            match self.push(device, outgoing) {
                Ok(()) => break,
                Err((PushError::Full, back)) => outgoing = back,
                Err((error, _)) => return Err(error.into()),
            }
            let _waiting = self.wait(device, bytes)?;
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
    pub(super) fn pop<H: Holder + 'static>(&self, device: &Arc<H>) -> Option<Outgoing> {
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
        self.account_less(&mut state, device);
        drop(state);
        if was_full {
            self.room.notify_waiters();
        }
        popped
    }

    /// Accepts no more messages and fails those that wait. For the end of the session.
    pub(super) fn shut<H: Holder + 'static>(&self, device: &Arc<H>) {
        let dropped = {
            let mut state = self.state.lock();
            state.phase = Phase::Closed;
            (state.bytes, state.outside) = (0, 0);
            self.account_less(&mut state, device);
            std::mem::take(&mut state.queue)
        };
        drop(dropped);
        self.room.notify_waiters();
    }

    /// The session keeps the rest of a write, which counts like messages that wait.
    pub(super) fn hold<H: Holder + 'static>(&self, device: &Arc<H>, bytes: usize) {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Closed) {
            state.outside += bytes;
            // The bytes are there, whether they have room or not. Without room, a device that holds more has to go.
            let _ = self.account(&mut state, device);
        }
    }

    /// Bytes that were outside of the queue are gone or in the queue: the whole rest of a write, or a waiting sender's.
    pub(super) fn release<H: Holder + 'static>(&self, device: &Arc<H>, bytes: usize) {
        let mut state = self.state.lock();
        state.outside = state.outside.saturating_sub(bytes);
        self.account_less(&mut state, device);
    }

    fn push<H: Holder + 'static>(
        &self,
        device: &Arc<H>,
        outgoing: Outgoing,
    ) -> Result<(), (PushError, Outgoing)> {
        {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Open) {
                return Err((PushError::Closed, outgoing));
            }
            let bytes = outgoing.frame.len();
            let over = state.bytes + bytes > self.limit.bytes && !state.queue.is_empty();
            if over || state.queue.len() >= self.limit.messages.max(1) {
                return Err((PushError::Full, outgoing));
            }
            state.bytes += bytes;
            if self.account(&mut state, device).is_err() {
                state.bytes -= bytes;
                return Err((PushError::NoRoom, outgoing));
            }
            state.queue.push_back(outgoing);
        }
        self.session.wake();
        Ok(())
    }

    /// Counts the message of a sender that waits for room.
    fn wait<'a, H: Holder + 'static>(
        &'a self,
        device: &'a Arc<H>,
        bytes: usize,
    ) -> Result<Waiting<'a, H>, SendError> {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Open) {
            return Err(SendError::Closed);
        }
        state.outside += bytes;
        if self.account(&mut state, device).is_err() {
            state.outside -= bytes;
            return Err(SendError::Busy);
        }
        Ok(Waiting { outbox: self, device, bytes })
    }

    fn account<H: Holder + 'static>(&self, state: &mut State, device: &Arc<H>) -> Result<(), NoRoomError> {
        let Some(budget) = &self.budget else { return Ok(()) };
        let bytes = state.bytes + state.outside;
        budget.change(&mut state.holding, bytes, || Arc::clone(device) as Arc<dyn Holder>)
    }

    /// Accounts for less than before, which is always accepted.
    fn account_less<H: Holder + 'static>(&self, state: &mut State, device: &Arc<H>) {
        let _ = self.account(state, device);
    }
}

impl<H: Holder + 'static> Drop for Waiting<'_, H> {
    fn drop(&mut self) {
        self.outbox.release(self.device, self.bytes);
    }
}

impl From<PushError> for SendError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Full | PushError::NoRoom => Self::Busy,
            PushError::Closed => Self::Closed,
        }
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
