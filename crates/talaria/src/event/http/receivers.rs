//! The configured receivers of a lane, kept apart: each has a queue of its own, a share of the room and a share of the workers
//! (contract §5.5), so that one that hangs costs its own events only.
//!
//! The receivers with events that may be posted take turns. There are as many receivers as the configuration has schemes, hosts
//! and ports, so their table has no bound of its own.
//!
//! Deliberately absent: a lock and a clock (`queue.rs`). Start reading at [`Receivers::take`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::url::{Origin, Target};
use tokio::time::Instant;

use super::capacity::{Capacity, Fullness};
use super::health::Report;
use super::job::{Job, Pushed};
use super::metrics::HttpMetrics;
use super::pipelining::Pipelining;
use super::receiver::{Ended, MayStart, Receiver, ReceiverChange, StartedRequest, TICK};
use super::worker_shares::WorkerShares;
use crate::device::{Device, Owner};
use crate::event::config::{PipelineDepth, QueueLimit};
use crate::event::fair_queue::Fairness;

/// Of so many workers or more, [`TRIAL_WORKERS`] are left to try a receiver all of whose requests hang.
const FEW_WORKERS: usize = 32;
const TRIAL_WORKERS: usize = 6;

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
    /// When the receivers are looked at again.
    next_tick: Option<Instant>,
    /// When the next event may be posted that had to wait for the pace of its receiver.
    paced_until: Option<Instant>,
    /// Devices that may be read again.
    freed: Vec<Arc<Device>>,
}

/// What happened while the time went on.
#[derive(Default)]
pub(super) struct Released {
    /// When something is due next.
    pub(super) next: Option<Instant>,
    pub(super) changes: Vec<ReceiverChange>,
}

impl Receivers {
    /// `limit` is that of new events, and once more that of retries.
    pub(super) fn new<'a>(
        targets: impl Iterator<Item = &'a Arc<Target>>,
        limit: QueueLimit,
        workers: usize,
        fairness: &Fairness,
        pipeline: PipelineDepth,
        metrics: &HttpMetrics,
    ) -> Self {
        // Targets without a usable host have one receiver together: posting to them fails without a connection.
        let mut by_origin = HashMap::<Option<&Origin>, usize>::new();
        let (mut by_target, mut names) = (Vec::new(), Vec::new());
        for target in targets {
            let origin = target.address().ok().map(|address| &address.origin);
            let at = *by_origin.entry(origin).or_insert_with(|| {
                names.push((origin, Some(Arc::clone(target))));
                names.len() - 1
            });
            by_target.push((address(target), at));
        }
        by_target.sort_unstable();
        if names.is_empty() {
            names.push((None, None));
        }
        let count = names.len();
        let shares = WorkerShares::new(workers, count);
        let most = shares.most();
        let most = if most < FEW_WORKERS { most - most / 8 } else { most - TRIAL_WORKERS };
        let receiver = |(origin, url)| {
            let pipelining = Pipelining::new(pipeline);
            Receiver::new(most, fairness.clone(), pipelining, metrics.receiver(origin), url)
        };
        Self {
            receivers: names.into_iter().map(receiver).collect(),
            by_target,
            turns: VecDeque::new(),
            fresh_capacity: Capacity::new(limit, count),
            retry_capacity: Capacity::new(limit, count),
            status: 0,
            shares,
            next_tick: None,
            paced_until: None,
            freed: Vec::new(),
        }
    }

    /// Queues a new event. Without room an event of the receiver that holds most gives way.
    pub(super) fn push_fresh(&mut self, job: Job) -> Pushed {
        let (at, bytes) = (self.of(&job.target), job.body.len());
        let made = make_room(&mut self.fresh_capacity, at, bytes, |from| {
            let fresh = &mut self.receivers[from].fresh;
            if from == at { fresh.give_way(&job) } else { fresh.shed() }
        });
        let displaced = match made {
            Ok(displaced) => displaced,
            Err(displaced) => return Pushed { refused: Some(job), displaced },
        };
        self.receivers[at].fresh.push_back(job);
        self.list(at);
        Pushed { refused: None, displaced }
    }

    /// Whether there is little room for events of any receiver.
    pub(super) fn is_nearly_full(&self) -> bool {
        self.fresh_capacity.total_fullness() == Fullness::Nearly
    }

    /// Whether there is little room for events to this target.
    pub(super) fn has_little_room(&self, target: &Arc<Target>) -> bool {
        self.fresh_capacity.fullness(self.of(target)) == Fullness::Nearly
    }

    /// Lets a device wait before its next event if it holds much of the receiver's queue.
    pub(super) fn wait_for_room(&mut self, target: &Arc<Target>, device: &Arc<Device>) {
        let at = self.of(target);
        let receiver = &mut self.receivers[at];
        if receiver.makes_room()
            && receiver.fresh.holds_much(device.owner(), self.fresh_capacity.free(at))
            && device.room().begin()
        {
            receiver.waiting_devices.push(device);
        }
    }

    /// The devices that may be read again.
    pub(super) fn take_freed(&mut self) -> Vec<Arc<Device>> {
        std::mem::take(&mut self.freed)
    }

    /// An online or offline event.
    pub(super) fn push_status(&mut self, job: Job) {
        let at = self.of(&job.target);
        self.status += 1;
        self.receivers[at].push_status(job);
        self.list(at);
    }

    /// Keeps an event for another attempt at `due`. Without room another one gives way, as for a new event.
    pub(super) fn push_retry(&mut self, due: Instant, job: Job) -> Pushed {
        let (at, bytes) = (self.of(&job.target), job.body.len());
        let mut displaced = Vec::new();
        if job.is_status() {
            self.status += 1;
        } else {
            let made = make_room(&mut self.retry_capacity, at, bytes, |from| {
                let retries = &mut self.receivers[from].retries;
                if from == at { retries.give_way(&job) } else { retries.shed() }
            });
            displaced = match made {
                Ok(displaced) => displaced,
                Err(displaced) => return Pushed { refused: Some(job), displaced },
            };
        }
        self.receivers[at].retries.push(due, job);
        Pushed { refused: None, displaced }
    }

    /// An event of this owner to this target has ended, after which the next one may leave.
    pub(super) fn turn_ended(&mut self, target: &Arc<Target>, owner: Owner) {
        let at = self.of(target);
        self.receivers[at].fresh.ended(owner);
        self.list(at);
    }

    /// The runtime was late by so much: answers may have waited for their turns.
    pub(super) fn was_late(&mut self, late: Duration) {
        self.receivers.iter_mut().for_each(|receiver| receiver.was_late(late));
    }

    /// Retries wait no longer than until `now`.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.receivers.iter_mut().for_each(|receiver| receiver.retries.hurry(now));
    }

    /// Lets what is due at `now` go on.
    pub(super) fn release(&mut self, now: Instant) -> Released {
        let mut released = Released::default();
        let is_tick = self.next_tick.is_none_or(|tick| tick <= now);
        if is_tick {
            self.next_tick = Some(now + TICK);
        }
        self.paced_until = self.paced_until.filter(|due| *due > now);
        released.next = self.next_tick.into_iter().chain(self.paced_until).min();
        for at in 0..self.receivers.len() {
            let waiting = self.waiting(at);
            let receiver = &mut self.receivers[at];
            released.next = receiver.release(now).into_iter().chain(released.next).min();
            if is_tick {
                released.changes.extend(receiver.tick(now, waiting));
            }
            if receiver.retries.has_due() {
                self.list(at);
            }
        }
        released
    }

    /// The next event that may be posted. [`ended`](Self::ended) must be called with what is returned with it. The clock is read
    /// only for a receiver that has many requests.
    pub(super) fn take(&mut self, clock: impl Fn() -> Instant) -> Option<(Job, StartedRequest)> {
        for _ in 0..self.turns.len() {
            let at = self.turns.pop_front()?;
            if self.receivers[at].has_next() && !self.may_start(at, &clock) {
                self.turns.push_back(at);
                continue;
            }
            let taken = self.take_of(at, &clock);
            let receiver = &mut self.receivers[at];
            if receiver.has_next() {
                self.turns.push_back(at);
            } else {
                receiver.is_listed = false;
            }
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    /// The next event that may be sent to a receiver in the packet of another one.
    pub(super) fn take_further(
        &mut self,
        receiver: usize,
        clock: impl Fn() -> Instant,
    ) -> Option<(Job, StartedRequest)> {
        if self.may_start(receiver, &clock) { self.take_of(receiver, clock) } else { None }
    }

    /// The receiver did not bear several requests in one packet. Returns how long it gets one at a time, if that has begun now.
    pub(super) fn pipelining_failed(&mut self, target: &Arc<Target>, now: Instant) -> Option<Duration> {
        let at = self.of(target);
        self.receivers[at].pipelining_failed(now)
    }

    /// Whether there is an event that may be posted.
    pub(super) fn can_start(&mut self, clock: impl Fn() -> Instant) -> bool {
        (0..self.turns.len()).any(|turn| {
            let at = self.turns[turn];
            self.receivers[at].has_next() && self.may_start(at, &clock)
        })
    }

    /// When the next event may be posted that had to wait for the pace of its receiver.
    pub(super) const fn paced_until(&self) -> Option<Instant> {
        self.paced_until
    }

    /// A request has ended.
    pub(super) fn ended(&mut self, started: StartedRequest, report: &Report) -> Ended {
        let waiting = self.waiting(started.receiver);
        let receiver = &mut self.receivers[started.receiver];
        self.shares.end(receiver.running());
        receiver.ended(started, report, waiting)
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

    /// Whether a receiver may have one more request.
    fn may_start(&mut self, at: usize, clock: impl FnOnce() -> Instant) -> bool {
        let receiver = &self.receivers[at];
        if !self.shares.may_start(receiver.running()) {
            return false;
        }
        match receiver.may_start(clock) {
            MayStart::Yes => true,
            MayStart::No => false,
            MayStart::At(due) => {
                self.paced_until = Some(self.paced_until.map_or(due, |until| until.min(due)));
                false
            }
        }
    }

    fn take_of(&mut self, at: usize, clock: impl Fn() -> Instant) -> Option<(Job, StartedRequest)> {
        let receiver = &mut self.receivers[at];
        let job = receiver.take()?;
        self.shares.start(receiver.running());
        let started = receiver.start(at, clock);
        if job.is_status() {
            self.status -= 1;
        } else if job.attempts == 0 {
            self.fresh_capacity.remove(at, job.body.len());
            let count = match self.fresh_capacity.fullness(at) {
                Fullness::Nearly => 0,
                Fullness::Half => 1,
                Fullness::Free => 4,
            };
            receiver.waiting_devices.free(count, &mut self.freed);
        } else {
            self.retry_capacity.remove(at, job.body.len());
        }
        Some((job, started))
    }

    fn of(&self, target: &Arc<Target>) -> usize {
        let address = address(target);
        let at = self.by_target.binary_search_by_key(&address, |(target, _)| *target);
        at.map_or(0, |at| self.by_target[at].1)
    }

    /// How many events wait for a receiver, without online and offline events.
    fn waiting(&self, at: usize) -> usize {
        self.fresh_capacity.held_by(at) + self.retry_capacity.held_by(at)
    }

    fn list(&mut self, at: usize) {
        let receiver = &mut self.receivers[at];
        if !receiver.is_listed {
            receiver.is_listed = true;
            self.turns.push_back(at);
        }
    }
}

/// Counts an event of the receiver `at`. Without room `take` takes out of a receiver the event that gives way, if one does.
///
/// # Errors
/// If there is still no room, and the event does not count. In both cases the events that were taken out are returned.
fn make_room(
    capacity: &mut Capacity,
    at: usize,
    bytes: usize,
    mut take: impl FnMut(usize) -> Option<Job>,
) -> Result<Vec<Job>, Vec<Job>> {
    let mut displaced = Vec::new();
    while !capacity.fits(bytes) {
        let from = capacity.gives_way(at, bytes);
        let Some(other) = take(from) else { return Err(displaced) };
        capacity.remove(from, other.body.len());
        displaced.push(other);
    }
    capacity.add(at, bytes);
    Ok(displaced)
}

fn address(target: &Arc<Target>) -> usize {
    Arc::as_ptr(target).addr()
}

#[cfg(test)]
mod tests;
