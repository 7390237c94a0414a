//! The outbox: everything that reaches a device's session from the rest of the gateway.
//!
//! Messages of the API wait in the queue, acknowledgements in a list of their own (`ack_list.rs`), each with bounds of its
//! own. The session takes them by turns, so that neither waits for the other.

pub(super) mod ack_list;
mod acks;
mod outgoing;
mod signal;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::Waker;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use talaria_protocol::session::{CloseReason, Reason};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{OutboxLimit, SendError};
use crate::budget::{Budget, Holder, Holding, NoRoomError};
use ack_list::AckList;
use outgoing::Receipt;

pub(super) use outgoing::{Origin, Outgoing};
pub(super) use signal::{Signal, Signals};

/// Messages and acknowledgements to send, the request to close, and the signals of the wheel. Bounded in messages and bytes;
/// an empty outbox owns no further memory.
#[derive(Debug)]
pub struct Outbox {
    state: Mutex<State>,
    /// The signals that are set, one bit each.
    signals: AtomicU16,
    /// Whether so many refusals wait that nothing is to be read from the device.
    is_reading_paused: AtomicBool,
    /// Whether nothing more is read from the device, because the gateway stops.
    is_reading_stopped: AtomicBool,
    /// Wakes the session's task.
    session: AtomicWaker,
    /// Wakes senders that wait for room.
    room: Notify,
    limit: OutboxLimit,
    /// What may wait for all devices together; no bound if none.
    budget: Option<Arc<Budget>>,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Outgoing>,
    bytes: usize,
    /// The bytes of messages that are not in the queue: those whose senders wait for room, the rest of a write, and refusals
    /// among the acknowledgements.
    outside: usize,
    /// What all of these bytes take of the budget.
    holding: Holding,
    /// None as long as no message waits for its acknowledgement.
    acks: Option<Box<AckList>>,
    /// Whether an acknowledgement is next if both wait.
    is_ack_next: bool,
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
    /// The session has read the reason, or has ended by itself for this one. Acknowledgements that were queued before are
    /// still written, if the connection can be written to.
    Closed(Reason),
}

impl Outbox {
    /// An empty outbox. Its methods get the device that it belongs to, which is the holder of its part of the budget.
    pub(super) fn new(limit: OutboxLimit, budget: Option<Arc<Budget>>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            outside: 0,
            holding: Holding::default(),
            acks: None,
            is_ack_next: true,
            phase: Phase::Open,
        };
        Self {
            state: Mutex::new(state),
            signals: AtomicU16::new(0),
            is_reading_paused: AtomicBool::new(false),
            is_reading_stopped: AtomicBool::new(false),
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
    #[cfg(test)]
    pub(super) fn try_send<H: Holder + 'static>(
        &self,
        device: &Arc<H>,
        frame: Bytes,
    ) -> Result<(), SendError> {
        self.push(device, Outgoing { frame, origin: Origin::Sender(None) }).map_err(|(error, _)| error.into())
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
        let mut outgoing = Outgoing { frame, origin: Origin::Sender(Some(Receipt(receipt))) };
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

    /// Why the session is about to end, if it is asked to and has not read the reason.
    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        match &self.state.lock().phase {
            Phase::Closing(reason) => Some(reason.clone()),
            Phase::Open | Phase::Closed(_) => None,
        }
    }

    /// Whether the session has ended or is about to end.
    pub(super) fn is_closed(&self) -> bool {
        !matches!(self.state.lock().phase, Phase::Open)
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.signals.fetch_or(signal as u16, Ordering::Release);
        self.session.wake();
    }

    /// Lets the session look at everything that may have changed.
    pub(super) fn wake_session(&self) {
        self.session.wake();
    }

    /// The session reads nothing more from the device, from its next turn on.
    pub(super) fn stop_reading(&self) {
        self.is_reading_stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the gateway stops and reads nothing more from the device.
    pub(super) fn is_reading_stopped(&self) -> bool {
        self.is_reading_stopped.load(Ordering::Relaxed)
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
        let Phase::Closing(reason) = &state.phase else { return None };
        let reason = reason.clone();
        state.phase = Phase::Closed(reason.reason());
        Some(reason)
    }

    /// The next acknowledgement, or the next message whose sender still waits for it to be written.
    pub(super) fn pop<H: Holder + 'static>(&self, device: &Arc<H>) -> Option<Outgoing> {
        let mut state = self.state.lock();
        if (state.is_ack_next || state.queue.is_empty())
            && let Some(ack) = state.pop_ack()
        {
            state.is_ack_next = false;
            return Some(ack);
        }
        state.is_ack_next = true;
        if state.queue.is_empty() {
            return None;
        }
        let was_full = state.is_full(self.limit);
        let mut popped = None;
        while let Some(outgoing) = state.queue.pop_front() {
            state.bytes -= outgoing.frame.len();
            if outgoing.is_awaited() {
                popped = Some(outgoing);
                break;
            }
        }
        if state.queue.is_empty() {
            // The memory of a burst must not stay with an idle device.
            state.queue = VecDeque::new();
        }
        self.account_less(&mut state, device);
        let popped = popped.or_else(|| state.pop_ack());
        drop(state);
        if was_full {
            self.room.notify_waiters();
        }
        popped
    }

    /// Accepts no more messages and acknowledgements, and fails the messages that wait. For the end of the session; the
    /// first reason counts.
    pub(super) fn shut<H: Holder + 'static>(&self, device: &Arc<H>, reason: Reason) {
        let dropped = {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Closed(_)) {
                state.phase = Phase::Closed(reason);
            }
            self.discard(&mut state, device)
        };
        drop(dropped);
        self.room.notify_waiters();
    }

    /// As [`shut`](Self::shut), but the reason can still be read: the end of the session has yet to be announced.
    pub(super) fn leave<H: Holder + 'static>(&self, device: &Arc<H>, reason: &CloseReason) {
        let dropped = {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Closing(_)) {
                state.phase = Phase::Closing(reason.clone());
            }
            self.discard(&mut state, device)
        };
        drop(dropped);
        self.room.notify_waiters();
    }

    /// The session keeps the rest of a write, which counts like messages that wait.
    pub(super) fn hold<H: Holder + 'static>(&self, device: &Arc<H>, bytes: usize) {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Closed(_)) {
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

    /// The messages that wait fail when what is returned is dropped.
    fn discard<H: Holder + 'static>(&self, state: &mut State, device: &Arc<H>) -> VecDeque<Outgoing> {
        (state.bytes, state.outside) = (0, 0);
        self.account_less(state, device);
        std::mem::take(&mut state.queue)
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

    /// The next acknowledgement.
    fn pop_ack(&mut self) -> Option<Outgoing> {
        let (ack, room) = self.acks.as_mut()?.pop()?;
        Some(Outgoing { frame: ack.frame, origin: Origin::Ack(ack.of, room) })
    }

    /// An idle device has no list.
    fn free_unused_list(&mut self) {
        if self.acks.as_ref().is_some_and(|list| list.is_unused()) {
            self.acks = None;
        }
    }
}
