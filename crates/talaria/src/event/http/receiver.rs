//! What waits for one configured receiver, and how many requests to it run.
//!
//! A receiver is a scheme, host and port: all URLs there share a queue, since they hang together. Retries that are due go
//! first, then new events, and online and offline events, by turns.
//!
//! Deliberately absent: the room of the queue, and the requests of the other receivers (`receivers.rs`).

use std::collections::VecDeque;

use super::fresh::Fresh;
use super::job::Job;
use super::retries::Retries;

#[derive(Default)]
pub(super) struct Receiver {
    pub(super) fresh: Fresh,
    /// Online and offline events.
    status: VecDeque<Job>,
    is_status_next: bool,
    pub(super) retries: Retries,
    /// Requests that run.
    pub(super) running: usize,
    /// Whether it is on the list of those that take turns.
    pub(super) is_listed: bool,
}

impl Receiver {
    pub(super) fn push_status(&mut self, job: Job) {
        self.status.push_back(job);
    }

    /// Whether an event may be posted, as far as its time decides.
    pub(super) fn has_next(&self) -> bool {
        self.retries.has_due() || !self.fresh.is_empty() || !self.status.is_empty()
    }

    /// Takes the next event.
    pub(super) fn take(&mut self) -> Option<Job> {
        if let Some(job) = self.retries.pop_due() {
            return Some(job);
        }
        self.is_status_next = !self.is_status_next;
        if self.is_status_next {
            self.status.pop_front().or_else(|| self.fresh.pop_front())
        } else {
            self.fresh.pop_front().or_else(|| self.status.pop_front())
        }
    }

    /// Removes all events.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Job> {
        self.status.drain(..).chain(self.fresh.drain()).chain(self.retries.drain())
    }
}
