//! The waiting room: records of QoS 25 and above that found the client's buffer full, in the order they came.
//!
//! It is bounded in records and in bytes. When it is full, the lowest level gives way first, and within a level the
//! oldest (contract §15.2). It knows nothing of clients: whoever holds its lock takes records out and sends them.

use std::collections::BTreeMap;

use wrp::QosLevel;

use crate::config::WaitingLimit;
use crate::delivery::DeliveryContext;
use crate::delivery::Record;

/// A record that waits, with its context.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) record: Record,
    pub(crate) context: Box<DeliveryContext>,
}

/// What became of a record that asked to wait.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It waits. These had to give way to it.
    Admitted(Vec<Waiting>),
    /// There is no room for it, nor anything that would give way.
    Full(Waiting),
}

const LEVELS: usize = 4;

#[derive(Debug)]
pub(crate) struct WaitingRoom {
    /// By level; each by the contexts' sequence numbers. A map, because a client that is given up brings back thousands
    /// of records that belong before those that wait.
    queues: [BTreeMap<u64, Waiting>; LEVELS],
    bytes: [u64; LEVELS],
    limit: WaitingLimit,
}

impl WaitingRoom {
    pub(crate) fn new(limit: WaitingLimit) -> WaitingRoom {
        WaitingRoom { queues: Default::default(), bytes: [0; LEVELS], limit }
    }

    /// Records and bytes that wait.
    pub(crate) fn used(&self) -> (u64, u64) {
        (self.queues.iter().map(|queue| queue.len() as u64).sum(), self.bytes.iter().sum())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(BTreeMap::is_empty)
    }

    /// Whether a record of this size could wait without another giving way.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let (records, used) = self.used();
        records < self.limit.records && used + bytes as u64 <= self.limit.bytes
    }

    /// Takes a record in, at the end. Its sequence number must be the highest.
    pub(crate) fn admit(&mut self, waiting: Waiting) -> Admission {
        let mut displaced = Vec::new();
        if !self.has_room(waiting.context.bytes) {
            if !self.can_make_room(&waiting.context) {
                return Admission::Full(waiting);
            }
            while !self.has_room(waiting.context.bytes) {
                displaced.extend(self.pop_least());
            }
        }
        let level = waiting.context.level as usize;
        self.bytes[level] += waiting.context.bytes as u64;
        self.queues[level].insert(waiting.context.sequence, waiting);
        Admission::Admitted(displaced)
    }

    /// Takes back a record that was on its way already, at its old place. Bounds do not apply: it was counted before.
    pub(crate) fn put_back(&mut self, waiting: Waiting) {
        let level = waiting.context.level as usize;
        self.bytes[level] += waiting.context.bytes as u64;
        self.queues[level].insert(waiting.context.sequence, waiting);
    }

    /// The record that came first.
    pub(crate) fn first_mut(&mut self) -> Option<&mut Waiting> {
        let level = self.first_level()?;
        Some(self.queues[level].first_entry()?.into_mut())
    }

    /// Takes out the record that came first.
    pub(crate) fn pop_first(&mut self) -> Option<Waiting> {
        self.pop(self.first_level()?)
    }

    /// Takes out the records of the front for which `late` holds, level by level.
    pub(crate) fn pop_while(&mut self, late: impl Fn(&DeliveryContext) -> bool) -> Vec<Waiting> {
        let mut popped = Vec::new();
        for level in 0..LEVELS {
            while self.queues[level].first_key_value().is_some_and(|(_, waiting)| late(&waiting.context)) {
                popped.extend(self.pop(level));
            }
        }
        popped
    }

    /// Whether the records that would give way to this one leave enough room.
    fn can_make_room(&self, context: &DeliveryContext) -> bool {
        let above = context.level as usize + 1..;
        let records: usize = self.queues[above.clone()].iter().map(BTreeMap::len).sum();
        let bytes: u64 = self.bytes[above].iter().sum();
        (records as u64) < self.limit.records && bytes + context.bytes as u64 <= self.limit.bytes
    }

    fn first_level(&self) -> Option<usize> {
        let first = |level: &usize| self.queues[*level].first_key_value().map(|(sequence, _)| *sequence);
        (0..LEVELS).filter(|level| !self.queues[*level].is_empty()).min_by_key(first)
    }

    fn pop_least(&mut self) -> Option<Waiting> {
        self.pop((0..LEVELS).find(|level| !self.queues[*level].is_empty())?)
    }

    fn pop(&mut self, level: usize) -> Option<Waiting> {
        let waiting = self.queues[level].pop_first()?.1;
        self.bytes[level] -= waiting.context.bytes as u64;
        Some(waiting)
    }
}

/// The queue of a level is its number.
const _: () = assert!(QosLevel::Low as usize == 0 && QosLevel::Critical as usize == LEVELS - 1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::delivery::{MessageContext, ReceiptShare};
    use crate::routing::{HeaderBlock, Target};
    use crate::schema::Frame;

    fn waiting(sequence: u64, level: QosLevel, bytes: usize) -> Waiting {
        let target = Target::new("t", "");
        let message = MessageContext { event_type: "x", level, submitted: Instant::now() };
        let share = ReceiptShare::default();
        let mut context = DeliveryContext::new(Arc::clone(&target), &message, Frame::Closed, share);
        (context.sequence, context.bytes) = (sequence, bytes);
        let record =
            Record { target, key: None, value: vec![0; bytes].into(), headers: HeaderBlock::default() };
        Waiting { record, context }
    }

    fn room(records: u64, bytes: u64) -> WaitingRoom {
        WaitingRoom::new(WaitingLimit { records, bytes })
    }

    fn admit(room: &mut WaitingRoom, waiting: Waiting) -> Option<Vec<u64>> {
        match room.admit(waiting) {
            Admission::Admitted(displaced) => Some(displaced.iter().map(|w| w.context.sequence).collect()),
            Admission::Full(_) => None,
        }
    }

    fn order(room: &mut WaitingRoom) -> Vec<u64> {
        std::iter::from_fn(|| room.pop_first()).map(|waiting| waiting.context.sequence).collect()
    }

    #[test]
    fn records_leave_in_the_order_they_came_whatever_their_level() {
        let mut room = room(10, 100);
        for (sequence, level) in [(1, QosLevel::Critical), (2, QosLevel::Medium), (3, QosLevel::High)] {
            assert_eq!(admit(&mut room, waiting(sequence, level, 1)), Some(vec![]));
        }
        room.put_back(waiting(0, QosLevel::High, 1));
        assert_eq!(order(&mut room), [0, 1, 2, 3]);
        assert_eq!(room.used(), (0, 0));
    }

    #[test]
    fn the_lowest_level_gives_way_first_and_then_the_oldest() {
        let mut room = room(3, 100);
        for (sequence, level) in [(1, QosLevel::High), (2, QosLevel::Medium), (3, QosLevel::Medium)] {
            admit(&mut room, waiting(sequence, level, 1));
        }
        assert_eq!(admit(&mut room, waiting(4, QosLevel::Critical, 1)), Some(vec![2]));
        assert_eq!(
            admit(&mut room, waiting(5, QosLevel::Medium, 1)),
            Some(vec![3]),
            "the oldest of its own level"
        );
        assert_eq!(admit(&mut room, waiting(6, QosLevel::High, 1)), Some(vec![5]));
        assert_eq!(admit(&mut room, waiting(7, QosLevel::Medium, 1)), None, "all that wait are above it");
        assert_eq!(order(&mut room), [1, 4, 6]);
    }

    #[test]
    fn a_large_record_displaces_several_small_ones_or_none() {
        let mut room = room(10, 10);
        for (sequence, level) in [(1, QosLevel::Medium), (2, QosLevel::Medium), (3, QosLevel::Critical)] {
            admit(&mut room, waiting(sequence, level, 3));
        }
        assert_eq!(admit(&mut room, waiting(4, QosLevel::High, 8)), None, "3 + 8 bytes are more than 10");
        assert_eq!(admit(&mut room, waiting(5, QosLevel::High, 7)), Some(vec![1, 2]));
        assert_eq!(order(&mut room), [3, 5]);
    }

    #[test]
    fn what_is_late_is_taken_from_the_front_of_each_level() {
        let mut room = room(10, 100);
        for (sequence, level) in [(1, QosLevel::High), (2, QosLevel::Medium), (3, QosLevel::High)] {
            admit(&mut room, waiting(sequence, level, 1));
        }
        let late = room.pop_while(|context| context.sequence < 3);
        assert_eq!(late.len(), 2);
        assert_eq!(order(&mut room), [3]);
    }
}
