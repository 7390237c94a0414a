//! The acknowledgements of one device, from the message that wants one to the socket (contract §14.21).
//!
//! Room for an acknowledgement is reserved when its message is taken (a [slot](crate::device::AckSlot)), and given back when it has been written or
//! its connection has ended. So no acknowledgement is dropped while its device is connected. The room of a device is bounded
//! in messages and bytes, that of all devices in bytes ([`AckLimits`]).
//!
//! A message beyond these bounds is refused, and the refusal is an acknowledgement, too. Refusals wait in the same list, count
//! as messages to the device (`maxQueuedBytes`), and while more than [`MAX_REFUSED`] bytes of them wait, nothing is read from
//! the device: only a device that does not read what it is sent gets there.
//!
//! A device without any has no list. Deliberately absent: frames and their metrics ([`event`](crate::event)), and the turns of
//! acknowledgements and other messages ([`Outbox`](super::Outbox), which has the list). Start reading at
//! [`Device::take_ack_slot`](crate::device::Device::take_ack_slot).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use smallvec::SmallVec;
use talaria_protocol::session::Reason;
use talaria_protocol::trace_context::{TraceContext, TraceId};
use tokio::time::Instant;
use wrp::QosLevel;

use crate::budget::{Budget, Holder, Holding, Store};

/// While more bytes of refusals than this wait for a device, it is not read.
pub(in crate::device) const MAX_REFUSED: usize = 64 * 1024;

/// One device may have this part of the bytes of all devices: a sixteenth.
const DEVICE_SHARE: usize = 16;

/// The bounds of all devices' acknowledgements.
#[derive(Debug)]
pub struct AckLimits {
    messages_each: AtomicUsize,
    budget: Budget,
}

/// An acknowledgement to be written.
#[derive(Debug)]
pub struct Ack {
    /// The message (v3 msgpack).
    pub frame: Bytes,
    /// What it acknowledges.
    pub of: Acknowledged,
}

/// What is counted of an acknowledged message.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Its level.
    pub level: QosLevel,
    /// When it arrived.
    pub since: Instant,
    /// Its place in its trace, if it is recorded.
    pub trace: Option<Arc<TraceContext>>,
}

impl Acknowledged {
    /// Its trace, if it is recorded.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace.as_ref().map(|trace| trace.trace_id)
    }
}

/// The connection has ended or is about to, so that an acknowledgement cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection has ended: {}", .0.as_str())]
pub struct AckNotSentError(pub Reason);

/// Acknowledgements that have left the list: they are written, or will never be.
#[derive(Debug, Default)]
pub(in crate::device) struct DoneAcks {
    /// In their order.
    pub(in crate::device) acks: SmallVec<[Acknowledged; 8]>,
    /// How many of them had a slot.
    slots: usize,
    /// The room of the slots.
    bytes: usize,
    /// The bytes of the others.
    pub(super) refused: usize,
}

/// What an acknowledgement in the list takes up.
#[derive(Clone, Copy, Debug)]
pub(in crate::device) enum Room {
    /// A slot of so many bytes.
    Slot(usize),
    /// It is a refusal of so many bytes.
    Refusal(usize),
}

/// The slots of one device, and its acknowledgements that wait to be written.
#[derive(Debug)]
pub(super) struct AckList {
    limits: Arc<AckLimits>,
    /// Slots whose acknowledgements are not in the list yet.
    open: usize,
    /// All slots: the open ones, and those of acknowledgements that have not been written.
    slots: usize,
    bytes: usize,
    /// What the slots take of the budget.
    holding: Holding,
    /// The bytes of refusals that have not been written.
    refused: usize,
    ready: VecDeque<(Ack, Room)>,
}

impl AckLimits {
    /// Each device may have so many messages that are not acknowledged, the acknowledgements of all together so many bytes.
    #[must_use]
    pub fn new(messages_each: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            messages_each: AtomicUsize::new(messages_each),
            budget: Budget::new(Store::Unacknowledged, bytes),
        })
    }

    /// Other bounds. Acknowledgements that have room keep it.
    pub fn set(&self, messages_each: usize, bytes: usize) {
        self.messages_each.store(messages_each, Ordering::Relaxed);
        self.budget.set_limit(bytes);
    }

    /// The room that all of them take, in bytes.
    #[must_use]
    pub fn used(&self) -> usize {
        self.budget.used()
    }
}

impl DoneAcks {
    pub(in crate::device) fn add(&mut self, of: Acknowledged, room: Room) {
        self.acks.push(of);
        match room {
            Room::Slot(bytes) => {
                self.slots += 1;
                self.bytes += bytes;
            }
            Room::Refusal(bytes) => self.refused += bytes,
        }
    }
}

impl AckList {
    pub(super) fn new(limits: &Arc<AckLimits>) -> Self {
        Self {
            limits: Arc::clone(limits),
            open: 0,
            slots: 0,
            bytes: 0,
            holding: Holding::default(),
            refused: 0,
            ready: VecDeque::new(),
        }
    }

    /// Takes room for one more acknowledgement. Returns whether there was any.
    pub(super) fn take(&mut self, bytes: usize, holder: impl FnOnce() -> Arc<dyn Holder>) -> bool {
        let (limits, total) = (&self.limits, self.bytes + bytes);
        let has_room = self.slots < limits.messages_each.load(Ordering::Relaxed)
            && total <= limits.budget.limit() / DEVICE_SHARE
            && limits.budget.change(&mut self.holding, total, holder).is_ok();
        if has_room {
            self.open += 1;
            self.slots += 1;
            self.bytes = total;
        }
        has_room
    }

    /// Gives the room of acknowledgements back.
    pub(super) fn give_back(&mut self, done: &DoneAcks, holder: impl FnOnce() -> Arc<dyn Holder>) {
        self.slots -= done.slots;
        self.bytes -= done.bytes;
        self.refused -= done.refused;
        // Giving back is always accepted.
        let _ = self.limits.budget.change(&mut self.holding, self.bytes, holder);
    }

    /// Gives the room of an acknowledgement back that was never made.
    pub(super) fn give_slot_back(&mut self, bytes: usize, holder: impl FnOnce() -> Arc<dyn Holder>) {
        self.open -= 1;
        self.give_back(&DoneAcks { slots: 1, bytes, ..DoneAcks::default() }, holder);
    }

    pub(super) fn push(&mut self, ack: Ack, room: Room) {
        match room {
            Room::Slot(_) => self.open -= 1,
            Room::Refusal(bytes) => self.refused += bytes,
        }
        self.ready.push_back((ack, room));
    }

    pub(super) fn pop(&mut self) -> Option<(Ack, Room)> {
        self.ready.pop_front()
    }

    /// Takes all that wait.
    pub(super) fn drain(&mut self) -> DoneAcks {
        let mut done = DoneAcks::default();
        self.ready.drain(..).for_each(|(ack, room)| done.add(ack.of, room));
        done
    }

    /// Whether acknowledgements are owed or wait to be written.
    pub(super) fn owes(&self) -> bool {
        self.slots > 0
    }

    pub(super) fn refused(&self) -> usize {
        self.refused
    }

    /// Whether the list can be freed.
    pub(super) fn is_unused(&self) -> bool {
        self.slots == 0 && self.refused == 0 && self.ready.is_empty()
    }
}
