//! The events of a lane that wait to be posted: new ones, and those that wait for another attempt. The [`Backlog`] decides
//! which of them is next, and how many go with it in one packet.
//!
//! An idle worker is woken only if there is something to do and no other worker has been woken and not arrived yet.
//! The one that arrives wakes the next one if there is more to do. So a burst that one worker can handle costs one wake-up,
//! and the worker that was busy last, which has an open connection, is the first to be woken. A worker that may send further events
//! with the one that it has takes them before another one is woken.

mod worker_slot;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use prometheus::IntGauge;
use talaria_protocol::url::Target;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(super) use self::worker_slot::{SharedRequest, Taken, WorkerSlot};
use super::backlog::{Backlog, Started};
use super::health::Report;
use super::job::{Job, Pushed};
use super::receiver::{Ended, ReceiverChange};
use super::receivers::Released;
use crate::device::{Device, Owner};
use crate::event::reason::DropReason;

/// The queue that the workers of one lane share.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Whether there is little room for new events, which is known without a lock.
    is_nearly_full: AtomicBool,
    /// `outbound_queue_size`: new events only. All lanes add to it.
    depth: IntGauge,
    /// Notified when something is due earlier than was known.
    release_changed: Notify,
    /// Notified when the queue may be drained.
    drained: Notify,
}

struct State {
    backlog: Backlog,
    idle: Vec<Idle>,
    /// Whether a worker was woken and has not arrived yet.
    is_wake_pending: bool,
    /// Requests that run.
    busy: usize,
    /// Whether a job was taken since [`Queue::was_busy`] was called.
    was_busy: bool,
    phase: Phase,
    /// When the backlog has to be looked at again.
    next_release: Option<Instant>,
    /// What ended requests have changed since the lock was taken.
    changes: Vec<Ended>,
}

/// Whether the queue accepts events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// The sink has stopped: events are given back and workers end.
    Closed,
}

struct Idle {
    worker: usize,
    waker: Waker,
}

/// What goes on because something has changed.
struct Woken {
    worker: Option<Waker>,
    /// Whether something is due earlier than was known.
    is_due_earlier: bool,
}

impl Queue {
    pub(super) fn new(backlog: Backlog, depth: IntGauge) -> Self {
        let (release_changed, drained) = Default::default();
        Self {
            state: Mutex::new(State::new(backlog)),
            is_nearly_full: AtomicBool::new(false),
            depth,
            release_changed,
            drained,
        }
    }

    /// Queues a new event, which may displace others.
    pub(super) fn push(&self, job: Job) -> Pushed {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return Pushed::refused(job);
        }
        let pushed = state.backlog.push_fresh(job);
        let displaced = i64::try_from(pushed.displaced.len()).unwrap_or(i64::MAX);
        self.depth.add(i64::from(pushed.refused.is_none()) - displaced);
        self.is_nearly_full.store(state.backlog.is_nearly_full(), Ordering::Relaxed);
        let woken = state.wake();
        drop(state);
        self.wake(woken);
        pushed
    }

    /// Whether there is little room for new events.
    pub(super) fn is_nearly_full(&self) -> bool {
        self.is_nearly_full.load(Ordering::Relaxed)
    }

    /// Lets a device wait before its next event if there is little room for events to each of these targets.
    pub(super) fn wait_for_room<'a>(
        &self,
        targets: impl Iterator<Item = &'a Arc<Target>>,
        device: &Arc<Device>,
    ) {
        self.state.lock().backlog.wait_for_room(targets, device);
    }

    /// Queues a new online or offline event, which has room of its own, or gives it back if the queue is closed.
    #[expect(clippy::result_large_err, reason = "a closed queue gives events back, which is rare")]
    pub(super) fn push_status(&self, job: Job) -> Result<(), Job> {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return Err(job);
        }
        state.backlog.push_status(job);
        self.depth.inc();
        let woken = state.wake();
        drop(state);
        self.wake(woken);
        Ok(())
    }

    /// Keeps an event for another attempt at `due`. Others may give way to it.
    pub(super) fn retry_at(&self, due: Instant, job: Job) -> Pushed {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return Pushed::refused(job);
        }
        let pushed = state.backlog.push_retry(due, job);
        let is_next = state.next_release.is_none_or(|next| due < next);
        drop(state);
        if is_next {
            self.release_changed.notify_one();
        }
        pushed
    }

    /// An event of this owner to this target has ended, after which the next one may leave.
    pub(super) fn turn_ended(&self, target: &Arc<Target>, owner: Owner) {
        let mut state = self.state.lock();
        state.backlog.turn_ended(target, owner);
        let woken = state.wake();
        drop(state);
        self.wake(woken);
    }

    /// Lets retries be posted when their time has come, and looks at the receivers. Runs until the queue is closed.
    pub(super) async fn release(&self) {
        loop {
            let next = {
                let mut state = self.state.lock();
                if state.phase == Phase::Closed {
                    return;
                }
                let Released { next, changes } = state.backlog.release(Instant::now());
                state.next_release = next;
                let Woken { worker, .. } = state.wake();
                let next = state.next_release;
                drop(state);
                self.wake(Woken { worker, is_due_earlier: false });
                changes.iter().for_each(ReceiverChange::emit);
                next
            };
            let changed = self.release_changed.notified();
            match next {
                // Due or changed: in both cases the state has to be read again.
                Some(due) => drop(tokio::time::timeout_at(due, changed).await),
                None => changed.await,
            }
        }
    }

    /// Whether jobs were taken since the last call.
    pub(super) fn was_busy(&self) -> bool {
        std::mem::take(&mut self.state.lock().was_busy)
    }

    /// The runtime was late by so much: answers may have waited for their turns.
    pub(super) fn was_late(&self, late: Duration) {
        self.state.lock().backlog.was_late(late);
    }

    /// What waits for another attempt may be posted now.
    pub(super) fn hurry(&self) {
        let mut state = self.state.lock();
        state.backlog.hurry(Instant::now());
        drop(state);
        self.release_changed.notify_one();
    }

    /// Waits until nothing is queued, nothing waits for a retry and no worker is busy.
    pub(super) async fn drained(&self) {
        loop {
            let drained = self.drained.notified();
            if self.state.lock().is_drained() {
                return;
            }
            drained.await;
        }
    }

    /// Closes the queue: it accepts no more events, and workers end when they arrive. Returns the events that were left.
    pub(super) fn close(&self) -> Vec<Job> {
        let mut state = self.state.lock();
        state.phase = Phase::Closed;
        let left = state.backlog.drain();
        let new = left.iter().filter(|job| job.attempts == 0).count();
        self.depth.sub(i64::try_from(new).unwrap_or(i64::MAX));
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        self.release_changed.notify_one();
        for worker in idle {
            worker.waker.wake();
        }
        left
    }

    /// Requests have ended, or a worker has left: another one may have to take its place.
    fn left(&self, mut state: MutexGuard<'_, State>) {
        let woken = state.wake();
        let is_drained = state.is_drained();
        let changes = std::mem::take(&mut state.changes);
        drop(state);
        self.wake(woken);
        self.emit(changes);
        if is_drained {
            self.drained.notify_waiters();
        }
    }

    /// Called without the lock.
    fn wake(&self, woken: Woken) {
        if woken.is_due_earlier {
            self.release_changed.notify_one();
        }
        if let Some(worker) = woken.worker {
            worker.wake();
        }
    }

    /// The receiver of this target did not bear several requests in one packet. Returns how long it gets one at a time, if that has
    /// begun now.
    pub(super) fn pipelining_failed(&self, target: &Arc<Target>) -> Option<Duration> {
        self.state.lock().backlog.pipelining_failed(target, Instant::now())
    }

    /// Called without the lock.
    fn emit(&self, changes: Vec<Ended>) {
        for Ended { change, due } in changes {
            if due.is_some() {
                self.release_changed.notify_one();
            }
            if let Some(change) = change {
                change.emit();
            }
        }
    }

    /// Why a job was given back.
    pub(super) fn drop_reason(&self) -> DropReason {
        if self.state.lock().phase == Phase::Closed { DropReason::Cancelled } else { DropReason::FullQueue }
    }
}

impl State {
    fn new(backlog: Backlog) -> Self {
        Self {
            backlog,
            idle: Vec::new(),
            is_wake_pending: false,
            busy: 0,
            was_busy: false,
            phase: Phase::default(),
            next_release: None,
            changes: Vec::new(),
        }
    }

    /// A request has ended.
    fn ended(&mut self, started: &Started, report: &Report) {
        self.busy -= 1;
        self.settle(started, report);
    }

    /// A request that was not counted as busy any more has ended.
    fn settle(&mut self, started: &Started, report: &Report) {
        let ended = self.backlog.ended(started, report);
        if ended.is_change() {
            self.changes.push(ended);
        }
    }

    /// The worker to wake, if one is needed, or the time when one is.
    fn wake(&mut self) -> Woken {
        let worker = self.worker_to_wake();
        Woken { worker, is_due_earlier: self.is_due_earlier() }
    }

    fn worker_to_wake(&mut self) -> Option<Waker> {
        if self.is_wake_pending || self.idle.is_empty() || !self.backlog.can_start(Instant::now) {
            return None;
        }
        let idle = self.idle.pop()?;
        self.is_wake_pending = true;
        Some(idle.waker)
    }

    /// Whether an event that waits for the pace of its receiver is due earlier than what was due next.
    fn is_due_earlier(&mut self) -> bool {
        let Some(due) = self.backlog.paced_until() else { return false };
        let is_earlier = self.next_release.is_none_or(|next| due < next);
        if is_earlier {
            self.next_release = Some(due);
        }
        is_earlier
    }

    fn is_drained(&self) -> bool {
        self.busy == 0 && self.backlog.is_empty()
    }
}
