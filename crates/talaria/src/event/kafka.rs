//! The Kafka sink: passes messages to the publisher, which never waits, and counts their outcomes (contract §5.2).
//!
//! Routes, keys, retries and their log lines are in the crate [`wrpkafka`]. What an outcome means for the gateway is here:
//! the verdict of a message, and the metrics of messages and records.

mod attributes;
mod client;
mod live;
mod metrics;
mod schema;
mod status;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wrp::{MessageRef, QosLevel};
use wrpkafka::{Buffered, DeadLetterReason, Outcome, PublishError, Publisher, Receipt, Sender};

use super::back_pressure::Room;
use super::config::QueueLimit;
use super::finalizer::{Finalizer, Share, Sink};
use super::spans;
use super::verdict::Verdict;
use crate::device::Device;
use crate::trace::Trace;
use attributes::DeviceAttributes;
use status::StatusRecords;

pub use attributes::{DeviceKey, DeviceKeyError};
pub use live::{KafkaSettings, LivePublisher};
pub use metrics::KafkaMetrics;

/// How often the buffer gauges are updated.
const GAUGE_PERIOD: Duration = Duration::from_millis(250);

/// Whether three quarters of the room for records are taken, as of the last update of the gauges.
#[derive(Default)]
struct Fullness {
    client: AtomicBool,
    backlog: AtomicBool,
}

/// Publishes messages to Kafka. It does nothing if Kafka is not enabled.
pub struct KafkaSink {
    publisher: Publisher,
    metrics: Arc<KafkaMetrics>,
    /// Messages that Kafka should have got, and did not, since the start.
    lost: Arc<AtomicU64>,
    status: Arc<StatusRecords>,
    fullness: Arc<Fullness>,
    /// The gauges, and the events that wait.
    tasks: Vec<JoinHandle<()>>,
}

impl KafkaSink {
    /// A sink over this publisher, which the caller starts, with this room for online and offline events. Needs a tokio
    /// runtime.
    #[must_use]
    pub fn new(publisher: Publisher, metrics: KafkaMetrics, status: QueueLimit) -> Self {
        let metrics = Arc::new(metrics);
        let lost = Arc::new(AtomicU64::new(0));
        let status = StatusRecords::new(publisher.clone(), Arc::clone(&metrics), Arc::clone(&lost), status);
        let fullness = Arc::<Fullness>::default();
        let mut tasks = Vec::new();
        if publisher.is_enabled() {
            publisher.add_listener(Arc::clone(&metrics));
            tasks.push(tokio::spawn(watch(publisher.clone(), Arc::clone(&metrics), Arc::clone(&fullness))));
            tasks.push(tokio::spawn(Arc::clone(&status).run()));
        }
        Self { publisher, metrics, lost, status, fullness, tasks }
    }

    /// Whether messages go to Kafka at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.publisher.is_enabled()
    }

    /// Publishes an online or offline event of this device, in WRP v3. Never waits.
    pub fn send_status(&self, device: &Arc<Device>, message: Bytes) {
        self.status.send(device, message);
    }

    /// Whether there is room for further online and offline events.
    #[must_use]
    pub fn has_status_room(&self) -> bool {
        self.status.has_room()
    }

    /// Waits for room for further online and offline events, at most until `deadline`.
    pub async fn status_room(&self, deadline: Instant) {
        self.status.room(deadline).await;
    }

    /// Another room for online and offline events.
    pub fn set_status_limit(&self, limit: QueueLimit) {
        self.status.set_limit(limit);
    }

    /// Publishes a message of a device. The filters of the routes apply to this device. Never waits.
    pub(crate) fn send(
        &self,
        message: &MessageRef<'_>,
        device: &Device,
        finalizer: Option<&Finalizer>,
        trace: Option<&Trace>,
    ) {
        let level = message.qos.level();
        let share = finalizer.map(|finalizer| finalizer.share(Sink::Kafka));
        let (metrics, lost) = (Arc::clone(&self.metrics), Arc::clone(&self.lost));
        let receipt = move |outcome: Result<Outcome, PublishError>| {
            metrics.message_ended(level, &outcome);
            lost.fetch_add(u64::from(is_loss(&outcome)), Ordering::Relaxed);
            if let Some(share) = share {
                settle(share, &outcome);
            }
        };
        // The receipt also receives the error of a message that is rejected at once.
        let sender = Sender { attributes: &DeviceAttributes::of(device), verdict: &device.sinks().kafka };
        let _ = match trace {
            None => self.publisher.submit_from(message, &sender, Some(Box::new(receipt))),
            Some(trace) => self.send_traced(message, &sender, trace, receipt),
        };
    }

    /// As a part of this trace.
    fn send_traced(
        &self,
        message: &MessageRef<'_>,
        sender: &Sender<'_>,
        trace: &Trace,
        receipt: impl FnOnce(Result<Outcome, PublishError>) + Send + 'static,
    ) -> Result<Outcome, PublishError> {
        let publishing = spans::Publishing::begin(trace);
        let ended = publishing.clone();
        let receipt: Receipt = Box::new(move |outcome| {
            ended.end(&outcome);
            receipt(outcome);
        });
        publishing.annotate(|annotation| {
            self.publisher.submit_annotated(message, sender, annotation, Some(receipt))
        })
    }

    /// Whether there is room for more messages of this level. Those of the lowest one do not wait for the client.
    pub(super) fn room(&self, level: QosLevel) -> Room {
        let is_full = if level == QosLevel::Low { &self.fullness.client } else { &self.fullness.backlog };
        if is_full.load(Ordering::Relaxed) { Room::Scarce } else { Room::Free }
    }

    /// Counts a message for Kafka that is dropped before it is published.
    pub fn refuse(&self, level: QosLevel) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.metrics.message_ended(level, &Err(PublishError::BufferFull));
    }

    /// How many messages were lost since the start. Those without a route were not for Kafka.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until all records are acknowledged, at most until `deadline`, then stops: what is left is lost. Returns how
    /// many records were left or failed meanwhile, dead letters included.
    pub async fn flush(&self, deadline: Instant) -> u64 {
        self.status.drained(deadline).await;
        self.status.close();
        let within = deadline.saturating_duration_since(Instant::now());
        let stopped = self.publisher.stop(within).await;
        stopped.undelivered + stopped.failed
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Turns the outcome at Kafka into the verdict for the acknowledgement.
fn settle(share: Share, outcome: &Result<Outcome, PublishError>) {
    let verdict = match outcome {
        // A filter rejected it, so that HTTP alone decides.
        Ok(Outcome::Filtered) => return share.withdraw(),
        Ok(Outcome::Accepted) => Verdict::Delivered,
        // Kafka has not acknowledged it.
        Ok(Outcome::Queued | Outcome::Attempted | Outcome::Failed) => Verdict::KafkaFailed,
        Err(PublishError::BufferFull) => Verdict::NotEnqueued,
        Err(PublishError::Displaced) => Verdict::Displaced,
        // Found by us or by the broker.
        Err(error) if error.dead_letter_reason() == Some(DeadLetterReason::TooLarge) => Verdict::TooLarge,
        Err(PublishError::NoTopicMatch { .. } | PublishError::InvalidDestination { .. }) => Verdict::NoRoute,
        Err(PublishError::Stopped) => Verdict::ShuttingDown,
        Err(_) => Verdict::KafkaFailed,
    };
    share.finish(verdict);
}

/// Whether a message is lost that has a route to Kafka.
fn is_loss(outcome: &Result<Outcome, PublishError>) -> bool {
    match outcome {
        Ok(_) => false,
        Err(error) => !matches!(
            error,
            PublishError::NoTopicMatch { .. }
                | PublishError::InvalidDestination { .. }
                | PublishError::MissingHashKey { .. }
                | PublishError::EmptyTopic
        ),
    }
}

impl Fullness {
    fn update(&self, buffered: &Buffered) {
        let is_full = |held: u64, limit: u64| held.saturating_mul(4) >= limit.saturating_mul(3);
        let Buffered { records, bytes, max_records, max_bytes, .. } = *buffered;
        self.client.store(is_full(records, max_records) || is_full(bytes, max_bytes), Ordering::Relaxed);
        let records = is_full(buffered.waiting_records, buffered.max_waiting_records);
        let bytes = is_full(buffered.waiting_bytes, buffered.max_waiting_bytes);
        self.backlog.store(records || bytes, Ordering::Relaxed);
    }
}

async fn watch(publisher: Publisher, metrics: Arc<KafkaMetrics>, fullness: Arc<Fullness>) {
    let mut ticks = tokio::time::interval(GAUGE_PERIOD);
    loop {
        ticks.tick().await;
        let buffered = publisher.buffered();
        fullness.update(&buffered);
        metrics.show_buffered(&buffered);
        metrics.show_up(publisher.is_up());
        metrics.show_counts(publisher.panics(), publisher.refused_in_batches());
        metrics.show_topics(&publisher.topics(), publisher.unacknowledged());
        metrics.show_schemas(&publisher.schema_stats());
    }
}
