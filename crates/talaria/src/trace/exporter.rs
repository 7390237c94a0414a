//! The task that sends finished spans to the collector.
//!
//! It has one batch in hand. While the collector cannot be reached, that batch is sent again after a pause, the queue fills, and
//! spans that find no room are dropped; so a gateway costs no more memory however long that lasts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::collector::{ExportError, Target};
use super::collector_state::CollectorState;
use super::config::Config;
use super::metrics::TraceMetrics;
use super::span_data::SpanData;
use super::span_queue::{BATCH, SpanQueue};

/// How long a span waits for others, at most.
const GATHER: Duration = Duration::from_secs(1);

/// The first pause after a failure. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the exporter works by.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    config: Config,
    /// How often the configuration has changed.
    generation: u64,
    /// When a stop has to be done, once it has begun.
    pub(super) stop: Option<Instant>,
}

/// Sends spans until it is stopped.
pub(super) struct Exporter {
    queue: Arc<SpanQueue>,
    settings: watch::Receiver<Settings>,
    metrics: TraceMetrics,
    target: Target,
    generation: u64,
    state: CollectorState,
    /// The queue's count of refused spans when something was sent last.
    refused_before: u64,
}

impl Settings {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), generation: 0, stop: None }
    }

    pub(super) fn change(&mut self, config: &Config) {
        if self.config != *config {
            self.config = config.clone();
            self.generation += 1;
        }
    }
}

impl Exporter {
    pub(super) fn new(
        queue: Arc<SpanQueue>,
        settings: watch::Receiver<Settings>,
        metrics: TraceMetrics,
    ) -> Self {
        let target = Target::new(&settings.borrow().config.provider);
        Self {
            queue,
            settings,
            metrics,
            target,
            generation: 0,
            state: CollectorState::Unknown,
            refused_before: 0,
        }
    }

    pub(super) async fn run(mut self) {
        while !self.is_stopping() {
            self.gather().await;
            loop {
                let batch = self.queue.take();
                if batch.is_empty() {
                    break;
                }
                self.deliver(batch).await;
                self.show_waiting();
            }
        }
        let left = self.queue.take_all();
        self.metrics.stopped.inc_by(left as u64);
        self.show_waiting();
    }

    /// Waits until there is something to send.
    async fn gather(&mut self) {
        let queue = Arc::clone(&self.queue);
        let waiting = async {
            queue.holds(1).await;
            // An error means that it took this long.
            let _ = timeout(GATHER, queue.holds(BATCH)).await;
        };
        tokio::select! {
            () = waiting => {}
            () = self.stop_begins() => {}
        }
        self.show_waiting();
    }

    /// Sends a batch until it is taken or refused, or the gateway stops.
    async fn deliver(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        let mut pause = FIRST_PAUSE;
        loop {
            let (limit, stop) = self.take_up_settings();
            let exported = async {
                timeout(limit, self.target.export(&batch)).await.unwrap_or(Err(ExportError::TimedOut))
            };
            let ended = match stop {
                None => exported.await,
                Some(deadline) => tokio::select! {
                    ended = exported => ended,
                    () = sleep_until(deadline) => return self.metrics.stopped.inc_by(spans),
                },
            };
            if matches!(ended, Err(ExportError::TimedOut)) {
                self.target.disconnect();
            }
            let refused = self.queue.refused();
            let dropped = refused - std::mem::replace(&mut self.refused_before, refused);
            let next = CollectorState::after(ended.as_ref().map(drop), dropped);
            self.metrics.is_up.set(i64::from(ended.is_ok()));
            self.state.set(next, self.target.name(), ended.as_ref().err());
            match ended {
                Ok(rejected) => {
                    let rejected = rejected.min(spans);
                    self.metrics.exported.inc_by(spans - rejected);
                    return self.metrics.refused.inc_by(rejected);
                }
                Err(error) if !error.is_passing() => return self.metrics.refused.inc_by(spans),
                Err(_) => {}
            }
            self.show_waiting();
            let wait =
                stop.map_or(pause, |deadline| pause.min(deadline.saturating_duration_since(Instant::now())));
            tokio::select! {
                () = sleep(wait) => pause = (pause * 2).min(LONGEST_PAUSE),
                // At once to a new collector, and once more before the end.
                changed = self.settings.changed() => if changed.is_err() { return },
            }
            if self.settings.borrow().stop.is_some_and(|deadline| Instant::now() >= deadline) {
                return self.metrics.stopped.inc_by(spans);
            }
        }
    }

    /// The time limit of a request, and when everything has to be done.
    fn take_up_settings(&mut self) -> (Duration, Option<Instant>) {
        let settings = self.settings.borrow_and_update();
        if settings.generation != self.generation {
            self.generation = settings.generation;
            self.target = Target::new(&settings.config.provider);
            self.state = CollectorState::Unknown;
        }
        (settings.config.export_timeout, settings.stop)
    }

    fn is_stopping(&self) -> bool {
        self.settings.borrow().stop.is_some()
    }

    async fn stop_begins(&mut self) {
        // Without a sender this task is about to be aborted.
        if self.settings.wait_for(|settings| settings.stop.is_some()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn show_waiting(&self) {
        self.metrics.waiting.set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
    }
}
