//! New events that wait for their first attempt: oldest first. Without room the lowest level gives way, in it the device that
//! holds most, and of its events the oldest; unless the new event is of that level and device itself, which is then refused
//! (contract §15.2). So a device that floods the gateway takes no room of others.
//!
//! As long as there is room this is a queue and nothing else. Who holds how much is counted from the first time that an event
//! has to give way until few are left.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::iter::from_fn;

use wrp::QosLevel;

use super::job::Job;

/// Levels of quality of service.
const LEVELS: usize = 4;

/// What an event counts in addition to its bytes.
const OVERHEAD: usize = 1024;

/// How much longer than its events the queue may be, because of those that have given way.
const GAPS: usize = 64;

/// Who an event is of, and how important it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) level: QosLevel,
    /// A hash of the device's id: few devices share one.
    pub(super) device: u32,
}

/// The events. `None` is one that has given way.
#[derive(Default)]
pub(super) struct Fresh {
    jobs: VecDeque<Option<Job>>,
    /// The sequence number of the first of `jobs`.
    first: u64,
    /// How many events there are.
    count: usize,
    /// Whose they are; none as long as that does not matter.
    holders: Option<Box<Holders>>,
}

/// The events by level and device, and how many there were when they were counted.
struct Holders {
    levels: [Level; LEVELS],
    counted: usize,
}

/// The events of one level.
#[derive(Default)]
struct Level {
    devices: HashMap<u32, DeviceEvents>,
    /// The devices by what they hold.
    by_size: BTreeSet<(usize, u32)>,
}

/// What a device holds.
#[derive(Default)]
struct DeviceEvents {
    /// The sum of the [`size`]s.
    size: usize,
    /// The sequence numbers and sizes, oldest first.
    events: VecDeque<(u64, usize)>,
}

impl Fresh {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn push_back(&mut self, job: Job) {
        let sequence = self.first + self.jobs.len() as u64;
        if let Some(holders) = &mut self.holders {
            holders.add(&job, sequence);
        }
        self.jobs.push_back(Some(job));
        self.count += 1;
    }

    /// Takes the oldest event.
    pub(super) fn pop_front(&mut self) -> Option<Job> {
        loop {
            let next = self.jobs.pop_front()?;
            self.first += 1;
            if let Some(job) = next {
                self.count -= 1;
                if let Some(holders) = &mut self.holders {
                    holders.remove_oldest(job.rank.level as usize, job.rank.device);
                }
                self.forget_holders();
                return Some(job);
            }
        }
    }

    /// Takes out the event that gives way to this one; none if that one has to.
    pub(super) fn give_way(&mut self, to: &Job) -> Option<Job> {
        self.forget_gaps();
        let (jobs, first) = (&self.jobs, self.first);
        let holders = self.holders.get_or_insert_with(|| Box::new(Holders::of(jobs, first)));
        let sequence = holders.evict(to)?;
        self.take_out(sequence)
    }

    /// Takes out the event that gives way first, whatever it gives way to.
    pub(super) fn shed(&mut self) -> Option<Job> {
        self.forget_gaps();
        let (jobs, first) = (&self.jobs, self.first);
        let holders = self.holders.get_or_insert_with(|| Box::new(Holders::of(jobs, first)));
        let sequence = holders.evict_first()?;
        self.take_out(sequence)
    }

    fn take_out(&mut self, sequence: u64) -> Option<Job> {
        let at = usize::try_from(sequence - self.first).ok()?;
        let job = self.jobs.get_mut(at)?.take()?;
        self.count -= 1;
        Some(job)
    }

    /// Takes all events, oldest first.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Job> {
        from_fn(|| self.pop_front())
    }

    fn forget_gaps(&mut self) {
        if self.jobs.len() > 2 * self.count + GAPS {
            self.jobs.retain(Option::is_some);
            self.holders = None;
        }
    }

    fn forget_holders(&mut self) {
        if self.holders.as_ref().is_some_and(|holders| self.count <= holders.counted / 4) {
            self.holders = None;
        }
    }
}

impl Holders {
    fn of(jobs: &VecDeque<Option<Job>>, first: u64) -> Self {
        let mut holders = Self { levels: Default::default(), counted: jobs.len() };
        for (sequence, job) in (first..).zip(jobs) {
            if let Some(job) = job {
                holders.add(job, sequence);
            }
        }
        holders
    }

    fn add(&mut self, job: &Job, sequence: u64) {
        let Rank { level, device } = job.rank;
        self.levels[level as usize].change(device, |held| {
            held.events.push_back((sequence, size(job)));
            held.size += size(job);
        });
    }

    /// Removes the oldest event of a device in a level, and returns its sequence number.
    fn remove_oldest(&mut self, level: usize, device: u32) -> Option<u64> {
        self.levels[level].change(device, |held| {
            let (sequence, size) = held.events.pop_front()?;
            held.size -= size;
            Some(sequence)
        })
    }

    /// Removes the event that gives way first.
    fn evict_first(&mut self) -> Option<u64> {
        let lowest = self.levels.iter().position(|level| !level.by_size.is_empty())?;
        let (_, of) = *self.levels[lowest].by_size.last()?;
        self.remove_oldest(lowest, of)
    }

    /// Removes the event that gives way to this one.
    fn evict(&mut self, to: &Job) -> Option<u64> {
        let lowest = self.levels.iter().position(|level| !level.by_size.is_empty())?;
        let (most, of) = *self.levels[lowest].by_size.last()?;
        let Rank { level, device } = to.rank;
        if lowest > level as usize {
            return None;
        }
        if lowest == level as usize {
            let own = self.levels[lowest].devices.get(&device).map_or(0, |held| held.size);
            if own + size(to) > most {
                return None;
            }
        }
        self.remove_oldest(lowest, of)
    }
}

impl Level {
    fn change<T>(&mut self, device: u32, change: impl FnOnce(&mut DeviceEvents) -> T) -> T {
        let held = self.devices.entry(device).or_default();
        self.by_size.remove(&(held.size, device));
        let changed = change(held);
        if held.events.is_empty() {
            self.devices.remove(&device);
        } else {
            self.by_size.insert((held.size, device));
        }
        changed
    }
}

/// What an event counts.
fn size(job: &Job) -> usize {
    job.body.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;
    use talaria_protocol::url::Target;
    use tokio::time::Instant;

    use super::super::job::JobKind;
    use super::QosLevel::{Critical, High, Low, Medium};
    use super::*;
    use crate::event::reason::SchemeLabel;

    /// An event whose only attempt number tells which one it is.
    fn job(level: QosLevel, device: u32, number: u32) -> Job {
        Job {
            target: Arc::new(Target::parse("http://h/").unwrap()),
            body: Bytes::new(),
            scheme: SchemeLabel::Event,
            kind: JobKind::Event,
            rank: Rank { level, device },
            deadline: Instant::now(),
            attempts: number,
            share: None,
        }
    }

    fn number(job: Option<Job>) -> Option<u32> {
        job.map(|job| job.attempts)
    }

    #[test]
    fn the_lowest_level_gives_way_and_in_it_the_oldest_of_the_device_with_most() {
        let mut fresh = Fresh::default();
        for (number, (level, device)) in
            [(High, 1), (Low, 1), (Low, 2), (Low, 2), (Medium, 3), (Medium, 3)].into_iter().enumerate()
        {
            fresh.push_back(job(level, device, number as u32));
        }
        let mut to = |level, device| number(fresh.give_way(&job(level, device, 0)));
        assert_eq!(to(Low, 2), None, "the second device has most already");
        assert_eq!(to(Low, 9), Some(2));
        assert_eq!(to(Low, 1), None, "with the new one it would have most");
        assert_eq!(to(Critical, 9), Some(3));
        assert_eq!(to(Medium, 9), Some(1), "the lowest level first");
        assert_eq!(to(Low, 9), None, "the others are more important");
        assert_eq!(to(High, 9), Some(4));
        assert_eq!(number(fresh.pop_front()), Some(0));
        assert_eq!(number(fresh.pop_front()), Some(5));
        assert!(fresh.is_empty() && fresh.pop_front().is_none());
    }

    #[test]
    fn a_long_event_of_a_device_does_not_displace_the_short_ones_of_others() {
        let mut fresh = Fresh::default();
        (0..3).for_each(|device| fresh.push_back(job(Low, device, 0)));
        let long = |level| Job { body: Bytes::from(vec![0; 100]), ..job(level, 9, 0) };
        assert!(fresh.give_way(&long(Low)).is_none());
        assert!(fresh.give_way(&long(Medium)).is_some(), "it is more important");
    }

    #[test]
    fn a_queue_full_of_a_flood_has_room_for_everybody_else_and_takes_no_more_memory() {
        let mut fresh = Fresh::default();
        (0..1000).for_each(|number| fresh.push_back(job(Low, 0, number)));
        for device in 1..=500 {
            assert!(fresh.give_way(&job(Low, 0, 0)).is_none(), "the flood goes on");
            let displaced = fresh.give_way(&job(Low, device, 0)).unwrap();
            assert_eq!((displaced.rank.device, displaced.attempts), (0, device - 1));
            fresh.push_back(job(Low, device, 0));
        }
        assert!(fresh.jobs.len() <= 2 * 1000 + GAPS + 1, "{}", fresh.jobs.len());
        let of_flood: Vec<_> =
            fresh.drain().filter(|job| job.rank.device == 0).map(|job| job.attempts).collect();
        assert_eq!(of_flood, (500..1000).collect::<Vec<_>>());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8, u32),
        Pop,
        GiveWay(u8, u32),
    }

    fn level(number: u8) -> QosLevel {
        [Low, Medium, High, Critical][usize::from(number)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..4u8, 0..3u32).prop_map(|(level, device)| Step::Push(level, device)),
            1 => Just(Step::Pop),
            2 => (0..4u8, 0..3u32).prop_map(|(level, device)| Step::GiveWay(level, device)),
        ]
    }

    proptest! {
        /// Compared with a list that is searched.
        #[test]
        fn it_does_what_a_search_would(steps in proptest::collection::vec(step(), 0..200)) {
            let (mut fresh, mut list) = (Fresh::default(), Vec::<(u8, u32, u32)>::new());
            for (at, step) in (0..).zip(steps) {
                match step {
                    Step::Push(rank, device) => {
                        fresh.push_back(job(level(rank), device, at));
                        list.push((rank, device, at));
                    }
                    Step::Pop => {
                        let oldest = (!list.is_empty()).then(|| list.remove(0).2);
                        prop_assert_eq!(number(fresh.pop_front()), oldest);
                    }
                    Step::GiveWay(rank, device) => {
                        let given = fresh.give_way(&job(level(rank), device, 0));
                        let lowest = list.iter().map(|event| event.0).min().filter(|lowest| *lowest <= rank);
                        let count = |of: u32| {
                            list.iter().filter(|event| Some(event.0) == lowest && event.1 == of).count()
                        };
                        let most = (0..3).map(count).max().unwrap_or(0);
                        let holds_most = lowest == Some(rank) && count(device) + 1 > most;
                        match given {
                            None => prop_assert!(lowest.is_none() || holds_most),
                            Some(given) => {
                                let of = given.rank.device;
                                prop_assert_eq!(Some(given.rank.level), lowest.map(level));
                                prop_assert!(count(of) == most && !holds_most);
                                let oldest = list.iter().position(|e| Some(e.0) == lowest && e.1 == of).unwrap();
                                prop_assert_eq!(list.remove(oldest).2, given.attempts);
                            }
                        }
                    }
                }
                prop_assert_eq!(fresh.count, list.len());
            }
            let left: Vec<_> = fresh.drain().map(|job| job.attempts).collect();
            prop_assert_eq!(left, list.into_iter().map(|event| event.2).collect::<Vec<_>>());
        }
    }
}
