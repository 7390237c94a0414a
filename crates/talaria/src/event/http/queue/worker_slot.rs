//! A worker at the queue: how it gets its events, and how it reports that their requests have ended.
//!
//! The end of a request is reported with the call for the next event, so that both cost one lock. That of requests that were sent
//! together is reported as soon as the worker waits for more of their answers. Start reading at [`WorkerSlot::next`].

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::{Idle, Phase, Queue, State, Woken};
use crate::event::http::backlog::Started;
use crate::event::http::health::Report;
use crate::event::http::job::Job;

/// A packet to which an event has brought it beyond so many bytes gets no further one.
const FULL_PACKET: usize = 64 * 1024;

/// A worker's slot at the queue.
pub(in crate::event) struct WorkerSlot<'a> {
    queue: &'a Queue,
    worker: usize,
    state: SlotState,
    /// Requests that were sent together and have ended, which were not reported yet.
    ended: Vec<(Started, Report)>,
}

/// A job for a worker.
pub(in crate::event) struct Taken {
    pub(in crate::event) job: Job,
    /// How long its request may take, if that is less than its event.
    pub(in crate::event) time: Option<Duration>,
    /// Whether further events may be sent with it: [`WorkerSlot::take_further`] or [`WorkerSlot::go_alone`] follows.
    pub(in crate::event) may_share: bool,
}

/// A request that is sent with others. If it is dropped, nothing is known of it.
pub(in crate::event) struct SharedRequest<'a> {
    queue: &'a Queue,
    started: Option<Started>,
}

enum SlotState {
    /// The worker neither waits nor has a job of its own.
    Free,
    /// The worker is on the list of idle ones, or was woken from it.
    Waiting,
    /// The worker has a job, and decides whether it takes further ones. No other one is woken meanwhile.
    Deciding(Started),
    /// The worker has a job. It is not known yet how its request ends.
    Busy(Started),
    /// The request has ended.
    Ended(Started, Report),
    /// The job is finished, but its device and its host still count a request.
    Lingering(Started, Report),
}

impl<'a> WorkerSlot<'a> {
    pub(in crate::event) fn new(queue: &'a Queue, worker: usize) -> Self {
        Self { queue, worker, state: SlotState::Free, ended: Vec::new() }
    }

    /// The next job; the previous ones are finished. None when the queue is closed.
    pub(in crate::event) async fn next(&mut self) -> Option<Taken> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The job that was taken gets no company.
    pub(in crate::event) fn go_alone(&mut self) {
        if let SlotState::Deciding(started) = std::mem::replace(&mut self.state, SlotState::Free) {
            self.state = SlotState::Busy(started);
            let mut state = self.queue.state.lock();
            state.is_wake_pending = false;
            let woken = state.wake();
            drop(state);
            self.queue.wake(woken);
        }
    }

    /// Takes further events for the receiver of the job that was taken, whose body has so many bytes. If there are any, returns the
    /// request of that job, which ends with [`shared_ended`](Self::shared_ended) as the others do.
    pub(in crate::event) fn take_further(
        &mut self,
        bytes: usize,
        further: &mut Vec<(Job, SharedRequest<'a>)>,
    ) -> Option<SharedRequest<'a>> {
        let queue = self.queue;
        let SlotState::Deciding(first) = std::mem::replace(&mut self.state, SlotState::Free) else {
            return None;
        };
        let mut state = queue.state.lock();
        state.is_wake_pending = false;
        let (mut bytes, mut fresh, known) = (bytes, 0, further.len());
        while further.len() - known < first.further()
            && bytes < FULL_PACKET
            && let Some((job, started)) = state.backlog.take_further(&first, Instant::now)
        {
            state.busy += 1;
            bytes += job.body.len();
            fresh += i64::from(job.attempts == 0);
            further.push((job, SharedRequest::new(queue, started)));
        }
        let woken = state.wake();
        let freed = state.backlog.take_freed();
        queue.depth.sub(fresh);
        queue.is_nearly_full.store(state.backlog.is_nearly_full(), Ordering::Relaxed);
        drop(state);
        queue.wake(woken);
        freed.iter().for_each(|device| device.room_is_free());
        if further.len() == known {
            self.state = SlotState::Busy(first);
            return None;
        }
        Some(SharedRequest::new(queue, first))
    }

    /// A request that was sent with others has ended. It is reported with the next call of
    /// [`report`](Self::report) or [`next`](Self::next).
    pub(in crate::event) fn shared_ended(&mut self, mut request: SharedRequest<'a>, report: Report) {
        self.ended.extend(request.started.take().map(|started| (started, report)));
    }

    /// Reports which requests have ended, while others go on.
    pub(in crate::event) fn report(&mut self) {
        if !self.ended.is_empty() {
            let mut state = self.queue.state.lock();
            self.leave(&mut state);
            self.queue.left(state);
        }
    }

    /// The request of the job has ended.
    pub(in crate::event) fn ended(&mut self, report: Report) {
        if let SlotState::Busy(started) = std::mem::replace(&mut self.state, SlotState::Free) {
            self.state = SlotState::Ended(started, report);
        }
    }

    /// The job is finished, but something of it goes on: until [`next`](Self::next), its device and its host still count a
    /// request.
    pub(in crate::event) fn linger(&mut self) {
        if let SlotState::Ended(started, report) = std::mem::replace(&mut self.state, SlotState::Free) {
            self.state = SlotState::Lingering(started, report);
            let mut state = self.queue.state.lock();
            state.busy -= 1;
            let is_drained = state.is_drained();
            drop(state);
            if is_drained {
                self.queue.drained.notify_waiters();
            }
        }
    }

    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Taken>> {
        let mut state = self.queue.state.lock();
        self.leave(&mut state);
        let changes = std::mem::take(&mut state.changes);
        if let Some((job, started)) = state.backlog.take(Instant::now) {
            state.busy += 1;
            state.was_busy = true;
            let (time, may_share) = (started.time(), started.further() > 0);
            let woken = if may_share {
                self.state = SlotState::Deciding(started);
                state.is_wake_pending = true;
                Woken { worker: None, is_due_earlier: state.is_due_earlier() }
            } else {
                self.state = SlotState::Busy(started);
                state.wake()
            };
            let freed = state.backlog.take_freed();
            if job.attempts == 0 {
                self.queue.depth.dec();
                self.queue.is_nearly_full.store(state.backlog.is_nearly_full(), Ordering::Relaxed);
            }
            drop(state);
            self.queue.wake(woken);
            freed.iter().for_each(|device| device.room_is_free());
            self.queue.emit(changes);
            return Poll::Ready(Some(Taken { job, time, may_share }));
        }
        let is_drained = state.is_drained();
        if state.phase == Phase::Closed {
            return Poll::Ready(None);
        }
        state.idle.push(Idle { worker: self.worker, waker: cx.waker().clone() });
        self.state = SlotState::Waiting;
        let is_due_earlier = state.is_due_earlier();
        drop(state);
        self.queue.wake(Woken { worker: None, is_due_earlier });
        self.queue.emit(changes);
        if is_drained {
            self.queue.drained.notify_waiters();
        }
        Poll::Pending
    }

    fn leave(&mut self, state: &mut State) {
        for (started, report) in self.ended.drain(..) {
            state.ended(&started, &report);
        }
        match std::mem::replace(&mut self.state, SlotState::Free) {
            SlotState::Free => {}
            SlotState::Deciding(started) => {
                state.is_wake_pending = false;
                state.ended(&started, &Report::unknown());
            }
            SlotState::Busy(started) => state.ended(&started, &Report::unknown()),
            SlotState::Ended(started, report) => state.ended(&started, &report),
            SlotState::Lingering(started, report) => state.settle(&started, &report),
            SlotState::Waiting => match state.idle.iter().rposition(|idle| idle.worker == self.worker) {
                Some(at) => drop(state.idle.remove(at)),
                None => state.is_wake_pending = false,
            },
        }
    }
}

impl Drop for WorkerSlot<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        self.leave(&mut state);
        self.queue.left(state);
    }
}

impl<'a> SharedRequest<'a> {
    const fn new(queue: &'a Queue, started: Started) -> Self {
        Self { queue, started: Some(started) }
    }

    /// How long it may take, if that is less than its event.
    pub(in crate::event) fn time(&self) -> Option<Duration> {
        self.started.as_ref().and_then(Started::time)
    }
}

impl Drop for SharedRequest<'_> {
    fn drop(&mut self) {
        if let Some(started) = self.started.take() {
            let mut state = self.queue.state.lock();
            state.ended(&started, &Report::unknown());
            self.queue.left(state);
        }
    }
}
