//! What waits for one configured receiver, which requests to it run, and how many more may.
//!
//! A receiver is a scheme, host and port: all URLs there share a queue, since they hang together. Retries that are due go
//! first, then new events, and online and offline events, by turns.
//!
//! A receiver may stop answering without an error. When it has no further request to give to an event that waits, and no answer has
//! come for a while, its requests are *set aside*: they go on, but count no longer against the limit, and
//! the breaker lets one more request try the receiver, and another one each second as long as there are workers.
//!
//! Deliberately absent: the capacity of the queue, and the requests of the other receivers (`receivers.rs`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::url::Target;
use tokio::time::Instant;

use super::breaker::{Breaker, Change, State};
use super::health::{Cause, Health, Report};
use super::job::Job;
use super::limit::Limit;
use super::metrics::ReceiverGauges;
use super::pace::Pace;
use super::pipelining::Pipelining;
use super::retries::Retries;
use super::waiting_devices::WaitingDevices;
use crate::event::fair_queue::{FairQueue, Fairness};
use crate::random;

/// How often [`Receiver::tick`] is called.
pub(super) const TICK: Duration = Duration::from_millis(500);

/// For so long no request has to be answered before the receiver counts as stalled, at least, and if it is not known how long it
/// takes.
const STALLED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// After so long, or ten times of what answers take, a request is given up, so that its event may have another attempt.
const LONG: Duration = Duration::from_secs(30);

/// A queue that takes longer than this makes no room for a device that waits for some of a second.
const SOON: Duration = Duration::from_secs(3);

/// A receiver that usually takes longer than this to answer gets one event at a time: behind each other on one connection they would
/// wait for each other, and their packets are not what costs.
const QUICK: Duration = Duration::from_millis(50);

/// After so many ticks a request that tries the receiver is set aside, so that another one may.
const TRIAL_TICKS: u32 = 2;

pub(super) struct Receiver {
    pub(super) fresh: FairQueue<Job>,
    /// Online and offline events.
    status: VecDeque<Job>,
    is_status_next: bool,
    pub(super) retries: Retries,
    /// Devices that are not read until there is room.
    pub(super) waiting_devices: WaitingDevices,
    /// Requests that run.
    running: usize,
    /// Those of them that are set aside.
    aside: usize,
    /// Raised whenever requests are set aside: those of an earlier generation are.
    generation: u32,
    limit: Limit,
    pace: Pace,
    breaker: Breaker,
    pipelining: Pipelining,
    /// Whether the limit starts again from one when a request that tries the receiver closes the breaker.
    starts_again: bool,
    /// How long an answer takes, rather too long than too short; none before the first one.
    usual: Option<Duration>,
    /// Ticks without an answer.
    silent_ticks: u32,
    has_answered: bool,
    /// Whether it is on the list of those that take turns.
    pub(super) is_listed: bool,
    gauges: ReceiverGauges,
    /// One of its URLs, for log lines.
    url: Option<Arc<Target>>,
}

/// A request that runs.
#[derive(Clone, Copy)]
pub(super) struct StartedRequest {
    pub(super) receiver: usize,
    generation: u32,
    round: u32,
    /// How long it may take, if that is known before its event's deadline.
    pub(super) time: Option<Duration>,
    /// As many events that wait may be sent with it.
    pub(super) further: usize,
}

/// Whether a receiver gets one more request.
pub(super) enum MayStart {
    Yes,
    At(Instant),
    /// Not before something changes.
    No,
}

/// What the end of a request has changed.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) change: Option<ReceiverChange>,
    /// When the receiver may be tried again.
    pub(super) due: Option<Instant>,
}

/// A receiver has failed, or works again.
pub(super) struct ReceiverChange {
    url: Option<Arc<Target>>,
    change: Change,
    cause: Cause,
    waiting: usize,
}

impl Receiver {
    /// `most` is the highest number of requests.
    pub(super) fn new(
        most: usize,
        fairness: Fairness,
        pipelining: Pipelining,
        gauges: ReceiverGauges,
        url: Option<Arc<Target>>,
    ) -> Self {
        Self {
            fresh: FairQueue::new(fairness),
            status: VecDeque::new(),
            is_status_next: false,
            retries: Retries::default(),
            waiting_devices: WaitingDevices::default(),
            running: 0,
            aside: 0,
            generation: 0,
            limit: Limit::new(most),
            pace: Pace::default(),
            breaker: Breaker::new(),
            pipelining,
            starts_again: false,
            usual: None,
            silent_ticks: 0,
            has_answered: false,
            is_listed: false,
            gauges,
            url,
        }
    }

    pub(super) fn push_status(&mut self, job: Job) {
        self.status.push_back(job);
    }

    /// How many requests run.
    pub(super) const fn running(&self) -> usize {
        self.running
    }

    /// Whether an event waits whose time has come.
    pub(super) fn has_next(&self) -> bool {
        self.retries.has_due() || self.fresh.can_start() || !self.status.is_empty()
    }

    /// Whether it bears one more request. The clock is read only if it has many.
    pub(super) fn may_start(&self, clock: impl FnOnce() -> Instant) -> MayStart {
        let bears = match self.breaker.state() {
            State::Closed { .. } => self.limit.allows(self.running - self.aside),
            State::Open { .. } => false,
            State::HalfOpen { is_trying } => !is_trying,
        };
        if !bears {
            return MayStart::No;
        }
        let due = if self.is_paced() { self.pace.due(clock()) } else { None };
        due.map_or(MayStart::Yes, MayStart::At)
    }

    const fn is_paced(&self) -> bool {
        Pace::is_needed(self.running - self.aside, self.limit.value())
    }

    /// Whether events leave its queue so quickly that a device which waits for room gets some. One that hangs or takes its time
    /// must not slow down the devices, whose other events go elsewhere.
    pub(super) fn makes_room(&self) -> bool {
        let waiting = u32::try_from(self.fresh.len()).unwrap_or(u32::MAX);
        let at_once = u32::try_from(self.limit.value()).unwrap_or(u32::MAX).max(1);
        let is_quick = |usual: Duration| usual.saturating_mul(waiting) / at_once <= SOON;
        matches!(self.breaker.state(), State::Closed { .. })
            && self.silent_ticks == 0
            && self.usual.is_none_or(is_quick)
    }

    /// Takes the next event.
    pub(super) fn take(&mut self) -> Option<Job> {
        if let Some(job) = self.retries.pop_due() {
            return Some(job);
        }
        self.is_status_next = !self.is_status_next;
        if self.is_status_next {
            self.status.pop_front().or_else(|| self.take_fresh())
        } else {
            self.take_fresh().or_else(|| self.status.pop_front())
        }
    }

    fn take_fresh(&mut self) -> Option<Job> {
        let mut job = self.fresh.pop_front()?;
        job.begin_turn();
        Some(job)
    }

    /// A request starts.
    pub(super) fn start(&mut self, receiver: usize, clock: impl FnOnce() -> Instant) -> StartedRequest {
        if let Some(unloaded) = self.limit.unloaded().filter(|_| self.is_paced()) {
            self.pace.started(clock(), self.limit.value(), unloaded);
        }
        self.running += 1;
        let round = self.limit.started(self.running - self.aside);
        let trial = self.breaker.started(self.usual);
        if trial.is_some() {
            self.silent_ticks = 0;
        }
        let time = trial.or_else(|| self.usual.map(|usual| (10 * usual).max(LONG)));
        StartedRequest { receiver, generation: self.generation, round, time, further: self.further() }
    }

    /// The receiver did not bear several requests in one packet. Returns how long it gets one at a time, if that has begun now.
    pub(super) fn pipelining_failed(&mut self, now: Instant) -> Option<Duration> {
        self.pipelining.failed(now)
    }

    /// As many of the events that wait may be sent with the one that was taken.
    fn further(&self) -> usize {
        let further = self.pipelining.further();
        let may_share = further > 0
            && self.has_next()
            && self.limit.allows(self.running - self.aside)
            && self.usual.is_some_and(|usual| usual <= QUICK)
            && matches!(self.breaker.state(), State::Closed { .. });
        if may_share { further } else { 0 }
    }

    /// A request has ended. `waiting` events wait.
    pub(super) fn ended(&mut self, started: StartedRequest, report: &Report, waiting: usize) -> Ended {
        let is_current = started.generation == self.generation;
        let active = self.running - self.aside;
        self.running -= 1;
        if !is_current {
            self.aside -= 1;
        }
        let jitter = match report.health {
            Health::Works => {
                self.has_answered = true;
                self.usual = Some(self.usual.map_or(report.took, |usual| usual_with(usual, report.took)));
                if is_current {
                    self.limit.answered(started.round, report.took, active);
                }
                0.0
            }
            Health::Unknown => 0.0,
            // It tells nothing about how many requests the receiver bears.
            Health::Fails => {
                self.has_answered = true;
                random::fraction()
            }
            Health::Refuses | Health::Unreachable | Health::Silent => {
                self.has_answered |= report.health == Health::Refuses;
                if is_current {
                    self.limit.refused(started.round);
                }
                random::fraction()
            }
        };
        let was_closed = matches!(self.breaker.state(), State::Closed { .. });
        let change = self.breaker.ended(report, is_current, jitter);
        let is_closed = matches!(self.breaker.state(), State::Closed { .. });
        match (was_closed, is_closed) {
            (true, true) => return Ended::default(),
            (true, false) => {
                self.starts_again = report.health != Health::Fails;
                self.set_aside();
            }
            (false, true) if self.starts_again && is_current => self.limit.restart(),
            (false, true) => {}
            (false, false) => {}
        }
        self.gauges.set_state(self.breaker.state());
        let change = change.map(|change| self.changed(change, report.cause, waiting));
        Ended { change, due: self.breaker.release(report.at) }
    }

    /// The runtime was late by so much: answers may have waited for their turns.
    pub(super) fn was_late(&mut self, late: Duration) {
        self.limit.was_late(late);
    }

    /// Lets what is due at `now` go on. Returns when something is due next.
    pub(super) fn release(&mut self, now: Instant) -> Option<Instant> {
        self.retries.release(now);
        let tried = self.breaker.release(now);
        self.retries.next_due().into_iter().chain(tried).min()
    }

    /// Called every [`TICK`]: looks whether the receiver has stopped answering.
    pub(super) fn tick(&mut self, now: Instant, waiting: usize) -> Option<ReceiverChange> {
        let active = self.running - self.aside;
        self.limit.tick(active);
        self.pipelining.tick(now);
        let is_silent = !std::mem::take(&mut self.has_answered) && active > 0;
        let change = match self.breaker.state() {
            State::Closed { .. } if is_silent && !self.limit.allows(active) && self.has_next() => {
                self.silent_ticks += 1;
                let usual = self.usual.map_or(STALLED.1, |usual| (4 * usual).max(STALLED.0));
                if TICK * self.silent_ticks < usual {
                    None
                } else {
                    self.starts_again = true;
                    self.set_aside();
                    self.breaker.stalled(now)
                }
            }
            State::HalfOpen { is_trying: true } => {
                self.silent_ticks += 1;
                if self.silent_ticks >= TRIAL_TICKS {
                    self.set_aside();
                    self.breaker.stalled(now);
                }
                None
            }
            State::Closed { .. } | State::Open { .. } | State::HalfOpen { .. } => {
                self.silent_ticks = 0;
                None
            }
        };
        self.gauges.set(self.breaker.state(), self.limit.value(), waiting);
        change.map(|change| self.changed(change, Cause::Stalled, waiting))
    }

    /// Removes all events.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Job> {
        self.status.drain(..).chain(self.fresh.drain()).chain(self.retries.drain())
    }

    /// From now on, the requests that run decide nothing by their failures, and do not count against the limit.
    const fn set_aside(&mut self) {
        self.aside = self.running;
        self.generation = self.generation.wrapping_add(1);
        self.silent_ticks = 0;
    }

    fn changed(&self, change: Change, cause: Cause, waiting: usize) -> ReceiverChange {
        ReceiverChange { url: self.url.clone(), change, cause, waiting }
    }
}

impl Ended {
    /// Whether something has to be done.
    pub(super) const fn is_change(&self) -> bool {
        self.change.is_some() || self.due.is_some()
    }
}

impl ReceiverChange {
    /// Logs it.
    pub(super) fn emit(&self) {
        let url = self.url.as_ref().map(tracing::field::display);
        let (cause, waiting) = (self.cause, self.waiting);
        match self.change {
            Change::Opened => {
                tracing::warn!(url, %cause, waiting, "event receiver fails, its events wait and it is tried about once a second");
            }
            Change::Closed(after) => {
                tracing::info!(url, ?after, waiting, "event receiver works again");
            }
        }
    }
}

/// A longer time counts at once, a shorter one by and by.
fn usual_with(usual: Duration, took: Duration) -> Duration {
    if took >= usual { took } else { usual - (usual - took) / 16 }
}
