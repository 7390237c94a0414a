//! The HTTP sink: posts events to the receivers that the configuration or a `dns:` destination names (contract §5.1).
//!
//! [`HttpSink::send`] resolves the destination and queues the event for each of its URLs; it never waits. A fixed number of
//! workers post the queued events, each over a connection that it drives itself. An event that is to be posted again waits
//! in the queue, not in a worker.
//!
//! Deliberately absent: order. Events leave the queue in order, but several are posted at the same time. Receivers that need
//! order read from Kafka. Start reading at [`HttpSink::send`], then `worker.rs`.

mod connection;
mod deadline_timer;
pub(super) mod dial;
pub mod endpoints;
mod exchange;
mod job;
mod metrics;
mod pool;
mod post_error;
mod queue;
pub(super) mod routes;
mod worker;
mod worker_context;

#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use talaria_protocol::url::{Target, UrlError};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wrp::Locator;

pub use metrics::HttpMetrics;
pub use post_error::PostError;

use self::dial::{Dial, Network};
use self::exchange::Client;
use self::job::Job;
use self::queue::Queue;
use self::routes::Routes;
use self::worker_context::WorkerContext;
use super::config::Config;
use super::finalizer::{Finalizer, Share, Sink, Verdict};
use super::reason::{DropReason, SchemeLabel};
use crate::telemetry::throttle::Throttle;

/// Posts events to HTTP receivers. Dropping it stops its workers; the events that it still has are lost.
pub struct HttpSink {
    context: Arc<WorkerContext>,
    routes: Routes,
    request_timeout: Duration,
    tasks: Mutex<JoinSet<()>>,
}

/// Where an event comes from. Events that are dropped before they are queued count under different schemes (contract
/// §5.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSource {
    /// A device sent it.
    Device,
    /// The gateway made it: an online or offline event.
    Gateway,
}

impl HttpSink {
    /// Starts the workers. Needs a tokio runtime.
    pub fn start(config: &Config, metrics: HttpMetrics) -> Self {
        Self::start_with(config, metrics, Box::new(Network::default()))
    }

    pub(super) fn start_with(config: &Config, metrics: HttpMetrics, dial: Box<dyn Dial>) -> Self {
        for (event_type, url) in config.endpoints.iter() {
            match url.as_ref().map(|target| (target, target.address())) {
                Ok((_, Ok(_))) => {}
                Ok((url, Err(problem))) => {
                    tracing::warn!(event_type, %url, %problem, "event endpoint with an unusable url, events for it will be dropped");
                }
                Err(problem) => {
                    tracing::warn!(event_type, %problem, "event endpoint is not a url, events for it will be dropped");
                }
            }
        }
        let context = Arc::new(WorkerContext {
            queue: Queue::new(config.queue, metrics.queue_size.clone()),
            client: Client::new(config, dial),
            metrics,
            retries: config.retries,
            retry_interval: config.retry_interval,
            client_timeout: config.client_timeout,
            losses: Throttle::new(),
        });
        let mut tasks = JoinSet::new();
        for worker in 0..config.workers.max(1) {
            tasks.spawn(run_worker(Arc::clone(&context), worker));
        }
        let retries = Arc::clone(&context);
        tasks.spawn(async move { retries.queue.release_retries().await });
        tasks.spawn(sweep(Arc::clone(&context)));
        let (routes, request_timeout) = (Routes::new(config), config.request_timeout);
        Self { context, routes, request_timeout, tasks: Mutex::new(tasks) }
    }

    /// Queues a message for every URL of its destination. Never waits; without room the message is dropped, counted, and its
    /// finalizer informed. `body` is called at most once, and only if there is something to post.
    ///
    /// `dest` is the parsed destination; none if it is malformed.
    pub fn send(
        &self,
        source: EventSource,
        dest: Option<&Locator<'_>>,
        body: impl FnOnce() -> Bytes,
        finalizer: Option<&Finalizer>,
    ) {
        let route = match dest.ok_or(DropReason::Unknown).and_then(|dest| self.routes.resolve(dest)) {
            Ok(route) => route,
            Err(reason) => return self.refuse(source, reason, finalizer),
        };
        let deadline = Instant::now() + self.request_timeout;
        let mut body = Body::Pending(body);
        let mut first_drop = None;
        for url in &*route.urls {
            let share = finalizer.map(|finalizer| finalizer.share(Sink::Http));
            if let Err((reason, share)) = self.queue(url, route.scheme, &mut body, deadline, share) {
                self.drop_unqueued(source, reason, share);
                first_drop = first_drop.or(Some(reason));
            }
        }
        match first_drop {
            None => self.context.metrics.event_queued(route.scheme),
            Some(reason) => self.context.metrics.event_dropped(source.scheme(), reason),
        }
    }

    /// Drops a message without looking at its destination, for instance an answer that no request waits for.
    pub fn refuse(&self, source: EventSource, reason: DropReason, finalizer: Option<&Finalizer>) {
        self.context.metrics.event_dropped(source.scheme(), reason);
        self.drop_unqueued(source, reason, finalizer.map(|finalizer| finalizer.share(Sink::Http)));
    }

    /// Waits until all events are posted or lost, at most until `deadline`, then stops. Returns how many events were not
    /// delivered because of the stop.
    pub async fn flush(&self, deadline: Instant) -> u64 {
        let is_drained = tokio::time::timeout_at(deadline, self.context.queue.drained()).await.is_ok();
        let left = self.context.queue.close();
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        let busy = if is_drained { 0 } else { self.context.queue.busy() };
        let undelivered = left.len() + busy;
        for job in left {
            self.context.lose(job, Err(PostError::Cancelled));
        }
        tasks.shutdown().await;
        u64::try_from(undelivered).unwrap_or(u64::MAX)
    }

    fn queue(
        &self,
        url: &Result<Arc<Target>, UrlError>,
        scheme: SchemeLabel,
        body: &mut Body<impl FnOnce() -> Bytes>,
        deadline: Instant,
        share: Option<Share>,
    ) -> Result<(), (DropReason, Option<Share>)> {
        let Ok(target) = url else {
            return Err((DropReason::MalformedRequest, share));
        };
        let job = Job { target: Arc::clone(target), body: body.get(), scheme, deadline, attempts: 0, share };
        self.context.queue.push(job).map_err(|job| (self.context.queue.drop_reason(), job.share))
    }

    fn drop_unqueued(&self, source: EventSource, reason: DropReason, share: Option<Share>) {
        self.context.metrics.message_dropped(source.scheme(), None, reason);
        if let Some(share) = share {
            share.finish(Verdict::from(reason));
        }
        if let Some(similar) = self.context.losses.admit() {
            tracing::error!(%reason, similar, "event not queued for http");
        }
    }
}

impl EventSource {
    /// The scheme under which events count that are dropped before they are queued.
    const fn scheme(self) -> SchemeLabel {
        match self {
            Self::Device => SchemeLabel::Unknown,
            Self::Gateway => SchemeLabel::Event,
        }
    }
}

/// A body that is encoded when it is first needed.
enum Body<F> {
    /// Not encoded yet.
    Pending(F),
    Encoded(Bytes),
    /// The encoder is running, which ends before anything can see this.
    Encoding,
}

impl<F: FnOnce() -> Bytes> Body<F> {
    fn get(&mut self) -> Bytes {
        let body = match std::mem::replace(self, Self::Encoding) {
            Self::Pending(encode) => encode(),
            Self::Encoded(body) => body,
            Self::Encoding => Bytes::new(),
        };
        *self = Self::Encoded(body.clone());
        body
    }
}

/// A worker that goes on after a panic. Its current event is lost and counted, the others are not affected.
async fn run_worker(context: Arc<WorkerContext>, worker: usize) {
    while let Err(panic) =
        std::panic::AssertUnwindSafe(worker::work(Arc::clone(&context), worker)).catch_unwind().await
    {
        drop(panic);
        tracing::error!(worker, "http worker panicked, its event is lost and it goes on");
    }
}

async fn sweep(context: Arc<WorkerContext>) {
    let mut ticks = tokio::time::interval(context.client.pool.sweep_period());
    loop {
        ticks.tick().await;
        context.client.pool.sweep();
    }
}
