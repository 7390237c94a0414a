//! The metrics of the Kafka sink (contract §10.7): names, labels and buckets are all here.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge};
use talaria_protocol::trace_context::TraceId;
use wrp::QosLevel;
use wrpkafka::{
    Buffered, ClientStats, DeadLetterOutcome, DeadLetterReason, Filtered, Listener, Outcome, PublishError,
    PublishEvent, SchemaStats, TopicUsage,
};

use super::client::ClientMetrics;
use super::schema::SchemaMetrics;
use super::topics::TopicMetrics;
use crate::event::reason::{DropReason, EventOutcome, NO_STATUS, SchemeLabel};
use crate::event::shed::{ShedEvents, ShedReason};
use crate::telemetry::metrics::{LatencyVec, Metrics};

/// Seconds: the reference's.
const LATENCY_BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

/// The `error_type` of a record that was published.
const SUCCESS: &str = "success";

/// The handles of the families `kafka_*`, `publish_outcome_total` and those of the client.
#[derive(Clone, Debug)]
pub struct KafkaMetrics {
    events: IntCounterVec,
    dropped: IntCounterVec,
    published: IntCounterVec,
    filtered: IntCounterVec,
    latency: LatencyVec,
    utilization: Gauge,
    waiting_utilization: Gauge,
    up: IntGauge,
    panics: IntCounter,
    refused_in_batches: IntCounter,
    topics: Arc<TopicMetrics>,
    outcomes: IntCounterVec,
    /// The series of acknowledged messages, and those by outcome in the order of [`Outcome::ALL`], looked up once.
    succeeded: OnceLock<IntCounter>,
    ended: [OnceLock<IntCounter>; Outcome::ALL.len()],
    shed: ShedEvents,
    client: Arc<ClientMetrics>,
    schemas: Arc<SchemaMetrics>,
}

impl KafkaMetrics {
    /// Registers the families.
    pub fn register(metrics: &Metrics) -> Self {
        let bare = metrics.bare();
        let record_labels = ["error_type", "topic", "topic_shard_strategy"];
        Self {
            events: bare.counter_vec(
                "kafka_total_outbound_events",
                "The events for Kafka: acknowledged (success) or lost (failure)",
                &["scheme", "reason", "outcome"],
            ),
            dropped: bare.counter_vec(
                "kafka_outbound_dropped_messages",
                "The messages that Kafka did not accept",
                &["scheme", "code", "reason"],
            ),
            published: bare.counter_vec(
                "kafka_messages_published_total",
                "The records that were acknowledged or lost",
                &record_labels,
            ),
            filtered: bare.counter_vec(
                "kafka_filtered_messages_total",
                "The messages that matched a route but were rejected by its filter, by the rule that rejected them",
                &["topic", "rule"],
            ),
            latency: bare.latency_vec(
                "kafka_publish_latency_seconds",
                "Seconds from a record's submission to its outcome",
                &record_labels,
                LATENCY_BUCKETS,
            ),
            utilization: bare.float_gauge(
                "kafka_buffer_utilization",
                "How full the publisher's buffer is, from 0 to 1, by records or by bytes, whichever is more",
            ),
            waiting_utilization: bare.float_gauge(
                "kafka_waiting_utilization",
                "How full the backlog in front of the buffer is, from 0 to 1: at 1 records are lost",
            ),
            up: bare.gauge(
                "kafka_up",
                "1 if brokers have been reached and nothing has kept records from leaving since, else 0",
            ),
            outcomes: bare.counter_vec(
                "publish_outcome_total",
                "The messages by their outcome",
                &["outcome"],
            ),
            succeeded: OnceLock::new(),
            ended: Default::default(),
            shed: ShedEvents::register(metrics),
            panics: bare.counter("kafka_panics_total", "The panics that the Kafka sink has survived"),
            refused_in_batches: bare.counter(
                "kafka_refused_in_batches_total",
                "The records that were refused in a batch that was too large, and sent again alone",
            ),
            topics: Arc::new(TopicMetrics::register(metrics)),
            client: Arc::new(ClientMetrics::register(metrics)),
            schemas: Arc::new(SchemaMetrics::register(metrics)),
        }
    }

    /// The outcome of a message is known. A filtered message was not for Kafka, so it counts as neither success nor failure.
    pub(super) fn message_ended(&self, level: QosLevel, result: &Result<Outcome, PublishError>) {
        if matches!(result, Ok(Outcome::Filtered)) {
            return self.count(Outcome::Filtered);
        }
        self.count(published(level, result.is_ok()));
        let scheme = SchemeLabel::Event.label();
        let Err(error) = result else {
            let labels = [scheme, DropReason::NoError.label(), EventOutcome::Success.label()];
            return self.succeeded.get_or_init(|| self.events.with_label_values(&labels)).inc();
        };
        let reason = DropReason::KafkaSendFailure.label();
        self.events.with_label_values(&[scheme, reason, EventOutcome::Failure.label()]).inc();
        self.dropped.with_label_values(&[scheme, NO_STATUS, reason]).inc();
        match error {
            PublishError::Displaced => self.shed.at_kafka(level, ShedReason::Displaced),
            PublishError::BufferFull => self.shed.at_kafka(level, ShedReason::NoRoom),
            _ => {}
        }
    }

    fn count(&self, outcome: Outcome) {
        let counter = || self.outcomes.with_label_values(&[outcome.as_str()]);
        match self.ended.get(outcome as usize) {
            Some(handle) => handle.get_or_init(counter).inc(),
            None => counter().inc(),
        }
    }

    pub(super) fn show_buffered(&self, buffered: &Buffered) {
        let records = share(buffered.records, buffered.max_records);
        let bytes = share(buffered.bytes, buffered.max_bytes);
        self.utilization.set(records.max(bytes).min(1.0));
        let records = share(buffered.waiting_records, buffered.max_waiting_records);
        let bytes = share(buffered.waiting_bytes, buffered.max_waiting_bytes);
        self.waiting_utilization.set(records.max(bytes).min(1.0));
        self.client.show_buffered(buffered);
    }

    pub(super) fn show_up(&self, is_up: bool) {
        self.up.set(is_up.into());
    }

    /// Both are how many there were so far.
    pub(super) fn show_counts(&self, panics: u64, refused_in_batches: u64) {
        self.panics.inc_by(panics.saturating_sub(self.panics.get()));
        self.refused_in_batches.inc_by(refused_in_batches.saturating_sub(self.refused_in_batches.get()));
    }

    pub(super) fn show_topics(&self, topics: &[TopicUsage], unacknowledged: Option<Duration>) {
        self.topics.show(topics, unacknowledged);
    }

    pub(super) fn show_schemas(&self, stats: &SchemaStats) {
        self.schemas.show(stats);
    }
}

impl Listener for KafkaMetrics {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        let error_type = event.error_type.map_or(SUCCESS, wrpkafka::ErrorType::as_str);
        let labels = [error_type, event.topic, event.topic_shard_strategy];
        self.published.with_label_values(&labels).inc();
        self.latency.observe(&labels, event.duration, event.trace.and_then(TraceId::new));
    }

    fn on_filtered(&self, event: &Filtered<'_>) {
        self.filtered.with_label_values(&[event.topic, event.by.as_str()]).inc();
    }

    fn on_dead_letter(&self, reason: DeadLetterReason, outcome: DeadLetterOutcome) {
        self.schemas.dead_letter(reason, outcome);
    }

    fn on_client_stats(&self, stats: &ClientStats) {
        self.client.add(stats);
    }
}

/// The outcome as contract §8.9 calls it for each level.
fn published(level: QosLevel, is_delivered: bool) -> Outcome {
    match level {
        QosLevel::Low => Outcome::Attempted,
        _ if !is_delivered => Outcome::Failed,
        QosLevel::Medium | QosLevel::High => Outcome::Queued,
        QosLevel::Critical => Outcome::Accepted,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge needs no more than 52 bits")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
