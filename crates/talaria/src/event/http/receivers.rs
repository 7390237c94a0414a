//! The configured receivers of a lane, kept apart: each has a queue of its own, a share of the room and a share of the workers
//! (contract §5.5), so that one that hangs costs its own events only.
//!
//! The receivers with events that may be posted take turns. There are as many receivers as the configuration has schemes, hosts
//! and ports, so their table has no bound of its own.
//!
//! Deliberately absent: a lock and a clock (`queue.rs`). Start reading at [`Receivers::take`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use talaria_protocol::url::{Origin, Target};
use tokio::time::Instant;

use super::capacity::Capacity;
use super::job::{Job, Pushed};
use super::receiver::Receiver;
use super::worker_shares::WorkerShares;
use crate::event::config::QueueLimit;

pub(super) struct Receivers {
    receivers: Vec<Receiver>,
    /// The receiver of each configured target, by the target's address, which stays as long as the configuration.
    by_target: Vec<(usize, usize)>,
    /// Those that may have an event to post; the next one is first.
    turns: VecDeque<usize>,
    fresh_capacity: Capacity,
    retry_capacity: Capacity,
    /// Online and offline events, new or to be posted again. Their room is not the queue's.
    status: usize,
    shares: WorkerShares,
}

/// A request that runs.
pub(super) struct StartedRequest {
    receiver: usize,
}

impl Receivers {
    /// `limit` is that of new events, and once more that of retries.
    pub(super) fn new<'a>(
        targets: impl Iterator<Item = &'a Arc<Target>>,
        limit: QueueLimit,
        workers: usize,
    ) -> Self {
        // Targets without a usable host have one receiver together: posting to them fails without a connection.
        let mut by_origin = HashMap::<Option<&Origin>, usize>::new();
        let mut by_target = Vec::new();
        for target in targets {
            let origin = target.address().ok().map(|address| &address.origin);
            let next = by_origin.len();
            by_target.push((address(target), *by_origin.entry(origin).or_insert(next)));
        }
        by_target.sort_unstable();
        let count = by_origin.len().max(1);
        Self {
            receivers: (0..count).map(|_| Receiver::default()).collect(),
            by_target,
            turns: VecDeque::new(),
            fresh_capacity: Capacity::new(limit, count),
            retry_capacity: Capacity::new(limit, count),
            status: 0,
            shares: WorkerShares::new(workers, count),
        }
    }

    /// Queues a new event. Without room an event of the receiver that holds most gives way.
    pub(super) fn push_fresh(&mut self, job: Job) -> Pushed {
        let (at, bytes) = (self.of(&job), job.body.len());
        let mut displaced = Vec::new();
        while !self.fresh_capacity.fits(bytes) {
            let from = self.fresh_capacity.gives_way(at, bytes);
            let fresh = &mut self.receivers[from].fresh;
            let Some(other) = (if from == at { fresh.give_way(&job) } else { fresh.shed() }) else {
                return Pushed { refused: Some(job), displaced };
            };
            self.fresh_capacity.remove(from, other.body.len());
            displaced.push(other);
        }
        self.fresh_capacity.add(at, bytes);
        self.receivers[at].fresh.push_back(job);
        self.list(at);
        Pushed { refused: None, displaced }
    }

    /// An online or offline event.
    pub(super) fn push_status(&mut self, job: Job) {
        let at = self.of(&job);
        self.status += 1;
        self.receivers[at].push_status(job);
        self.list(at);
    }

    /// Keeps an event for another attempt at `due`. Without room another one gives way, as for a new event.
    pub(super) fn push_retry(&mut self, due: Instant, job: Job) -> Pushed {
        let (at, bytes) = (self.of(&job), job.body.len());
        let mut displaced = Vec::new();
        if job.is_status() {
            self.status += 1;
        } else {
            while !self.retry_capacity.fits(bytes) {
                let from = self.retry_capacity.gives_way(at, bytes);
                let retries = &mut self.receivers[from].retries;
                let Some(other) = (if from == at { retries.give_way(&job) } else { retries.shed() }) else {
                    return Pushed { refused: Some(job), displaced };
                };
                self.retry_capacity.remove(from, other.body.len());
                displaced.push(other);
            }
            self.retry_capacity.add(at, bytes);
        }
        self.receivers[at].retries.push(due, job);
        Pushed { refused: None, displaced }
    }

    /// Lets retries that are due at `now` be posted. Returns when the next one is due.
    pub(super) fn release(&mut self, now: Instant) -> Option<Instant> {
        for at in 0..self.receivers.len() {
            let retries = &mut self.receivers[at].retries;
            retries.release(now);
            if retries.has_due() {
                self.list(at);
            }
        }
        self.receivers.iter().filter_map(|receiver| receiver.retries.next_due()).min()
    }

    /// The next event that may be posted. [`ended`](Self::ended) must be called with what is returned with it.
    pub(super) fn take(&mut self) -> Option<(Job, StartedRequest)> {
        for _ in 0..self.turns.len() {
            let at = self.turns.pop_front()?;
            let receiver = &mut self.receivers[at];
            if receiver.has_next() && !self.shares.may_start(receiver.running) {
                self.turns.push_back(at);
                continue;
            }
            let job = receiver.take();
            if receiver.has_next() {
                self.turns.push_back(at);
            } else {
                receiver.is_listed = false;
            }
            let Some(job) = job else { continue };
            self.shares.start(receiver.running);
            receiver.running += 1;
            if job.is_status() {
                self.status -= 1;
            } else if job.attempts == 0 {
                self.fresh_capacity.remove(at, job.body.len());
            } else {
                self.retry_capacity.remove(at, job.body.len());
            }
            return Some((job, StartedRequest { receiver: at }));
        }
        None
    }

    /// Whether there is an event that may be posted.
    pub(super) fn can_start(&self) -> bool {
        self.turns.iter().any(|at| {
            let receiver = &self.receivers[*at];
            receiver.has_next() && self.shares.may_start(receiver.running)
        })
    }

    /// A request has ended.
    pub(super) fn ended(&mut self, started: &StartedRequest) {
        let receiver = &mut self.receivers[started.receiver];
        self.shares.end(receiver.running);
        receiver.running -= 1;
    }

    /// Whether nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.fresh_capacity.is_empty() && self.retry_capacity.is_empty() && self.status == 0
    }

    /// Removes all events.
    pub(super) fn drain(&mut self) -> Vec<Job> {
        (self.fresh_capacity, self.retry_capacity) =
            (self.fresh_capacity.emptied(), self.retry_capacity.emptied());
        self.status = 0;
        self.receivers.iter_mut().flat_map(Receiver::drain).collect()
    }

    fn of(&self, job: &Job) -> usize {
        let address = address(&job.target);
        let at = self.by_target.binary_search_by_key(&address, |(target, _)| *target);
        at.map_or(0, |at| self.by_target[at].1)
    }

    fn list(&mut self, at: usize) {
        let receiver = &mut self.receivers[at];
        if !receiver.is_listed {
            receiver.is_listed = true;
            self.turns.push_back(at);
        }
    }
}

fn address(target: &Arc<Target>) -> usize {
    Arc::as_ptr(target).addr()
}
