//! The end of a record: its publish event, its log line, its receipt.
//!
//! It does not decide when a record ends or whether it is sent again; that is the [engine](super).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use wrp::Text;

use super::record_errors::RecordErrorThrottle;
use super::seconds::Seconds;
use crate::dead_letter::{DeadLetterOutcome, DeadLetterReason};
use crate::delivery::DeliveryContext;
use crate::error::PublishError;
use crate::listener::{Listeners, PublishEvent, TopicChange, TopicState};

/// Where a failure was found, which decides its log line (contract §8.16).
#[derive(Debug, Clone, Copy)]
pub(crate) enum FailedIn<'a> {
    /// The publish call, with its message's destination.
    Call(Text<'a>),
    /// The client or the backlog, later.
    Delivery,
}

/// Reports what became of records and messages. Called with no lock held, as listeners and receipts may publish.
#[derive(Default)]
pub(crate) struct Completion {
    pub(crate) listeners: Listeners,
    throttle: RecordErrorThrottle,
    failed: AtomicU64,
}

impl Completion {
    /// Reports what became of a record.
    pub(crate) fn record(
        &self,
        mut context: DeliveryContext,
        result: Result<(), PublishError>,
        failed_in: FailedIn<'_>,
    ) {
        if let Some(reason) = context.dead_letter {
            return self.dead_letter(reason, result);
        }
        let trace = context.trace();
        let (topic, error) = (&*context.target.topic, result.as_ref().err());
        self.listeners.on_publish(&PublishEvent {
            event_type: context.event_type(),
            topic,
            topic_shard_strategy: &context.target.strategy,
            error,
            error_type: error.map(PublishError::error_type),
            duration: context.submitted.elapsed(),
            trace,
        });
        if let Some(error) = error {
            self.failed.fetch_add(1, Ordering::Relaxed);
            self.log(error, topic, failed_in);
        }
        self.listeners.panics.catch("receipt", || context.settle(result));
    }

    /// How many records have failed so far.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Reports a message that gives no record.
    pub(crate) fn message_rejected(
        &self,
        event_type: &str,
        error: &PublishError,
        submitted: Instant,
        destination: Text<'_>,
    ) {
        self.listeners.on_publish(&PublishEvent {
            event_type,
            topic: "",
            topic_shard_strategy: "",
            error: Some(error),
            error_type: Some(error.error_type()),
            duration: submitted.elapsed(),
            trace: None,
        });
        self.log(error, "", FailedIn::Call(destination));
    }

    /// Reports that a topic can no longer be written to, or can again: each change, as there are few.
    pub(crate) fn topic_changed(&self, change: &TopicChange) {
        let TopicChange { topic, state, waiting_records, waiting_bytes } = change;
        match state {
            TopicState::Failing { error }
                if error.dead_letter_reason() == Some(DeadLetterReason::TooLarge) =>
            {
                tracing::warn!(
                    topic, %error, waitingRecords = waiting_records, waitingBytes = waiting_bytes,
                    "kafka topic takes no batches of this size, its records go one by one: see batchMaxBytes"
                );
            }
            TopicState::Failing { error } => tracing::warn!(
                topic, %error, waitingRecords = waiting_records, waitingBytes = waiting_bytes,
                "kafka topic cannot be written to, its records wait"
            ),
            TopicState::Recovered { error, lasted } => tracing::info!(
                topic, %error, lasted = %Seconds(*lasted), waitingRecords = waiting_records, waitingBytes = waiting_bytes,
                "kafka topic can be written to again"
            ),
        }
        self.listeners.on_topic_change(change);
    }

    fn dead_letter(&self, reason: DeadLetterReason, result: Result<(), PublishError>) {
        let outcome = match result {
            Ok(()) => DeadLetterOutcome::Delivered,
            Err(error) => {
                if let Some(suppressed) = self.throttle.admit_lost_dead_letter(Instant::now()) {
                    tracing::error!(%error, %reason, suppressed, "kafka dead letter lost");
                }
                DeadLetterOutcome::Lost
            }
        };
        self.listeners.on_dead_letter(reason, outcome);
    }

    /// Logs a loss, once a minute for each kind of error.
    fn log(&self, error: &PublishError, topic: &str, failed_in: FailedIn<'_>) {
        let Some(suppressed) = self.throttle.admit(error, Instant::now()) else { return };
        let error_type = error.error_type().as_str();
        match failed_in {
            FailedIn::Call(destination) => tracing::error!(
                %destination, %error, topic, errorType = error_type, suppressed,
                "Failed to publish message to Kafka"
            ),
            FailedIn::Delivery => tracing::error!(
                %error, topic, errorType = error_type, suppressed,
                "Kafka async publish error"
            ),
        }
    }
}
