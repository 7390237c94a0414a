//! The acknowledgements of one device, from the message that wants one to the socket (contract §14.21).
//!
//! Room for an acknowledgement is reserved when its message is taken ([`AckSlot`]), and given back when it has been written or
//! its connection has ended. So no acknowledgement is dropped while its device is connected. The room of a device is bounded
//! in messages and bytes, that of all devices in bytes ([`AckLimits`]).
//!
//! A message beyond these bounds is refused, and the refusal is an acknowledgement, too. Refusals wait in the same list, count
//! as messages to the device (`maxQueuedBytes`), and while more than [`MAX_REFUSED`] bytes of them wait, nothing is read from
//! the device: only a device that does not read what it is sent gets there.
//!
//! A device without any has no list. Deliberately absent: frames and their metrics ([`event`](crate::event)), and the turns of
//! acknowledgements and other messages ([`Outbox`](super::Outbox), which has the list). Start reading at [`AckSlot`].

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use talaria_protocol::session::Reason;
use tokio::time::Instant;
use wrp::QosLevel;

use crate::budget::{Budget, Holder, Holding, Store};
use crate::device::Device;

/// While more bytes of refusals than this wait for a device, it is not read.
pub(super) const MAX_REFUSED: usize = 64 * 1024;

/// One device may have this part of the bytes of all devices: a sixteenth.
const DEVICE_SHARE: usize = 16;

/// The bounds of all devices' acknowledgements.
#[derive(Debug)]
pub struct AckLimits {
    messages_each: usize,
    budget: Budget,
}

/// The room of one acknowledgement, which is free again when this is dropped or the acknowledgement has left the list.
#[derive(Debug)]
pub struct AckSlot {
    device: Arc<Device>,
    /// None once the acknowledgement has the room.
    bytes: Option<usize>,
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
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// Its level.
    pub level: QosLevel,
    /// When it arrived.
    pub since: Instant,
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
        Arc::new(Self { messages_each, budget: Budget::new(Store::Unacknowledged, bytes) })
    }

    /// The room that all of them take, in bytes.
    #[must_use]
    pub fn used(&self) -> usize {
        self.budget.used()
    }
}

impl AckSlot {
    pub(in crate::device) fn new(device: &Arc<Device>, bytes: usize) -> Self {
        Self { device: Arc::clone(device), bytes: Some(bytes) }
    }

    /// The device that sent the message.
    #[must_use]
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Queues the acknowledgement, for which there is always room.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn send(&mut self, ack: Ack) -> Result<(), AckNotSentError> {
        let Some(bytes) = self.bytes else { return Ok(()) };
        // If this fails, the drop gives the room back.
        self.device.outbox().send_ack(ack, bytes)?;
        self.bytes = None;
        Ok(())
    }
}

impl Drop for AckSlot {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes {
            self.device.outbox().give_slot_back(&self.device, bytes);
        }
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
        let has_room = self.slots < limits.messages_each
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

    pub(super) fn refused(&self) -> usize {
        self.refused
    }

    /// Whether the list can be freed.
    pub(super) fn is_unused(&self) -> bool {
        self.slots == 0 && self.refused == 0 && self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use talaria_protocol::connect::Identity;

    use super::*;
    use crate::device::{Config, session_id};

    fn device(id: &str) -> Arc<Device> {
        Device::new(Identity::new(id.parse().unwrap(), session_id::random()), &Config::default())
    }

    fn ack(length: usize) -> Ack {
        let of = Acknowledged { level: QosLevel::High, since: Instant::now() };
        Ack { frame: vec![0; length].into(), of }
    }

    #[test]
    fn a_device_gets_as_many_slots_as_it_may_have_and_no_other_device_suffers() {
        let limits = AckLimits::new(2, 1 << 20);
        let (one, other) = (device("mac:112233445566"), device("mac:112233445567"));
        let mut slots =
            vec![one.take_ack_slot(&limits, 100).unwrap(), one.take_ack_slot(&limits, 100).unwrap()];
        assert!(one.take_ack_slot(&limits, 100).is_none());
        assert!(other.take_ack_slot(&limits, 100).is_some());
        slots.pop();
        assert!(one.take_ack_slot(&limits, 100).is_some());
    }

    #[test]
    fn acknowledgements_are_bounded_in_bytes_for_each_device_and_for_all() {
        const MIB: usize = 1024 * 1024;
        let limits = AckLimits::new(1000, 16 * MIB);
        let one = device("mac:112233445566");
        let _slot = one.take_ack_slot(&limits, MIB).unwrap();
        assert!(one.take_ack_slot(&limits, 1).is_none(), "a sixteenth for each");
        let others: Vec<_> = (0..12).map(|number| device(&format!("mac:{number:012x}"))).collect();
        let slots: Vec<_> = others.iter().map_while(|other| other.take_ack_slot(&limits, MIB)).collect();
        assert_eq!(slots.len(), 11, "three quarters for those that have many bytes");
        let other = device("uuid:small");
        assert!(other.take_ack_slot(&limits, 300).is_some(), "others are not affected");
    }

    #[test]
    fn the_room_is_taken_until_the_acknowledgement_is_written() {
        let limits = AckLimits::new(1, 1 << 20);
        let device = device("mac:112233445566");
        let mut slot = device.take_ack_slot(&limits, 100).unwrap();
        slot.send(ack(100)).unwrap();
        drop(slot);
        assert!(device.take_ack_slot(&limits, 100).is_none(), "it waits to be written");
        assert!(device.take_frame().is_some());
        assert!(device.take_ack_slot(&limits, 100).is_some());
    }

    #[test]
    fn messages_and_acknowledgements_take_turns_and_neither_takes_the_room_of_the_other() {
        let limits = AckLimits::new(1000, 1 << 20);
        let device = device("mac:112233445566");
        for _ in 0..100 {
            device.try_send(vec![1; 10].into()).unwrap();
        }
        assert!(device.try_send(vec![1; 10].into()).is_err(), "the queue is full");
        for _ in 0..200 {
            device.take_ack_slot(&limits, 20).unwrap().send(ack(20)).unwrap();
        }
        let lengths: Vec<_> = std::iter::from_fn(|| device.take_frame()).map(|frame| frame.len()).collect();
        assert_eq!(lengths[..200], [20, 10].repeat(100));
        assert_eq!(lengths[200..], [20].repeat(100));
    }

    #[test]
    fn refusals_pause_reading_until_the_device_has_read_them() {
        let limits = AckLimits::new(0, 1 << 20);
        let device = device("mac:112233445566");
        for sent in 0..=MAX_REFUSED / 1024 {
            assert!(!device.outbox().is_reading_paused(), "after {sent}");
            assert!(device.take_ack_slot(&limits, 1024).is_none());
            device.send_refusal(&limits, ack(1024)).unwrap();
        }
        assert!(device.outbox().is_reading_paused());
        device.take_frame().unwrap();
        assert!(!device.outbox().is_reading_paused());
    }

    #[test]
    fn after_the_end_of_the_connection_an_acknowledgement_says_why_it_cannot_be_sent() {
        let limits = AckLimits::new(2, 1 << 20);
        let device = device("mac:112233445566");
        let mut slots = [(); 2].map(|()| device.take_ack_slot(&limits, 100).unwrap());
        slots[0].send(ack(100)).unwrap();
        device.outbox().shut(&device, Reason::Duplicate);
        assert_eq!(slots[1].send(ack(100)), Err(AckNotSentError(Reason::Duplicate)));
        assert!(device.take_frame().is_some(), "what was queued before may still be written");
    }

    proptest! {
        /// Whatever happens to slots, their room is given back exactly once, and an idle device has no list.
        #[test]
        fn all_room_is_given_back(steps in vec((0..5u8, 1..2000usize), 0..200)) {
            let limits = AckLimits::new(20, 1 << 20);
            let device = device("mac:112233445566");
            let mut slots = Vec::new();
            for (step, length) in steps {
                match step {
                    0 | 1 => slots.extend(device.take_ack_slot(&limits, length)),
                    2 => drop(slots.pop()),
                    3 => {
                        if let Some(mut slot) = slots.pop() {
                            slot.send(ack(length)).unwrap();
                        }
                    }
                    _ => drop(device.take_frame()),
                }
            }
            drop(slots);
            while device.take_frame().is_some() {}
            prop_assert!(device.outbox().has_no_ack_list());
            prop_assert_eq!(limits.used(), 0);
        }
    }
}
