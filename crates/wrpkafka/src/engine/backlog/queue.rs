//! The records of one lane that wait.
//!
//! They leave in turns of their devices (the records' keys), each turn worth [`TURN`] bytes: deficit round robin, so that a
//! device with many records does not hold up the others. Within a turn the device whose record has waited longest comes
//! first, so that without contention records leave in the order of submission. Records of one key never change places.
//! A hash of the key tells devices apart: a few may share their turns, and the number of turns has a bound.
//!
//! What leaves first if there is no room is another order: the lowest level, and in it the oldest (contract §8.9).

use std::collections::{BTreeMap, BTreeSet};

use wrp::QosLevel;

use crate::delivery::{DeliveryContext, Record};

/// A record that waits, with its context.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) record: Record,
    pub(crate) context: Box<DeliveryContext>,
}

/// What waits beside a record's bytes: its context, its receipt, its places in the queue. Held by a test that counts
/// allocations (`tests/it/waiting_memory.rs`).
const OVERHEAD: usize = 256;

pub(super) const LEVELS: usize = 4;

/// How many bytes a device may send in its turn. What a large record takes beyond that counts in its next turns.
const TURN: i64 = 4 << 10;

/// The hash of a key.
type DeviceHash = u8;

#[derive(Debug)]
pub(super) struct WaitingQueue {
    devices: BTreeMap<DeviceHash, Device>,
    /// The first record of each device, in the order in which they leave: by round, then by sequence number.
    next: BTreeSet<(u64, u64, DeviceHash)>,
    /// By level the oldest record of each device, by sequence number.
    oldest: [BTreeSet<(u64, DeviceHash)>; LEVELS],
    records: [u64; LEVELS],
    bytes: [u64; LEVELS],
    /// How many of them were refused in a batch, and have to be sent alone.
    alone: u64,
    /// The round of the record that left last.
    round: u64,
    /// Chosen at random by the publisher, so that no device can choose an id that shares the turns of a certain other one.
    seed: u64,
}

/// The records of the devices of one hash.
#[derive(Debug)]
struct Device {
    /// By level, each by the records' sequence numbers. Maps, because a client that is given up returns thousands of
    /// records that belong before those that wait.
    /// A context holds its record here, so that the maps' nodes are small.
    levels: [BTreeMap<u64, Box<DeliveryContext>>; LEVELS],
    /// The round in which it sends next, and how many bytes of that turn are left.
    round: u64,
    left: i64,
}

/// Where a device stands in the orders of the queue.
#[derive(PartialEq, Eq)]
struct Place {
    next: Option<(u64, u64)>,
    oldest: [Option<u64>; LEVELS],
}

impl Waiting {
    /// The bytes that it holds while it waits.
    pub(crate) fn held(&self) -> usize {
        self.record.held() + OVERHEAD
    }
}

impl WaitingQueue {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            devices: BTreeMap::new(),
            next: BTreeSet::new(),
            oldest: Default::default(),
            records: [0; LEVELS],
            bytes: [0; LEVELS],
            alone: 0,
            round: 0,
            seed,
        }
    }

    /// Records and bytes that wait.
    pub(super) fn used(&self) -> (u64, u64) {
        (self.records.iter().sum(), self.bytes.iter().sum())
    }

    /// Records and bytes that wait with a level above this one.
    pub(super) fn used_above(&self, level: QosLevel) -> (u64, u64) {
        let above = level as usize + 1..;
        (self.records[above.clone()].iter().sum(), self.bytes[above].iter().sum())
    }

    /// Records and bytes that wait, by level.
    pub(super) fn used_by_level(&self) -> [(u64, u64); LEVELS] {
        std::array::from_fn(|level| (self.records[level], self.bytes[level]))
    }

    /// Whether records have to be sent alone.
    pub(super) fn has_alone(&self) -> bool {
        self.alone > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// Adds a record at the place of its sequence number.
    pub(super) fn insert(&mut self, waiting: Waiting) {
        let level = waiting.context.level as usize;
        self.records[level] += 1;
        self.bytes[level] += waiting.held() as u64;
        self.alone += u64::from(waiting.context.goes_alone);
        let hash = self.hash(waiting.record.key().unwrap_or_default());
        let Waiting { record, mut context } = waiting;
        context.record = record;
        self.change(hash, |device| {
            device.levels[level].insert(context.sequence, context);
        });
    }

    /// The context of the record that leaves next, which holds the record.
    pub(super) fn first_mut(&mut self) -> Option<&mut DeliveryContext> {
        let (_, sequence, hash) = *self.next.first()?;
        let levels = &mut self.devices.get_mut(&hash)?.levels;
        levels.iter_mut().find_map(|level| level.get_mut(&sequence)).map(|context| &mut **context)
    }

    /// Takes out the record that leaves next.
    pub(super) fn pop_first(&mut self) -> Option<Waiting> {
        let (round, sequence, hash) = *self.next.first()?;
        self.round = round;
        let popped = self.change(hash, |device| {
            let popped = device.levels.iter_mut().find_map(|level| level.remove(&sequence))?;
            device.left -= i64::try_from(popped.bytes()).unwrap_or(i64::MAX);
            while device.left <= 0 {
                device.round += 1;
                device.left += TURN;
            }
            Some(popped)
        });
        self.counted(popped)
    }

    /// Takes out the oldest record of the lowest level.
    pub(super) fn pop_lowest(&mut self) -> Option<Waiting> {
        let level = self.oldest.iter().position(|oldest| !oldest.is_empty())?;
        self.pop_oldest(level)
    }

    /// Takes out the oldest record of low level.
    pub(super) fn pop_low(&mut self) -> Option<Waiting> {
        self.pop_oldest(QosLevel::Low as usize)
    }

    /// Takes records from the front of each level as long as `is_late` holds.
    pub(super) fn pop_while(
        &mut self,
        is_late: impl Fn(&DeliveryContext) -> bool,
        popped: &mut Vec<Waiting>,
    ) {
        for level in 0..LEVELS {
            while self.oldest_of(level).is_some_and(&is_late) {
                popped.extend(self.pop_oldest(level));
            }
        }
    }

    /// The contexts of the oldest records, of one for each level that has any.
    pub(super) fn oldest(&self) -> impl Iterator<Item = &DeliveryContext> {
        (0..LEVELS).filter_map(|level| self.oldest_of(level))
    }

    fn oldest_of(&self, level: usize) -> Option<&DeliveryContext> {
        let (sequence, hash) = self.oldest[level].first()?;
        self.devices.get(hash)?.levels[level].get(sequence).map(|context| &**context)
    }

    fn pop_oldest(&mut self, level: usize) -> Option<Waiting> {
        let (sequence, hash) = *self.oldest[level].first()?;
        let popped = self.change(hash, |device| device.levels[level].remove(&sequence));
        self.counted(popped)
    }

    /// Counts a record that was taken out, and separates it from its context.
    fn counted(&mut self, popped: Option<Box<DeliveryContext>>) -> Option<Waiting> {
        let mut context = popped?;
        let waiting = Waiting { record: std::mem::take(&mut context.record), context };
        let level = waiting.context.level as usize;
        self.records[level] -= 1;
        self.bytes[level] -= waiting.held() as u64;
        self.alone -= u64::from(waiting.context.goes_alone);
        Some(waiting)
    }

    /// Changes the records of a device, and its place in the orders.
    fn change<R>(&mut self, hash: DeviceHash, work: impl FnOnce(&mut Device) -> R) -> R {
        // A device without waiting records joins the round that is being served.
        let round = self.next.first().map_or(self.round, |(round, ..)| *round);
        let device = self.devices.entry(hash).or_insert_with(|| Device::new(round));
        let before = device.place();
        let result = work(device);
        let after = device.place();
        if after.next.is_none() {
            self.devices.remove(&hash);
        }
        if before.next != after.next {
            move_to(&mut self.next, before.next, after.next, |(round, sequence)| (round, sequence, hash));
        }
        for (level, oldest) in self.oldest.iter_mut().enumerate() {
            if before.oldest[level] != after.oldest[level] {
                move_to(oldest, before.oldest[level], after.oldest[level], |sequence| (sequence, hash));
            }
        }
        result
    }

    /// FNV-1a of the key, begun with the seed, and folded.
    fn hash(&self, key: &[u8]) -> DeviceHash {
        let hash = key.iter().fold(self.seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let [a, b, c, d, e, f, g, h] = hash.to_ne_bytes();
        a ^ b ^ c ^ d ^ e ^ f ^ g ^ h
    }
}

impl Device {
    fn new(round: u64) -> Self {
        Self { levels: Default::default(), round, left: TURN }
    }

    fn place(&self) -> Place {
        let oldest =
            std::array::from_fn(|level| self.levels[level].first_key_value().map(|(first, _)| *first));
        let first = oldest.iter().flatten().min();
        Place { next: first.map(|sequence| (self.round, *sequence)), oldest }
    }
}

fn move_to<P, E: Ord>(set: &mut BTreeSet<E>, from: Option<P>, to: Option<P>, entry: impl Fn(P) -> E) {
    if let Some(from) = from {
        set.remove(&entry(from));
    }
    set.extend(to.map(entry));
}

/// The queue of a level is its number.
const _: () = assert!(QosLevel::Low as usize == 0 && QosLevel::Critical as usize == LEVELS - 1);

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    use super::*;
    use crate::delivery::{MessageContext, ReceiptShare};
    use crate::routing::{HeaderBlock, Target};
    use crate::schema::Frame;

    pub(in crate::engine::backlog) fn waiting(
        key: &str,
        sequence: u64,
        level: QosLevel,
        bytes: usize,
    ) -> Waiting {
        let target = Target::new("t", "");
        let message = MessageContext { event_type: "x", level, submitted: Instant::now() };
        let share = ReceiptShare::default();
        let mut context = DeliveryContext::new(target, &message, Frame::Closed, share);
        context.sequence = sequence;
        context.set_bytes(bytes);
        let headers = HeaderBlock::default();
        let record = Record::new(Some(key.as_bytes()), &vec![0; bytes], headers.as_ref());
        Waiting { record, context }
    }

    fn order(queue: &mut WaitingQueue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop_first()).map(|waiting| waiting.context.sequence).collect()
    }

    #[test]
    fn records_leave_in_the_order_of_submission_whatever_their_level() {
        let mut queue = WaitingQueue::new(0);
        for (key, sequence, level) in
            [("a", 1, QosLevel::Critical), ("b", 2, QosLevel::Medium), ("a", 3, QosLevel::High)]
        {
            queue.insert(waiting(key, sequence, level, 1));
        }
        queue.insert(waiting("c", 0, QosLevel::High, 1));
        assert_eq!(order(&mut queue), [0, 1, 2, 3]);
        assert_eq!((queue.used(), queue.has_alone(), queue.is_empty()), ((0, 0), false, true));
    }

    #[test]
    fn a_device_with_many_records_lets_the_others_have_their_turns() {
        let mut queue = WaitingQueue::new(0);
        let record = usize::try_from(TURN / 2).unwrap();
        for sequence in 0..8 {
            queue.insert(waiting("many", sequence, QosLevel::High, record));
        }
        queue.insert(waiting("few", 8, QosLevel::Medium, record));
        queue.insert(waiting("others", 9, QosLevel::Medium, 5 * record));
        queue.insert(waiting("few", 10, QosLevel::Medium, record));
        queue.insert(waiting("others", 11, QosLevel::Medium, record));
        assert_eq!(order(&mut queue), [0, 1, 8, 9, 10, 2, 3, 4, 5, 11, 6, 7]);
    }

    #[test]
    fn records_of_a_key_keep_their_order_whatever_comes_and_goes() {
        let mut queue = WaitingQueue::new(0);
        let mut random = 12345_u64;
        let mut next = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut in_client: Vec<Waiting> = Vec::new();
        let mut delivered: BTreeMap<Box<[u8]>, u64> = BTreeMap::new();
        for sequence in 1..4_000 {
            let key = format!("{}", next(400));
            let level = [QosLevel::Medium, QosLevel::High][usize::try_from(next(2)).unwrap()];
            let bytes = usize::try_from(next(3_000)).unwrap();
            queue.insert(waiting(&key, sequence, level, bytes));
            match next(4) {
                // The client returns all that it has.
                0 => in_client.drain(..).for_each(|waiting| queue.insert(waiting)),
                1 => {
                    for waiting in in_client.drain(..) {
                        let last =
                            delivered.insert(waiting.record.key().unwrap().into(), waiting.context.sequence);
                        assert!(last.is_none_or(|last| last < waiting.context.sequence));
                    }
                }
                _ => in_client.extend(queue.pop_first()),
            }
        }
        while let Some(waiting) = queue.pop_first() {
            let last = delivered.insert(waiting.record.key().unwrap().into(), waiting.context.sequence);
            assert!(last.is_none_or(|last| last < waiting.context.sequence));
        }
        assert_eq!((queue.used(), queue.devices.len(), queue.next.len()), ((0, 0), 0, 0));
        assert!(queue.oldest.iter().all(BTreeSet::is_empty));
    }

    #[test]
    fn the_oldest_of_the_lowest_level_is_taken_out_first() {
        let mut queue = WaitingQueue::new(0);
        for (key, sequence, level) in
            [("a", 1, QosLevel::High), ("b", 3, QosLevel::Medium), ("c", 2, QosLevel::Medium)]
        {
            queue.insert(waiting(key, sequence, level, 1));
        }
        assert_eq!(queue.used_above(QosLevel::Medium).0, 1);
        let popped: Vec<_> = std::iter::from_fn(|| queue.pop_lowest()).map(|w| w.context.sequence).collect();
        assert_eq!(popped, [2, 3, 1]);
    }

    #[test]
    fn late_records_are_taken_from_the_front_of_each_level() {
        let mut queue = WaitingQueue::new(0);
        for (sequence, level) in [(1, QosLevel::High), (2, QosLevel::Medium), (3, QosLevel::High)] {
            queue.insert(waiting("a", sequence, level, 1));
        }
        let mut late = Vec::new();
        queue.pop_while(|context| context.sequence < 3, &mut late);
        assert_eq!(late.len(), 2);
        assert_eq!(order(&mut queue), [3]);
    }
}
