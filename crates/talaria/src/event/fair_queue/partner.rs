//! The waiting events of the devices of one partner, and whose turn of them it is.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use wrp::QosLevel;

use super::device::{DeviceEvents, LEVELS, Queued, TURN, Turn};
use super::shares::{Arrivals, Crowd, Flood, Holding};

/// How much longer the list of a partner's events may be than there are events.
const GAPS: usize = 64;

/// How many of the devices with most are looked at to find one that holds far more than the others. If many flood the queue,
/// those with most are some of which that is not known yet.
const LOOK_AT: usize = 32;

/// A map by keys that are hashes already.
pub(super) type ByKey<V> = HashMap<u32, V, BuildHasherDefault<SpreadHasher>>;

/// The events of a partner.
pub(super) struct Partner<T> {
    pub(super) weight: usize,
    pub(super) devices: ByKey<DeviceEvents<T>>,
    /// The devices with waiting events that may leave; the next one is first. Those whose events have given way are skipped.
    pub(super) turns: VecDeque<u32>,
    pub(super) count: usize,
    /// What they take of the room.
    pub(super) size: usize,
    arrivals: Arrivals,
    flood: Flood,
    /// What is left of its turn.
    left: usize,
    /// By level, oldest first: the sequence numbers of the events and their devices. Those that have left are skipped.
    levels: [VecDeque<(u64, u32)>; LEVELS],
    /// The devices with several events, by what they hold.
    largest: BTreeSet<(usize, u32)>,
}

/// Which event gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lowest {
    pub(super) level: usize,
    pub(super) sequence: u64,
    pub(super) device: u32,
}

/// A device that holds far more than its share.
#[derive(Clone, Copy, Debug)]
pub(super) struct FarMore {
    /// The lowest level of its events.
    pub(super) level: usize,
    /// What it holds.
    size: usize,
    pub(super) device: u32,
}

impl FarMore {
    /// The one with the greatest value gives way: that of the lowest level, and among equals the one that holds most.
    pub(super) fn gives_way(&self) -> (Reverse<usize>, usize, u32) {
        (Reverse(self.level), self.size, self.device)
    }
}

impl<T> Partner<T> {
    pub(super) fn new(weight: usize) -> Self {
        Self {
            weight,
            devices: ByKey::default(),
            turns: VecDeque::new(),
            count: 0,
            size: 0,
            arrivals: Arrivals::default(),
            flood: Flood::NONE,
            left: 0,
            levels: Default::default(),
            largest: BTreeSet::new(),
        }
    }

    pub(super) fn crowd(&self) -> Crowd {
        Crowd { devices: self.devices.len(), all: self.holding(), flood: self.flood }
    }

    pub(super) fn holding(&self) -> Holding {
        Holding {
            events: self.count,
            size: self.size,
            arrived: self.arrivals.lately(),
            steady: self.arrivals.steady(),
        }
    }

    pub(super) fn holding_of(&self, device: u32) -> Holding {
        self.devices.get(&device).map(DeviceEvents::holding).unwrap_or_default()
    }

    /// Counts an event of a device that has arrived, whatever becomes of it.
    pub(super) fn arrived(&mut self, device: u32, size: usize) {
        self.arrivals.add(size);
        if let Some(device) = self.devices.get_mut(&device) {
            device.arrivals.add(size);
        }
    }

    /// Adds an event. The device must be there.
    pub(super) fn push(&mut self, key: u32, level: QosLevel, sequence: u64, queued: Queued<T>) {
        let room = queued.sizes.room;
        self.change(key, |device| device.push(sequence, level, queued));
        self.count += 1;
        self.size += room;
        self.levels[level as usize].push_back((sequence, key));
        self.add_turn(key);
    }

    /// Lets the device have turns if it has events and is not held back.
    fn add_turn(&mut self, key: u32) {
        if let Some(device) = self.devices.get_mut(&key)
            && device.turn == Turn::None
            && device.count > 0
        {
            device.turn = Turn::Waits;
            self.turns.push_back(key);
        }
    }

    /// What the next event costs; none if none may leave. The device whose turn it is is then the first.
    pub(super) fn next_cost(&mut self) -> Option<usize> {
        loop {
            let key = *self.turns.front()?;
            let device = self.devices.get_mut(&key)?;
            let Some(cost) = device.next_cost() else {
                device.turn = Turn::None;
                self.turns.pop_front();
                continue;
            };
            if self.turns.len() == 1 || device.can_pay(cost) {
                return Some(cost);
            }
            device.begin_turn();
            self.turns.rotate_left(1);
        }
    }

    /// Takes the event of the device whose turn it is, after [`next_cost`](Self::next_cost). `then` says whether the device
    /// goes on with its turn or is held back. Returns also how many of its events are held back with it.
    pub(super) fn take_next(&mut self, cost: usize, then: Turn) -> Option<(Queued<T>, usize)> {
        let key = *self.turns.front()?;
        let (taken, left, turn) = self.change(key, |device| {
            device.pay(cost);
            let taken = device.take();
            device.turn = if then == Turn::Waits && device.count == 0 { Turn::None } else { then };
            (taken, device.count, device.turn)
        })?;
        if turn != Turn::Waits {
            self.turns.pop_front();
        }
        let held_back = if turn == Turn::HeldBack { left } else { 0 };
        Some((self.count_out(taken)?, held_back))
    }

    /// A device is no longer held back. Returns how many events it has.
    pub(super) fn release(&mut self, key: u32) -> usize {
        let Some(device) = self.devices.get_mut(&key).filter(|device| device.turn == Turn::HeldBack) else {
            return 0;
        };
        device.turn = Turn::None;
        let released = device.count;
        self.add_turn(key);
        released
    }

    pub(super) fn turn_of(&self, key: u32) -> Turn {
        self.devices.get(&key).map_or(Turn::None, |device| device.turn)
    }

    /// Takes the oldest event of the lowest level of a device.
    pub(super) fn take_lowest(&mut self, key: u32) -> Option<Queued<T>> {
        let taken = self.change(key, DeviceEvents::take_lowest)?;
        self.count_out(taken)
    }

    /// The oldest event of the lowest level.
    pub(super) fn lowest(&mut self) -> Option<Lowest> {
        for (level, events) in self.levels.iter_mut().enumerate() {
            while let Some((sequence, device)) = events.front().copied() {
                if is_there(&self.devices, level, (sequence, device)) {
                    return Some(Lowest { level, sequence, device });
                }
                events.pop_front();
            }
        }
        None
    }

    /// Of the devices with most that hold far more than their share of this crowd, the one with the event of the lowest level.
    pub(super) fn far_more(&self, crowd: &Crowd) -> Option<FarMore> {
        let largest = self.largest.iter().rev().take(LOOK_AT);
        let much = largest.take_while(|(size, _)| crowd.is_much(*size));
        let far_more = much.filter_map(|(_, device)| self.far_more_of(*device, crowd));
        far_more.max_by_key(FarMore::gives_way)
    }

    /// The device, if it holds far more than its share of this crowd.
    pub(super) fn far_more_of(&self, device: u32, crowd: &Crowd) -> Option<FarMore> {
        self.of(device, 0).filter(|_| crowd.is_far_more(&self.holding_of(device)))
    }

    /// The device, if it has events. It is about to have so much more.
    pub(super) fn of(&self, device: u32, new: usize) -> Option<FarMore> {
        let events = self.devices.get(&device)?;
        Some(FarMore { level: events.lowest()?, size: events.size + new, device })
    }

    /// Whether it may send an event of this cost in its turn. If so it is paid for.
    pub(super) fn pay(&mut self, cost: usize) -> bool {
        let is_paid = cost <= self.left;
        if is_paid {
            self.left -= cost;
        }
        is_paid
    }

    pub(super) fn begin_turn(&mut self) {
        self.left += TURN * self.weight;
    }

    /// Without events its turns are over. No partner saves turns for later.
    pub(super) fn end_turns(&mut self) {
        self.left = 0;
    }

    /// Begins an epoch, and forgets the devices that have no events and had none in the one before. `sent` gets what the
    /// devices have sent.
    pub(super) fn begin_epoch(&mut self, slot: usize, sent: &mut Vec<usize>) {
        let first = sent.len();
        self.arrivals.begin_epoch();
        self.devices.retain(|_, device| {
            device.arrivals.begin_epoch();
            sent.extend(Some(device.arrivals.mean()).filter(|sent| *sent > 0));
            device.count > 0 || device.turn != Turn::None || device.arrivals.lately() > 0
        });
        self.flood = Flood::of(&mut sent[first..], slot);
    }

    /// The length of the lists by level.
    pub(super) fn listed(&self) -> usize {
        self.levels.iter().map(VecDeque::len).sum()
    }

    /// Changes a device and keeps the order by size.
    fn change<R>(&mut self, key: u32, change: impl FnOnce(&mut DeviceEvents<T>) -> R) -> Option<R> {
        let device = self.devices.get_mut(&key)?;
        let before = (device.count > 1).then_some(device.size);
        let changed = change(device);
        let after = (device.count > 1).then_some(device.size);
        if before != after {
            before.map(|size| self.largest.remove(&(size, key)));
            after.map(|size| self.largest.insert((size, key)));
        }
        Some(changed)
    }

    fn count_out(&mut self, taken: Option<Queued<T>>) -> Option<Queued<T>> {
        let taken = taken?;
        self.count -= 1;
        self.size -= taken.sizes.room;
        if self.listed() > 2 * self.count + GAPS {
            for (level, events) in self.levels.iter_mut().enumerate() {
                events.retain(|event| is_there(&self.devices, level, *event));
            }
        }
        Some(taken)
    }
}

/// Whether this event has not left. The events of one device and level leave in their order.
fn is_there<T>(devices: &ByKey<DeviceEvents<T>>, level: usize, (sequence, device): (u64, u32)) -> bool {
    let oldest = devices.get(&device).and_then(|device| device.oldest_of(level));
    oldest.is_some_and(|oldest| oldest <= sequence)
}

/// Spreads keys that are hashes already over 64 bits.
#[derive(Default)]
pub(super) struct SpreadHasher(u64);

impl Hasher for SpreadHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, key: u32) {
        self.0 = (self.0 ^ u64::from(key)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
