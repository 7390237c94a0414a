//! The HTTP sink: posts events to the receivers that the configuration or a `dns:` destination names (contract §5.1).
//!
//! [`HttpSink::send`] resolves the destination and queues the event for each of its URLs; it never waits. A fixed
//! number of workers posts what is queued, each over a connection that it drives itself. An event that may fare better
//! later waits in the queue for its time, not in a worker. Events leave the queue in order, but arrive in whatever
//! order the receivers answer: who needs order takes it from Kafka.

mod alarm;
mod connection;
pub(super) mod dial;
pub mod endpoints;
mod exchange;
mod failure;
mod metrics;
mod pool;
mod queue;
pub(super) mod routes;
mod worker;

#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use bytes::Bytes;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wrp::Locator;

pub use failure::Failure;
pub use metrics::HttpMetrics;
use talaria_protocol::url::{Target, UrlError};

use self::dial::{Dial, Network};
use self::exchange::Client;
use self::queue::Queue;
use self::routes::Routes;
use super::config::Config;
use super::finalizer::{Finalizer, Share, Sink, Verdict};
use super::reason::{DropReason, NO_STATUS, SchemeLabel};
use crate::telemetry::throttle::Throttle;

/// Posts events to HTTP receivers. Dropping it stops its workers; what it still holds has failed.
pub struct HttpSink {
    shared: Arc<Shared>,
    routes: Routes,
    request_timeout: Duration,
    tasks: Mutex<JoinSet<()>>,
}

/// Who makes an event: what is refused before it is queued counts under different schemes (contract §5.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// A device sent it.
    Device,
    /// The gateway itself: an online or offline event.
    Gateway,
}

/// What the workers share.
struct Shared {
    queue: Queue,
    client: Client,
    metrics: HttpMetrics,
    retries: u32,
    retry_interval: Duration,
    client_timeout: Duration,
    losses: Throttle,
}

/// An event on its way to one URL.
struct Job {
    target: Arc<Target>,
    body: Bytes,
    scheme: SchemeLabel,
    deadline: Instant,
    /// Attempts made.
    attempts: u32,
    share: Option<Share>,
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
                    tracing::warn!(event_type, %url, %problem, "an event endpoint that no request can be made to");
                }
                Err(problem) => tracing::warn!(event_type, %problem, "an event endpoint that is not a url"),
            }
        }
        let shared = Arc::new(Shared {
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
            tasks.spawn(survive(Arc::clone(&shared), worker));
        }
        let retries = Arc::clone(&shared);
        tasks.spawn(async move { retries.queue.release_retries().await });
        tasks.spawn(sweep(Arc::clone(&shared)));
        let (routes, request_timeout) = (Routes::new(config), config.request_timeout);
        Self { shared, routes, request_timeout, tasks: Mutex::new(tasks) }
    }

    /// Queues a message for every URL that its destination has. Never waits; what there is no room for is dropped,
    /// counted, and told to the finalizer. `body` is called once, and only if there is anything to post.
    ///
    /// `dest` is the parsed destination, or nothing if it does not parse.
    pub fn send(
        &self,
        maker: Maker,
        dest: Option<&Locator<'_>>,
        body: impl FnOnce() -> Bytes,
        finalizer: Option<&Finalizer>,
    ) {
        let route = match dest.ok_or(DropReason::Unknown).and_then(|dest| self.routes.resolve(dest)) {
            Ok(route) => route,
            Err(reason) => return self.refuse(maker, reason, finalizer),
        };
        let deadline = Instant::now() + self.request_timeout;
        let mut body = Body::NotMade(body);
        let mut refused = None;
        for url in &*route.urls {
            let share = finalizer.map(|finalizer| finalizer.share(Sink::Http));
            if let Err((reason, share)) = self.queue(url, route.scheme, &mut body, deadline, share) {
                self.drop_unqueued(maker, reason, share);
                refused = refused.or(Some(reason));
            }
        }
        match refused {
            None => self.shared.metrics.event_queued(route.scheme),
            Some(reason) => self.shared.metrics.event_refused(maker.scheme(), reason),
        }
    }

    /// Counts a message that is not even looked at: the answer to a request that nobody waits for, or one too many of
    /// one device.
    pub fn refuse(&self, maker: Maker, reason: DropReason, finalizer: Option<&Finalizer>) {
        self.shared.metrics.event_refused(maker.scheme(), reason);
        self.drop_unqueued(maker, reason, finalizer.map(|finalizer| finalizer.share(Sink::Http)));
    }

    /// Waits until everything is posted or lost, at most until `deadline`, then stops. Gives the number of events
    /// that were not delivered because of that.
    pub async fn flush(&self, deadline: Instant) -> u64 {
        let is_drained = tokio::time::timeout_at(deadline, self.shared.queue.drained()).await.is_ok();
        let left = self.shared.queue.close();
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        let busy = if is_drained { 0 } else { self.shared.queue.busy() };
        let undelivered = left.len() + busy;
        for job in left {
            self.shared.lose(job, Err(Failure::Cancelled));
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
        self.shared.queue.push(job).map_err(|job| (self.shared.queue.refusal(), job.share))
    }

    fn drop_unqueued(&self, maker: Maker, reason: DropReason, share: Option<Share>) {
        self.shared.metrics.message_dropped(maker.scheme(), None, reason);
        if let Some(share) = share {
            share.finish(Verdict::from(reason));
        }
        if let Some(similar) = self.shared.losses.admit() {
            tracing::error!(%reason, similar, "event not queued for http");
        }
    }
}

impl Shared {
    /// An event that is not going to be delivered.
    fn lose(&self, mut job: Job, posted: Result<StatusCode, Failure>) {
        let reason = posted.as_ref().map_or_else(Failure::reason, |_| DropReason::Non202);
        self.metrics.message_dropped(job.scheme, posted.as_ref().ok().copied(), reason);
        if let Some(share) = job.share.take() {
            share.finish(Verdict::from(reason));
        }
        if let Some(similar) = self.losses.admit() {
            let (url, attempts) = (&job.target, job.attempts);
            match posted {
                Ok(status) => {
                    tracing::error!(%url, attempts, status = status.as_u16(), %reason, similar, "event lost by http");
                }
                Err(error) => {
                    tracing::error!(%url, attempts, code = NO_STATUS, %reason, %error, similar, "event lost by http");
                }
            }
        }
    }
}

impl Maker {
    /// The scheme under which what is refused before it is queued is counted.
    const fn scheme(self) -> SchemeLabel {
        match self {
            Self::Device => SchemeLabel::Unknown,
            Self::Gateway => SchemeLabel::Event,
        }
    }
}

/// A body that is made when it is first asked for.
enum Body<F> {
    NotMade(F),
    Made(Bytes),
    Making,
}

impl<F: FnOnce() -> Bytes> Body<F> {
    fn get(&mut self) -> Bytes {
        let body = match std::mem::replace(self, Self::Making) {
            Self::NotMade(make) => make(),
            Self::Made(body) => body,
            Self::Making => Bytes::new(),
        };
        *self = Self::Made(body.clone());
        body
    }
}

/// A worker that goes on after a panic: the event it had is lost and counted, the others are not.
async fn survive(shared: Arc<Shared>, worker: usize) {
    while let Err(panic) =
        std::panic::AssertUnwindSafe(worker::work(Arc::clone(&shared), worker)).catch_unwind().await
    {
        drop(panic);
        tracing::error!(worker, "a worker of the http sink panicked, and goes on");
    }
}

async fn sweep(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(shared.client.pool.sweep_period());
    loop {
        ticks.tick().await;
        shared.client.pool.sweep();
    }
}
