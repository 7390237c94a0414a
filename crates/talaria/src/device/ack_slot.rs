//! The room for the acknowledgement of one message of a device: taken before the message is passed on, so that its outcome
//! can always be sent while the device is connected. The bounds and the list are in `outbox/ack_list.rs`.

use std::sync::Arc;

#[cfg(test)]
use bytes::Bytes;

use super::Device;
#[cfg(test)]
use super::outbox::Origin;
#[cfg(test)]
use super::outbox::ack_list::DoneAcks;
use super::outbox::ack_list::{Ack, AckLimits, AckNotSentError};

/// The room of one acknowledgement, which is free again when this is dropped or the acknowledgement has left the list.
#[derive(Debug)]
pub struct AckSlot {
    device: Arc<Device>,
    /// None once the acknowledgement has the room.
    bytes: Option<usize>,
}

impl Device {
    /// Room for the acknowledgement of one more of its messages, in these bytes; none if it has too many, or all devices
    /// together have.
    #[must_use]
    pub fn take_ack_slot(self: &Arc<Self>, limits: &Arc<AckLimits>, bytes: usize) -> Option<AckSlot> {
        self.outbox().take_slot(self, limits, bytes).then(|| AckSlot::new(self, bytes))
    }

    /// Queues the acknowledgement of a message that is refused because there is no room for it.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn send_refusal(self: &Arc<Self>, limits: &Arc<AckLimits>, ack: Ack) -> Result<(), AckNotSentError> {
        self.outbox().send_refusal(self, limits, ack)
    }

    /// The next message that waits to be written, for tests without a session: it counts as written.
    #[cfg(test)]
    pub(crate) fn take_frame(self: &Arc<Self>) -> Option<Bytes> {
        let outgoing = self.outbox().pop(self)?;
        if let Origin::Ack(of, room) = outgoing.origin {
            let mut done = DoneAcks::default();
            done.add(of, room);
            self.outbox().acks_done(self, &done);
        }
        Some(outgoing.frame)
    }
}

impl AckSlot {
    fn new(device: &Arc<Device>, bytes: usize) -> Self {
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use talaria_protocol::connect::Identity;
    use talaria_protocol::session::Reason;
    use tokio::time::Instant;
    use wrp::QosLevel;

    use super::*;
    use crate::device::outbox::ack_list::{Acknowledged, MAX_REFUSED};
    use crate::device::{Config, session_id};

    fn device(id: &str) -> Arc<Device> {
        Device::new(Identity::new(id.parse().unwrap(), session_id::random()), &Config::default())
    }

    fn ack(length: usize) -> Ack {
        let of = Acknowledged { level: QosLevel::High, since: Instant::now(), trace: None };
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
