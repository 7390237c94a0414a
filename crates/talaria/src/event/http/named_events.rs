//! The events for hosts that devices name (contract §5.8), and their room.
//!
//! New events and those that wait for another attempt have as much room each. Nothing gives way here: each device has a bound of
//! its own (`device_share.rs`), so that none takes the room of another.

use tokio::time::Instant;

use super::capacity::Capacity;
use super::job::{Job, Pushed};
use super::receivers::Released;
use super::retries::Retries;
use super::turns::{Started, Turns};
use crate::event::config::QueueLimit;

/// The only holder of the room.
const ALL: usize = 0;

pub(super) struct NamedEvents {
    /// New events, and retries that are due.
    turns: Turns,
    retries: Retries,
    fresh_capacity: Capacity,
    retry_capacity: Capacity,
}

impl NamedEvents {
    /// `limit` is that of new events, and once more that of retries.
    pub(super) fn new(turns: Turns, limit: QueueLimit) -> Self {
        let capacity = || Capacity::new(limit, 1);
        Self { turns, retries: Retries::default(), fresh_capacity: capacity(), retry_capacity: capacity() }
    }

    pub(super) fn push_fresh(&mut self, job: Job) -> Pushed {
        if !self.fresh_capacity.fits(job.body.len()) {
            return Pushed::refused(job);
        }
        self.fresh_capacity.add(ALL, job.body.len());
        self.turns.push_back(job);
        Pushed::default()
    }

    /// Online and offline events never come here: they go to configured receivers.
    pub(super) fn push_status(&mut self, job: Job) {
        self.fresh_capacity.add(ALL, job.body.len());
        self.turns.push_back(job);
    }

    pub(super) fn push_retry(&mut self, due: Instant, job: Job) -> Pushed {
        if !self.retry_capacity.fits(job.body.len()) {
            return Pushed::refused(job);
        }
        self.retry_capacity.add(ALL, job.body.len());
        self.retries.push(due, job);
        Pushed::default()
    }

    pub(super) fn hurry(&mut self, now: Instant) {
        self.retries.hurry(now);
    }

    pub(super) fn release(&mut self, now: Instant) -> Released {
        self.retries.release(now);
        while let Some(job) = self.retries.pop_due() {
            self.turns.push_front(job);
        }
        Released { next: self.retries.next_due(), changes: Vec::new() }
    }

    pub(super) fn take(&mut self) -> Option<(Job, Started)> {
        let (job, started) = self.turns.take()?;
        let capacity = if job.attempts == 0 { &mut self.fresh_capacity } else { &mut self.retry_capacity };
        capacity.remove(ALL, job.body.len());
        Some((job, started))
    }

    pub(super) fn can_start(&self) -> bool {
        self.turns.can_start()
    }

    pub(super) fn ended(&mut self, started: &Started) {
        self.turns.ended(started);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.fresh_capacity.is_empty() && self.retry_capacity.is_empty()
    }

    pub(super) fn drain(&mut self) -> Vec<Job> {
        (self.fresh_capacity, self.retry_capacity) =
            (self.fresh_capacity.emptied(), self.retry_capacity.emptied());
        self.turns.drain().into_iter().chain(self.retries.drain()).collect()
    }
}
