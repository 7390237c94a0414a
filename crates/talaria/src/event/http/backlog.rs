//! The events of a queue that may be posted now, and which of them is next.

use std::collections::VecDeque;

use super::fresh::Fresh;
use super::job::Job;
use super::turns::{Started, Turns};

/// New events, and retries that are due.
pub(super) enum Backlog {
    /// Retries first, then the oldest new event and the oldest status event by turns.
    InOrder(InOrder),
    /// Devices take turns.
    InTurns(Turns),
}

#[derive(Default)]
pub(super) struct InOrder {
    fresh: Fresh,
    /// Online and offline events.
    status: VecDeque<Job>,
    is_status_next: bool,
    due: VecDeque<Job>,
}

impl Backlog {
    pub(super) fn push_fresh(&mut self, job: Job) {
        match self {
            Self::InOrder(jobs) => jobs.fresh.push_back(job),
            Self::InTurns(turns) => turns.push_back(job),
        }
    }

    /// Takes out a new event that gives way to this one, if one does.
    pub(super) fn give_way(&mut self, to: &Job) -> Option<Job> {
        match self {
            Self::InOrder(jobs) => jobs.fresh.give_way(to),
            // Each device has its own bound, so that none takes the room of another.
            Self::InTurns(_) => None,
        }
    }

    /// An online or offline event.
    pub(super) fn push_status(&mut self, job: Job) {
        match self {
            Self::InOrder(jobs) => jobs.status.push_back(job),
            Self::InTurns(turns) => turns.push_back(job),
        }
    }

    pub(super) fn push_due(&mut self, job: Job) {
        match self {
            Self::InOrder(jobs) => jobs.due.push_back(job),
            Self::InTurns(turns) => turns.push_front(job),
        }
    }

    /// The next event that may be posted. If what is returned with it is something, [`ended`](Self::ended) must be called
    /// with it.
    pub(super) fn take(&mut self) -> Option<(Job, Option<Started>)> {
        match self {
            Self::InOrder(jobs) => Some((jobs.take()?, None)),
            Self::InTurns(turns) => turns.take().map(|(job, started)| (job, Some(started))),
        }
    }

    /// Whether there is an event that may be posted.
    pub(super) fn can_start(&self) -> bool {
        match self {
            Self::InOrder(jobs) => !jobs.due.is_empty() || !jobs.fresh.is_empty() || !jobs.status.is_empty(),
            Self::InTurns(turns) => turns.can_start(),
        }
    }

    /// A request has ended.
    pub(super) fn ended(&mut self, started: &Started) {
        if let Self::InTurns(turns) = self {
            turns.ended(started);
        }
    }

    /// Removes all events.
    pub(super) fn drain(&mut self) -> Vec<Job> {
        match self {
            Self::InOrder(jobs) => {
                jobs.status.drain(..).chain(jobs.fresh.drain()).chain(jobs.due.drain(..)).collect()
            }
            Self::InTurns(turns) => turns.drain(),
        }
    }
}

impl InOrder {
    fn take(&mut self) -> Option<Job> {
        if let Some(job) = self.due.pop_front() {
            return Some(job);
        }
        self.is_status_next = !self.is_status_next;
        if self.is_status_next {
            self.status.pop_front().or_else(|| self.fresh.pop_front())
        } else {
            self.fresh.pop_front().or_else(|| self.status.pop_front())
        }
    }
}
