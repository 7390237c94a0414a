//! What the workers of a lane share: its queue, its client, its counts, and what becomes of an event that was not delivered.
//!
//! Deliberately absent: the tasks of a lane (`lane.rs`).

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::time::Instant;
use wrp::DeviceId;

use super::exchange::{Answer, Client};
use super::job::{EventTurn, Job, JobKind, Pushed};
use super::metrics::HttpMetrics;
use super::post_error::PostError;
use super::queue::Queue;
use super::retry_policy::RetryPolicy;
use crate::event::fair_queue::Order;
use crate::event::reason::{DropReason, NO_STATUS};
use crate::event::shed::ShedReason;
use crate::event::status_order::StatusOrder;
use crate::event::verdict::Verdict;
use crate::random;
use crate::telemetry::keyed_throttle::KeyedThrottle;

/// The order of the online and offline events, which lanes share that follow each other.
pub(super) type HttpStatusOrder = StatusOrder<StatusKey, StatusJob>;

/// The events of one device to one URL.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct StatusKey {
    pub(super) device: DeviceId,
    pub(super) url: Box<str>,
}

/// An online or offline event, and the lane that it belongs to.
pub(super) struct StatusJob {
    pub(super) job: Job,
    pub(super) lane: Weak<LaneContext>,
}

/// The bounds of a lane.
pub(super) struct LaneConfig {
    pub(super) workers: usize,
    /// The time limit of an event, from its queueing on.
    pub(super) request_timeout: Duration,
    /// The time limit of all attempts of an event together.
    pub(super) client_timeout: Duration,
    pub(super) order: Order,
}

/// What the workers of a lane share.
pub(super) struct LaneContext {
    pub(super) queue: Queue,
    pub(super) status: Arc<HttpStatusOrder>,
    pub(super) client: Client,
    pub(super) metrics: HttpMetrics,
    pub(super) config: LaneConfig,
    pub(super) retry: RetryPolicy,
    /// When everything has to be done, once the gateway stops.
    pub(super) stop: OnceLock<Instant>,
    pub(super) losses: Losses,
}

/// How often lost events are logged.
pub(super) enum Losses {
    /// Once a minute for each URL.
    ByUrl(KeyedThrottle),
    /// Once a minute for each device, since the device chose the destination. Shared with the refused events.
    ByDevice(Arc<KeyedThrottle>),
}

impl LaneContext {
    /// Queues an online or offline event, and the next one of its device when this one has ended.
    pub(super) fn start_status(self: &Arc<Self>, key: StatusKey, mut job: Job, bytes: usize) {
        let status = Arc::downgrade(&self.status);
        let turn = EventTurn::new(move || {
            let Some(status) = status.upgrade() else { return };
            let mut ended = bytes;
            while let Some((StatusJob { job, lane }, bytes)) = status.leave(&key, ended) {
                if let Some(lane) = lane.upgrade() {
                    lane.start_status(key, job, bytes);
                    return;
                }
                ended = bytes;
            }
        });
        job.kind = JobKind::Status { _turn: Some(Box::new(turn)) };
        if let Err(job) = self.queue.push_status(job) {
            self.lose(job, Err(PostError::Cancelled));
        }
    }

    /// When an event is posted again.
    pub(super) fn next_attempt(&self, job: &Job, posted: &Result<Answer, PostError>) -> Instant {
        let now = Instant::now();
        let left = self.stop.get().map(|stop| *stop - now);
        let wait = self.retry.wait(job.attempts, posted, random::fraction(), left);
        now.checked_add(wait).map_or(job.deadline, |due| due.min(job.deadline))
    }

    /// Keeps an event for another attempt at `due`, or gives it back without room. Others may give way to it.
    #[expect(clippy::result_large_err, reason = "an event without room is given back, as it came")]
    pub(super) fn retry_at(&self, due: Instant, job: Job) -> Result<(), Job> {
        let Pushed { refused, displaced } = self.queue.retry_at(due, job);
        displaced.into_iter().for_each(|job| self.displace(job));
        refused.map_or(Ok(()), |job| {
            if self.queue.drop_reason() == DropReason::FullQueue {
                self.metrics.shed(job.rank.level, job.scheme, &job.target, ShedReason::NoRoom);
            }
            Err(job)
        })
    }

    /// Counts and logs an event that has given way to another one.
    pub(super) fn displace(&self, mut job: Job) {
        self.metrics.lost.fetch_add(1, Ordering::Relaxed);
        let reason = DropReason::FullQueue;
        self.metrics.message_dropped(job.scheme, None, reason);
        self.metrics.shed(job.rank.level, job.scheme, &job.target, ShedReason::Displaced);
        if let Some(share) = job.share.take() {
            share.finish(Verdict::Displaced);
        }
        if let Some(similar) = self.losses.admit(&job) {
            let url = &job.target;
            tracing::error!(%url, %reason, similar, "event displaced at http");
        }
    }

    /// Counts and logs an event that will not be delivered.
    pub(super) fn lose(&self, mut job: Job, posted: Result<Answer, PostError>) {
        let posted = posted.map(|answer| answer.status);
        self.metrics.lost.fetch_add(1, Ordering::Relaxed);
        let reason = posted.as_ref().map_or_else(PostError::reason, |_| DropReason::Non202);
        self.metrics.message_dropped(job.scheme, posted.as_ref().ok().copied(), reason);
        if let Some(share) = job.share.take() {
            share.finish(Verdict::from(reason));
        }
        if let Some(similar) = self.losses.admit(&job) {
            let (url, attempts) = (&job.target, job.attempts);
            let device = job.device().map(tracing::field::display);
            match posted {
                Ok(status) => {
                    let status = status.as_u16();
                    tracing::error!(%url, device, attempts, status, %reason, similar, "event lost by http");
                }
                Err(error) => {
                    tracing::error!(%url, device, attempts, code = NO_STATUS, %reason, %error, similar, "event lost by http");
                }
            }
        }
    }
}

impl Losses {
    fn admit(&self, job: &Job) -> Option<u64> {
        match (self, job.device()) {
            (Self::ByDevice(throttle), Some(device)) => throttle.admit(device.as_str()),
            (Self::ByUrl(throttle), _) => throttle.admit(job.target.url()),
            (Self::ByDevice(_), None) => None,
        }
    }
}
