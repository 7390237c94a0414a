//! Traces of messages and of requests to the API, by OpenTelemetry (contract §12).
//!
//! [`Tracing`] is the component. What is to be traced asks it for its tracer (`Tracing::with`), which without a provider costs
//! a branch, and begins with a parent that came in headers (`Tracer::begin`). What follows in the gateway continues the `Trace`
//! that is handed on with it, and each step is a `Span`, which is recorded when it is dropped. Finished spans wait in a bounded
//! queue for one task, which sends them to a collector (`exporter.rs`). Nothing ever waits for it.
//!
//! Deliberately absent: the names and attributes of the spans, which are with the steps (`event/spans.rs`, `api/spans.rs`), and
//! the meaning of the headers, which is [`talaria_protocol::trace_context`]'s.

mod collector;
mod collector_state;
pub mod config;
mod exporter;
mod live;
mod metrics;
pub mod otlp;
pub mod semantics;
mod span;
mod span_data;
mod span_queue;
mod tracer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::telemetry::metrics::Metrics;

pub use config::{Collector, Config, Protocol, Provider};
pub(crate) use span::{Span, Trace};
pub(crate) use span_data::SpanKind;
pub(crate) use tracer::{Begun, Tracer};

use exporter::Exporter;
use metrics::TraceMetrics;
use span_queue::SpanQueue;

/// The tracing of one gateway. Dropping it ends its task; the spans that wait are lost.
pub struct Tracing {
    /// Whether there is a tracer, for those who need no more.
    is_on: AtomicBool,
    tracer: ArcSwapOption<Tracer>,
    queue: Arc<SpanQueue>,
    exporter: watch::Sender<exporter::Settings>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Tracing {
    /// Starts the task that sends spans. Needs a tokio runtime.
    #[must_use]
    pub fn start(config: &Config, metrics: &Metrics) -> Arc<Self> {
        let metrics = TraceMetrics::register(metrics);
        let queue = Arc::new(SpanQueue::new(config.max_queue, metrics.queue_full.clone()));
        let (exporter, settings) = watch::channel(exporter::Settings::new(config));
        let task = tokio::spawn(Exporter::new(Arc::clone(&queue), settings, metrics).run());
        let tracing = Self {
            is_on: AtomicBool::new(false),
            tracer: ArcSwapOption::empty(),
            queue,
            exporter,
            task: Mutex::new(Some(task)),
        };
        tracing.set(config);
        Arc::new(tracing)
    }

    /// Tracing that is off for good, and has no task.
    #[must_use]
    pub fn off() -> Arc<Self> {
        let config = Config::default();
        let metrics = TraceMetrics::register(&Metrics::default());
        Arc::new(Self {
            is_on: AtomicBool::new(false),
            tracer: ArcSwapOption::empty(),
            queue: Arc::new(SpanQueue::new(config.max_queue, metrics.queue_full)),
            exporter: watch::Sender::new(exporter::Settings::new(&config)),
            task: Mutex::default(),
        })
    }

    /// Calls `then` if something may be traced.
    #[inline]
    pub(crate) fn with<T>(&self, then: impl FnOnce(&Arc<Tracer>) -> Option<T>) -> Option<T> {
        if !self.is_on.load(Ordering::Relaxed) {
            return None;
        }
        self.tracer.load().as_ref().and_then(then)
    }

    /// Sends the spans that wait, at most until `deadline`, and ends. What is left is dropped and counted.
    pub async fn stop(&self, deadline: Instant) {
        let Some(task) = self.task.lock().take() else { return };
        self.is_on.store(false, Ordering::Relaxed);
        self.exporter.send_modify(|settings| settings.stop = Some(deadline));
        // The task ends by itself at the deadline.
        let _ = task.await;
    }

    fn set(&self, config: &Config) {
        let tracer = config.is_on().then(|| Tracer::new(config.sampler, Arc::clone(&self.queue)));
        let is_on = tracer.is_some();
        self.queue.set_limit(config.max_queue);
        // Without a provider, what is on its way still goes to the last one.
        if is_on {
            self.exporter.send_modify(|settings| settings.change(config));
        }
        self.tracer.store(tracer.map(Arc::new));
        self.is_on.store(is_on, Ordering::Relaxed);
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing").field("is_on", &self.is_on).finish_non_exhaustive()
    }
}
