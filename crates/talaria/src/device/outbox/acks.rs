//! The acknowledgements in an outbox: their room, and what wakes the session for them. The list itself is in `ack_list`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use talaria_protocol::session::Reason;

use super::ack_list::{Ack, AckLimits, AckList, AckNotSentError, DoneAcks, MAX_REFUSED, Room};
use super::{Outbox, Phase};
use crate::budget::Holder;

impl Outbox {
    /// Takes room for the acknowledgement of one more message. Returns whether there was any.
    pub(in crate::device) fn take_slot<H: Holder + 'static>(
        &self,
        device: &Arc<H>,
        limits: &Arc<AckLimits>,
        bytes: usize,
    ) -> bool {
        let mut state = self.state.lock();
        let list = state.acks.get_or_insert_with(|| Box::new(AckList::new(limits)));
        let has_room = list.take(bytes, || Arc::clone(device) as Arc<dyn Holder>);
        state.free_unused_list();
        has_room
    }

    /// Gives the room of an acknowledgement back that was never made.
    pub(in crate::device) fn give_slot_back<H: Holder + 'static>(&self, device: &Arc<H>, bytes: usize) {
        let mut state = self.state.lock();
        if let Some(list) = &mut state.acks {
            list.give_slot_back(bytes, || Arc::clone(device) as Arc<dyn Holder>);
        }
        state.free_unused_list();
    }

    /// Queues an acknowledgement that has a slot.
    pub(in crate::device) fn send_ack(&self, ack: Ack, bytes: usize) -> Result<(), AckNotSentError> {
        let mut state = self.state.lock();
        if let Phase::Closed(reason) = state.phase {
            return Err(AckNotSentError(reason));
        }
        if let Some(list) = &mut state.acks {
            list.push(ack, Room::Slot(bytes));
        }
        drop(state);
        self.session.wake();
        Ok(())
    }

    /// Queues an acknowledgement that has no slot: its message is refused. If many wait, nothing is read from the device
    /// until it has read them.
    pub(in crate::device) fn send_refusal<H: Holder + 'static>(
        &self,
        device: &Arc<H>,
        limits: &Arc<AckLimits>,
        ack: Ack,
    ) -> Result<(), AckNotSentError> {
        let bytes = ack.frame.len();
        let mut state = self.state.lock();
        if let Phase::Closed(reason) = state.phase {
            return Err(AckNotSentError(reason));
        }
        let list = state.acks.get_or_insert_with(|| Box::new(AckList::new(limits)));
        list.push(ack, Room::Refusal(bytes));
        self.is_reading_paused.store(list.refused() > MAX_REFUSED, Ordering::Relaxed);
        state.outside += bytes;
        // It has to be queued, whether it has room or not. Without room, a device that holds more has to go.
        let _ = self.account(&mut state, device);
        drop(state);
        self.session.wake();
        Ok(())
    }

    /// Acknowledgements that were taken out are written, or will never be: their room is free again.
    pub(in crate::device) fn acks_done<H: Holder + 'static>(&self, device: &Arc<H>, done: &DoneAcks) {
        let mut state = self.state.lock();
        if let Some(list) = &mut state.acks {
            list.give_back(done, || Arc::clone(device) as Arc<dyn Holder>);
            self.is_reading_paused.store(list.refused() > MAX_REFUSED, Ordering::Relaxed);
        }
        state.free_unused_list();
        if done.refused > 0 {
            state.outside = state.outside.saturating_sub(done.refused);
            self.account_less(&mut state, device);
        }
    }

    /// Takes all acknowledgements that wait, since they cannot be written any more. Also returns why the session has ended.
    pub(in crate::device) fn take_acks(&self) -> (DoneAcks, Reason) {
        let mut state = self.state.lock();
        let done = state.acks.as_mut().map(|list| list.drain()).unwrap_or_default();
        let Phase::Closed(reason) = state.phase else { return (done, Reason::Unknown) };
        (done, reason)
    }

    /// Whether messages of the device wait for their outcome, or acknowledgements to be written.
    pub(in crate::device) fn owes_acks(&self) -> bool {
        self.state.lock().acks.as_ref().is_some_and(|list| list.owes())
    }

    /// Whether so many refusals wait that nothing is to be read from the device.
    pub(in crate::device) fn is_reading_paused(&self) -> bool {
        self.is_reading_paused.load(Ordering::Relaxed)
    }

    /// Whether the device takes no memory for acknowledgements.
    #[cfg(test)]
    pub(in crate::device) fn has_no_ack_list(&self) -> bool {
        self.state.lock().acks.is_none()
    }
}
