//! One class of destinations: its queue, its workers and its connections. What hangs in a lane does not touch another one
//! (contract §5.8).
//!
//! There are two lanes: the URLs that the operator configured, and those that devices name. Start reading at
//! [`Lane::start`].

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wrp::DeviceId;

use super::backlog::Backlog;
use super::exchange::Client;
use super::job::{Job, JobKind, OrderTurn, Pushed};
use super::lane_context::{HttpStatusOrder, LaneConfig, LaneContext, Losses, StatusJob, StatusKey};
use super::metrics::HttpMetrics;
use super::post_error::PostError;
use super::queue::Queue;
use super::retry_policy::RetryPolicy;
use super::worker;
use crate::event::config::RetryConfig;
use crate::event::fair_queue::Order;
use crate::event::finalizer::Share;
use crate::event::reason::DropReason;
use crate::event::shed::ShedReason;
use crate::event::status_order::Entered;
use crate::lateness::{self, LATE};

/// A running lane. Dropping it stops its workers; the events that it still has are lost.
pub(super) struct Lane {
    pub(super) context: Arc<LaneContext>,
    tasks: Mutex<JoinSet<()>>,
}

/// How often a lane that has been replaced looks whether it has events left.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often a lane that is busy looks how late the runtime is, and one that is idle looks whether it is busy.
const LATENESS_EVERY: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_millis(200);

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
