//! The events of a queue that may be posted now, and which of them is next.

use std::collections::VecDeque;

use super::job::Job;
use super::turns::{Started, Turns};

/// New events, and retries that are due.
pub(super) enum Backlog {
    /// Retries first, then the oldest new event.
    InOrder(InOrder),
    /// Devices take turns.
    InTurns(Turns),
}

#[derive(Default)]
pub(super) struct InOrder {
    fresh: VecDeque<Job>,
    due: VecDeque<Job>,
}

impl Backlog {
    pub(super) fn push_fresh(&mut self, job: Job) {
        match self {
            Self::InOrder(jobs) => jobs.fresh.push_back(job),
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
            Self::InOrder(jobs) => Some((jobs.due.pop_front().or_else(|| jobs.fresh.pop_front())?, None)),
            Self::InTurns(turns) => turns.take().map(|(job, started)| (job, Some(started))),
        }
    }

    /// Whether there is an event that may be posted.
    pub(super) fn can_start(&self) -> bool {
        match self {
            Self::InOrder(jobs) => !jobs.due.is_empty() || !jobs.fresh.is_empty(),
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
            Self::InOrder(jobs) => jobs.fresh.drain(..).chain(jobs.due.drain(..)).collect(),
            Self::InTurns(turns) => turns.drain(),
        }
    }
}
