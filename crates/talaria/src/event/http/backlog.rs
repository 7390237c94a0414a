//! The events of a queue: those that wait, and which of them may be posted now.

use tokio::time::Instant;

use super::job::{Job, Pushed};
use super::named_events::NamedEvents;
use super::receivers::{Receivers, StartedRequest};
use super::turns;

/// New events, and those that wait for another attempt.
pub(super) enum Backlog {
    /// Configured receivers take turns, each with its own queue.
    ByReceiver(Receivers),
    /// Devices take turns.
    Named(NamedEvents),
}

/// A request that runs.
pub(super) enum Started {
    ToReceiver(StartedRequest),
    ToNamedHost(turns::Started),
}

impl Backlog {
    /// Queues a new event.
    pub(super) fn push_fresh(&mut self, job: Job) -> Pushed {
        match self {
            Self::ByReceiver(receivers) => receivers.push_fresh(job),
            Self::Named(named) => named.push_fresh(job),
        }
    }

    /// Queues an online or offline event.
    pub(super) fn push_status(&mut self, job: Job) {
        match self {
            Self::ByReceiver(receivers) => receivers.push_status(job),
            Self::Named(named) => named.push_status(job),
        }
    }

    /// Keeps an event for another attempt at `due`.
    pub(super) fn push_retry(&mut self, due: Instant, job: Job) -> Pushed {
        match self {
            Self::ByReceiver(receivers) => receivers.push_retry(due, job),
            Self::Named(named) => named.push_retry(due, job),
        }
    }

    /// Does what is due at `now`, and returns when it has to be called again.
    pub(super) fn release(&mut self, now: Instant) -> Option<Instant> {
        match self {
            Self::ByReceiver(receivers) => receivers.release(now),
            Self::Named(named) => named.release(now),
        }
    }

    /// The next event that may be posted. [`ended`](Self::ended) must be called with what is returned with it.
    pub(super) fn take(&mut self) -> Option<(Job, Started)> {
        match self {
            Self::ByReceiver(receivers) => {
                receivers.take().map(|(job, started)| (job, Started::ToReceiver(started)))
            }
            Self::Named(named) => named.take().map(|(job, started)| (job, Started::ToNamedHost(started))),
        }
    }

    /// Whether there is an event that may be posted.
    pub(super) fn can_start(&self) -> bool {
        match self {
            Self::ByReceiver(receivers) => receivers.can_start(),
            Self::Named(named) => named.can_start(),
        }
    }

    /// A request has ended.
    pub(super) fn ended(&mut self, started: &Started) {
        match (self, started) {
            (Self::ByReceiver(receivers), Started::ToReceiver(started)) => receivers.ended(started),
            (Self::Named(named), Started::ToNamedHost(started)) => named.ended(started),
            (Self::ByReceiver(_), Started::ToNamedHost(_)) | (Self::Named(_), Started::ToReceiver(_)) => {}
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::ByReceiver(receivers) => receivers.is_empty(),
            Self::Named(named) => named.is_empty(),
        }
    }

    /// Removes all events.
    pub(super) fn drain(&mut self) -> Vec<Job> {
        match self {
            Self::ByReceiver(receivers) => receivers.drain(),
            Self::Named(named) => named.drain(),
        }
    }
}
