//! One class of destinations: its queue, its workers and its connections. What hangs in a lane does not touch another one
//! (contract §5.8).
//!
//! There are two lanes: the URLs that the operator configured, and those that devices name. Start reading at
//! [`Lane::start`].

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wrp::DeviceId;

use super::backlog::Backlog;
use super::exchange::{Answer, Client};
use super::job::{EventTurn, Job, JobKind, OrderTurn, Pushed};
use super::metrics::HttpMetrics;
use super::post_error::PostError;
use super::queue::Queue;
use super::retry_policy::RetryPolicy;
use super::worker;
use crate::event::config::RetryConfig;
use crate::event::fair_queue::Order;
use crate::event::finalizer::Share;
use crate::event::reason::{DropReason, NO_STATUS};
use crate::event::shed::ShedReason;
use crate::event::status_order::{Entered, StatusOrder};
use crate::event::verdict::Verdict;
use crate::lateness::{self, LATE};
use crate::random;
use crate::telemetry::keyed_throttle::KeyedThrottle;

/// The order of the online and offline events, which lanes share that follow each other.
pub(super) type HttpStatusOrder = StatusOrder<StatusKey, StatusJob>;

/// The events of one device to one URL.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct StatusKey {
    device: DeviceId,
    url: Box<str>,
}

/// An online or offline event, and the lane that it belongs to.
pub(super) struct StatusJob {
    job: Job,
    lane: Weak<LaneContext>,
}

/// A running lane. Dropping it stops its workers; the events that it still has are lost.
pub(super) struct Lane {
    pub(super) context: Arc<LaneContext>,
    tasks: Mutex<JoinSet<()>>,
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
    stop: OnceLock<Instant>,
    losses: Losses,
}

/// How often a lane that has been replaced looks whether it has events left.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often a lane that is busy looks how late the runtime is, and one that is idle looks whether it is busy.
const LATENESS_EVERY: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_millis(200);

/// How often lost events are logged.
pub(super) enum Losses {
    /// Once a minute for each URL.
    ByUrl(KeyedThrottle),
    /// Once a minute for each device, since the device chose the destination. Shared with the refused events.
    ByDevice(Arc<KeyedThrottle>),
}

impl Lane {
    /// Starts the workers. Needs a tokio runtime.
    pub(super) fn start(
        config: LaneConfig,
        retry: RetryConfig,
        backlog: Backlog,
        status: Arc<HttpStatusOrder>,
        client: Client,
        metrics: HttpMetrics,
        losses: Losses,
    ) -> Self {
        let has_receivers = matches!(backlog, Backlog::ByReceiver(_));
        let queue = Queue::new(backlog, metrics.queue_size.clone());
        let workers = config.workers.max(1);
        let (retry, stop) = (RetryPolicy::new(retry), OnceLock::new());
        let context = Arc::new(LaneContext { queue, status, client, metrics, config, retry, stop, losses });
        let mut tasks = JoinSet::new();
        for worker in 0..workers {
            tasks.spawn(run_worker(Arc::clone(&context), worker));
        }
        let retries = Arc::clone(&context);
        tasks.spawn(async move { retries.queue.release().await });
        tasks.spawn(sweep(Arc::clone(&context)));
        if has_receivers {
            tasks.spawn(watch_lateness(Arc::clone(&context)));
        }
        Self { context, tasks: Mutex::new(tasks) }
    }

    /// Queues a new event, or says why it cannot. Others may give way to it.
    pub(super) fn push(&self, mut job: Job) -> Result<(), (DropReason, Option<Share>)> {
        if self.context.config.order == Order::Device {
            let (lane, target, owner) =
                (Arc::downgrade(&self.context), Arc::clone(&job.target), job.rank.owner);
            let turn = OrderTurn::new(move || {
                if let Some(lane) = lane.upgrade() {
                    lane.queue.turn_ended(&target, owner);
                }
            });
            job.kind = JobKind::Ordered(Box::new(turn));
        }
        let Pushed { refused, displaced } = self.context.queue.push(job);
        displaced.into_iter().for_each(|job| self.context.displace(job));
        refused.map_or(Ok(()), |job| {
            let reason = self.drop_reason();
            if reason == DropReason::FullQueue {
                self.context.metrics.shed(job.rank.level, job.scheme, &job.target, ShedReason::NoRoom);
            }
            Err((reason, job.share))
        })
    }

    /// Why an event is not queued.
    pub(super) fn drop_reason(&self) -> DropReason {
        self.context.queue.drop_reason()
    }

    /// Queues an online or offline event, which is posted after the one before it has ended. Returns the events that are
    /// dropped for want of room: this one, or an older one.
    #[expect(
        clippy::result_large_err,
        reason = "an event that is given back moves, as it does on its way in"
    )]
    pub(super) fn push_status(&self, device: &DeviceId, job: Job) -> Result<(), Job> {
        let context = &self.context;
        let key = StatusKey { device: device.clone(), url: job.target.url().into() };
        let bytes = job.body.len();
        match context.status.enter(key.clone(), bytes, StatusJob { job, lane: Arc::downgrade(context) }) {
            Entered::Now(StatusJob { job, .. }) => {
                context.start_status(key, job, bytes);
                Ok(())
            }
            Entered::Waiting => Ok(()),
            Entered::Displaced(StatusJob { job, .. }) => {
                context.metrics.shed(job.rank.level, job.scheme, &job.target, ShedReason::Displaced);
                Err(job)
            }
            Entered::Full(StatusJob { job, .. }) => {
                context.metrics.shed(job.rank.level, job.scheme, &job.target, ShedReason::NoRoom);
                Err(job)
            }
        }
    }

    /// Whether there is room for further online and offline events.
    pub(super) fn has_status_room(&self) -> bool {
        self.context.status.has_room()
    }

    /// Waits for room for further online and offline events.
    pub(super) async fn status_room(&self, deadline: Instant) {
        self.context.status.room(deadline).await;
    }

    /// The gateway stops, and is done at `deadline`: what waits for another attempt gets it now.
    pub(super) fn begin_stop(&self, deadline: Instant) {
        if self.context.stop.set(deadline).is_ok() {
            self.context.queue.hurry();
        }
    }

    /// Waits until all events are posted or lost, at most until `deadline`, then stops: what is left is lost.
    pub(super) async fn flush(&self, deadline: Instant) {
        // At the deadline, what is left is counted below.
        let _ = tokio::time::timeout_at(deadline, self.context.queue.drained()).await;
        let waiting = self.context.status.close().into_iter().map(|StatusJob { job, .. }| job);
        self.end(waiting.collect()).await;
    }

    /// Waits until all events are posted or lost, at most until `deadline`, then stops. Another lane has taken its place and
    /// has the online and offline events that come.
    pub(super) async fn retire(&self, deadline: Instant) {
        let context = &self.context;
        let is_mine = |job: &StatusJob| Weak::ptr_eq(&job.lane, &Arc::downgrade(context));
        loop {
            // At the deadline, what is left is counted below.
            let _ = tokio::time::timeout_at(deadline, context.queue.drained()).await;
            if Instant::now() >= deadline || !context.status.has_waiting(is_mine) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.end(Vec::new()).await;
    }

    /// Stops the workers. What is left is lost.
    async fn end(&self, mut left: Vec<Job>) {
        left.extend(self.context.queue.close());
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        for job in left {
            self.context.lose(job, Err(PostError::Cancelled));
        }
        // The events of workers that are busy are lost, too.
        tasks.shutdown().await;
    }
}

impl LaneContext {
    /// Queues an online or offline event, and the next one of its device when this one has ended.
    fn start_status(self: &Arc<Self>, key: StatusKey, mut job: Job, bytes: usize) {
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
    #[expect(
        clippy::result_large_err,
        reason = "an event that is given back moves, as it does on its way in"
    )]
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
    fn displace(&self, mut job: Job) {
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

/// A worker that goes on after a panic. Its current event is lost and counted, the others are not affected.
async fn run_worker(context: Arc<LaneContext>, worker: usize) {
    loop {
        // Boxed once for each worker, because its future is large.
        let work = Box::pin(worker::work(Arc::clone(&context), worker));
        let Err(panic) = std::panic::AssertUnwindSafe(work).catch_unwind().await else { return };
        drop(panic);
        tracing::error!(worker, "http worker panicked, its event is lost and it goes on");
    }
}

async fn sweep(context: Arc<LaneContext>) {
    context.client.maintain().await;
}

/// Tells the queue when the runtime is late, so that this does not count as time that receivers take.
async fn watch_lateness(context: Arc<LaneContext>) {
    loop {
        let is_busy = context.queue.was_busy();
        let late = lateness::sleep(if is_busy { LATENESS_EVERY } else { IDLE }).await;
        if late >= LATE {
            context.queue.was_late(late);
        }
    }
}
