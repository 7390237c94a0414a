//! The records that wait, in the order in which they were submitted.
//!
//! Bounded in records and in bytes. A full queue evicts the lowest level first, and within a level the oldest
//! (contract §8.9). It knows no clients: the holder of the backlog's lock takes records out and sends them.

use std::collections::BTreeMap;

use wrp::QosLevel;

use crate::config::WaitingLimit;
use crate::delivery::{DeliveryContext, Record};

/// A record that waits, with its context.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) record: Record,
    pub(crate) context: Box<DeliveryContext>,
}

/// What became of a record that was to wait.
#[derive(Debug)]
pub(super) enum Pushed {
    /// It waits. These records were evicted for it.
    Queued(Vec<Waiting>),
    /// The queue is full of records of higher levels.
    Full(Waiting),
}

const LEVELS: usize = 4;

#[derive(Debug)]
pub(super) struct WaitingQueue {
    /// By level, each by the records' sequence numbers. Maps, because a client that is given up returns thousands of
    /// records that belong before those that wait.
    queues: [BTreeMap<u64, Waiting>; LEVELS],
    bytes: [u64; LEVELS],
    limit: WaitingLimit,
}

impl WaitingQueue {
    pub(super) fn new(limit: WaitingLimit) -> Self {
        Self { queues: Default::default(), bytes: [0; LEVELS], limit }
    }

    /// Records and bytes that wait.
    pub(super) fn used(&self) -> (u64, u64) {
        (self.queues.iter().map(|queue| queue.len() as u64).sum(), self.bytes.iter().sum())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(BTreeMap::is_empty)
    }

    /// Whether a record of this size could wait without evicting another.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let (records, used) = self.used();
        records < self.limit.records && used + bytes as u64 <= self.limit.bytes
    }

    /// Adds a record at the end. Its sequence number must be the highest.
    pub(super) fn push(&mut self, waiting: Waiting) -> Pushed {
        let mut evicted = Vec::new();
        if !self.has_room(waiting.context.bytes) {
            if !self.can_make_room(&waiting.context) {
                return Pushed::Full(waiting);
            }
            while !self.has_room(waiting.context.bytes) {
                evicted.extend(self.pop_lowest());
            }
        }
        let level = waiting.context.level as usize;
        self.bytes[level] += waiting.context.bytes as u64;
        self.queues[level].insert(waiting.context.sequence, waiting);
        Pushed::Queued(evicted)
    }

    /// Puts a record back that the client returned, at its old place. The bounds do not apply, as they did when it left.
    pub(super) fn put_back(&mut self, waiting: Waiting) {
        let level = waiting.context.level as usize;
        self.bytes[level] += waiting.context.bytes as u64;
        self.queues[level].insert(waiting.context.sequence, waiting);
    }

    /// The record that was submitted first.
    pub(super) fn first_mut(&mut self) -> Option<&mut Waiting> {
        let level = self.first_level()?;
        Some(self.queues[level].first_entry()?.into_mut())
    }

    /// Takes out the record that was submitted first.
    pub(super) fn pop_first(&mut self) -> Option<Waiting> {
        self.pop(self.first_level()?)
    }

    /// Takes records from the front of each level as long as `is_late` holds.
    pub(super) fn pop_while(&mut self, is_late: impl Fn(&DeliveryContext) -> bool) -> Vec<Waiting> {
        let mut popped = Vec::new();
        for level in 0..LEVELS {
            while self.queues[level].first_key_value().is_some_and(|(_, waiting)| is_late(&waiting.context)) {
                popped.extend(self.pop(level));
            }
        }
        popped
    }

    /// Whether evicting every record of this level and below leaves enough room.
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

    fn pop_lowest(&mut self) -> Option<Waiting> {
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

    fn queue(records: u64, bytes: u64) -> WaitingQueue {
        WaitingQueue::new(WaitingLimit { records, bytes })
    }

    fn push(queue: &mut WaitingQueue, waiting: Waiting) -> Option<Vec<u64>> {
        match queue.push(waiting) {
            Pushed::Queued(evicted) => Some(evicted.iter().map(|w| w.context.sequence).collect()),
            Pushed::Full(_) => None,
        }
    }

    fn order(queue: &mut WaitingQueue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop_first()).map(|waiting| waiting.context.sequence).collect()
    }

    #[test]
    fn records_leave_in_the_order_of_submission_whatever_their_level() {
        let mut queue = queue(10, 100);
        for (sequence, level) in [(1, QosLevel::Critical), (2, QosLevel::Medium), (3, QosLevel::High)] {
            assert_eq!(push(&mut queue, waiting(sequence, level, 1)), Some(vec![]));
        }
        queue.put_back(waiting(0, QosLevel::High, 1));
        assert_eq!(order(&mut queue), [0, 1, 2, 3]);
        assert_eq!(queue.used(), (0, 0));
    }

    #[test]
    fn the_lowest_level_is_evicted_first_and_then_the_oldest() {
        let mut queue = queue(3, 100);
        for (sequence, level) in [(1, QosLevel::High), (2, QosLevel::Medium), (3, QosLevel::Medium)] {
            push(&mut queue, waiting(sequence, level, 1));
        }
        assert_eq!(push(&mut queue, waiting(4, QosLevel::Critical, 1)), Some(vec![2]));
        assert_eq!(
            push(&mut queue, waiting(5, QosLevel::Medium, 1)),
            Some(vec![3]),
            "the oldest of its own level"
        );
        assert_eq!(push(&mut queue, waiting(6, QosLevel::High, 1)), Some(vec![5]));
        assert_eq!(
            push(&mut queue, waiting(7, QosLevel::Medium, 1)),
            None,
            "all that wait are of higher levels"
        );
        assert_eq!(order(&mut queue), [1, 4, 6]);
    }

    #[test]
    fn a_large_record_evicts_several_small_ones_or_none() {
        let mut queue = queue(10, 10);
        for (sequence, level) in [(1, QosLevel::Medium), (2, QosLevel::Medium), (3, QosLevel::Critical)] {
            push(&mut queue, waiting(sequence, level, 3));
        }
        assert_eq!(push(&mut queue, waiting(4, QosLevel::High, 8)), None, "3 + 8 bytes are more than 10");
        assert_eq!(push(&mut queue, waiting(5, QosLevel::High, 7)), Some(vec![1, 2]));
        assert_eq!(order(&mut queue), [3, 5]);
    }

    #[test]
    fn late_records_are_taken_from_the_front_of_each_level() {
        let mut queue = queue(10, 100);
        for (sequence, level) in [(1, QosLevel::High), (2, QosLevel::Medium), (3, QosLevel::High)] {
            push(&mut queue, waiting(sequence, level, 1));
        }
        let late = queue.pop_while(|context| context.sequence < 3);
        assert_eq!(late.len(), 2);
        assert_eq!(order(&mut queue), [3]);
    }
}
