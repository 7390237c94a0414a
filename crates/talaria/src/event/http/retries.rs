//! The events of one receiver that wait for another attempt, each until its time has come.
//!
//! Without room the lowest level gives way, and in it the event that has waited for the longest time, as among the new events.
//! Online and offline events have room of their own and never give way.
//!
//! Deliberately absent: a clock, and how long an event waits. The caller of [`Retries::release`] knows
//! what time it is.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::job::Job;

/// The waiting events, by when they are due and by what gives way first.
#[derive(Default)]
pub(super) struct Retries {
    jobs: BTreeMap<(Instant, u64), Job>,
    /// Level, sequence number and time of the events that may have to give way.
    by_rank: BTreeSet<(usize, u64, Instant)>,
    sequence: u64,
    /// The events that are due by then may be posted.
    released: Option<Instant>,
}

impl Retries {
    pub(super) fn push(&mut self, due: Instant, job: Job) {
        self.sequence += 1;
        if !job.is_status() {
            self.by_rank.insert((job.rank.level as usize, self.sequence, due));
        }
        self.jobs.insert((due, self.sequence), job);
    }

    /// From now on, events that are due at `now` may be posted.
    pub(super) fn release(&mut self, now: Instant) {
        self.released = Some(now);
    }

    /// All events are due at `now`, if they would be due later.
    pub(super) fn hurry(&mut self, now: Instant) {
        let later = self.jobs.split_off(&(now, 0));
        self.by_rank =
            self.by_rank.iter().map(|(level, sequence, due)| (*level, *sequence, now.min(*due))).collect();
        self.jobs.extend(later.into_iter().map(|((_, sequence), job)| ((now, sequence), job)));
    }

    /// When the first event is due that may not be posted yet.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let from = self.released.map(|released| (released, u64::MAX));
        let next = match from {
            Some(from) => self.jobs.range(from..).next(),
            None => self.jobs.first_key_value(),
        };
        next.map(|((due, _), _)| *due)
    }

    /// Whether an event may be posted.
    pub(super) fn has_due(&self) -> bool {
        self.jobs.first_key_value().is_some_and(|((due, _), _)| Some(*due) <= self.released)
    }

    /// Takes the event that has been due for the longest time.
    pub(super) fn pop_due(&mut self) -> Option<Job> {
        if !self.has_due() {
            return None;
        }
        let ((due, sequence), job) = self.jobs.pop_first()?;
        self.by_rank.remove(&(job.rank.level as usize, sequence, due));
        Some(job)
    }

    /// Takes out the event that gives way to this one; none if all are more important.
    pub(super) fn give_way(&mut self, to: &Job) -> Option<Job> {
        let (level, ..) = self.by_rank.first()?;
        if *level > to.rank.level as usize { None } else { self.shed() }
    }

    /// Takes out the event that gives way first.
    pub(super) fn shed(&mut self) -> Option<Job> {
        let (_, sequence, due) = self.by_rank.pop_first()?;
        self.jobs.remove(&(due, sequence))
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Job> + use<> {
        self.by_rank.clear();
        std::mem::take(&mut self.jobs).into_values()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wrp::QosLevel::{self, Critical, High, Low, Medium};

    use super::super::job::tests::job;
    use super::*;

    /// Events of these levels, whose device number tells which one it is, due one second after the other.
    fn retries(start: Instant, levels: &[QosLevel]) -> Retries {
        let mut retries = Retries::default();
        for (number, level) in (0..).zip(levels) {
            retries.push(start + Duration::from_secs(number.into()), job(*level, number));
        }
        retries
    }

    fn number(job: Option<Job>) -> Option<u32> {
        job.map(|job| job.rank.owner.device)
    }

    #[test]
    fn events_are_posted_in_the_order_in_which_they_are_due_and_not_before() {
        let start = Instant::now();
        let mut retries = retries(start, &[Low, High, Medium]);
        assert!(!retries.has_due());
        assert_eq!(retries.next_due(), Some(start));
        retries.release(start + Duration::from_secs(1));
        assert_eq!(retries.next_due(), Some(start + Duration::from_secs(2)));
        assert_eq!((number(retries.pop_due()), number(retries.pop_due())), (Some(0), Some(1)));
        assert!(retries.pop_due().is_none());
        retries.release(start + Duration::from_secs(2));
        assert_eq!((number(retries.pop_due()), retries.next_due()), (Some(2), None));
    }

    #[test]
    fn in_a_hurry_everything_is_due_now() {
        let start = Instant::now();
        let mut retries = retries(start, &[Low, High, Medium]);
        retries.hurry(start + Duration::from_secs(1));
        assert_eq!(number(retries.give_way(&job(Low, 9))), Some(0));
        retries.release(start + Duration::from_secs(1));
        assert_eq!((number(retries.pop_due()), number(retries.pop_due())), (Some(1), Some(2)));
        assert_eq!(number(retries.shed()), None);
    }

    #[test]
    fn the_lowest_level_gives_way_and_in_it_what_has_waited_longest() {
        let start = Instant::now();
        let mut retries = retries(start, &[High, Low, Medium, Low]);
        retries.release(start + Duration::from_secs(1));
        let mut to = |level| number(retries.give_way(&job(level, 9)));
        assert_eq!((to(Low), to(Critical)), (Some(1), Some(3)));
        assert_eq!(to(Low), None, "the others are more important");
        assert_eq!(to(Medium), Some(2));
        assert_eq!((number(retries.pop_due()), number(retries.shed())), (Some(0), None));
    }
}
