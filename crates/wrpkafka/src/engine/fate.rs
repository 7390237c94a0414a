//! The end of a record's way: who is told, and what is logged.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use wrp::{QosLevel, Text};

use super::Engine;
use crate::client::Failure;
use crate::delivery::DeliveryContext;
use crate::delivery::Record;
use crate::error::PublishError;
use crate::listener::PublishEvent;
use crate::routing::Target;
use crate::waiting::Waiting;

/// Who learns of a failure first, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// The publishing call, with its message's destination.
    Call(Text<'a>),
    /// The client, later.
    Client,
}

impl Engine {
    /// Takes a record back from the client. `record` copies what the client holds, should it have to be sent again.
    pub(super) fn delivered(
        &self,
        context: Box<DeliveryContext>,
        fate: Result<(), Failure>,
        record: impl FnOnce(Arc<Target>) -> Record,
    ) {
        self.buffer.release(context.bytes);
        match fate {
            Ok(()) => self.finish(*context, Ok(()), Origin::Client),
            Err(Failure::Final(error)) => {
                if error.dead_letter_reason().is_some() {
                    self.bury(record(Arc::clone(&context.target)).as_ref(), &context, &error);
                }
                self.finish(*context, Err(error), Origin::Client);
            }
            Err(Failure::Transient(error)) => self.send_again(context, record, error),
            Err(Failure::Gone | Failure::Doubtful) => {
                let error = PublishError::Broker {
                    code: "ClientGone".into(),
                    reason: "the kafka client was replaced before it delivered the record".into(),
                };
                self.send_again(context, record, error);
            }
        }
        if self.waits.load(Ordering::SeqCst) {
            self.pump();
        }
        self.room_freed.notify_waiters();
    }

    /// Sends a record again, in its old place, unless its time or its retries are over: then it fails with the error.
    fn send_again(
        &self,
        context: Box<DeliveryContext>,
        record: impl FnOnce(Arc<Target>) -> Record,
        error: PublishError,
    ) {
        if self.is_closed() {
            self.undelivered.fetch_add(1, Ordering::Relaxed);
            return self.finish(*context, Err(PublishError::Stopped), Origin::Client);
        }
        let late = self.limits.delivery_timeout.is_some_and(|timeout| context.submitted.elapsed() >= timeout);
        let tired = context.level == QosLevel::Low && context.attempts > self.limits.low_retries;
        if late || tired {
            let error = if late { PublishError::Timeout } else { error };
            return self.finish(*context, Err(error), Origin::Client);
        }
        let record = record(Arc::clone(&context.target));
        self.put_back(Waiting { record, context });
    }

    /// Tells the listeners and the receipt what became of a record.
    pub(crate) fn finish(
        &self,
        context: DeliveryContext,
        result: Result<(), PublishError>,
        origin: Origin<'_>,
    ) {
        if let Some(reason) = context.dead_letter {
            return self.letter_ended(reason, result);
        }
        let (topic, error) = (&*context.target.topic, result.as_ref().err());
        self.listeners.on_publish(&PublishEvent {
            event_type: context.event_type(),
            topic,
            topic_shard_strategy: &context.target.strategy,
            error,
            error_type: error.map(PublishError::error_type),
            duration: context.submitted.elapsed(),
        });
        if let Some(error) = error {
            self.complain(error, topic, origin);
        }
        context.settle(result);
    }

    /// Tells the listeners of a message that becomes no record.
    pub(crate) fn refuse(&self, event_type: &str, error: &PublishError, submitted: Instant, dest: Text<'_>) {
        self.listeners.on_publish(&PublishEvent {
            event_type,
            topic: "",
            topic_shard_strategy: "",
            error: Some(error),
            error_type: Some(error.error_type()),
            duration: submitted.elapsed(),
        });
        self.complain(error, "", Origin::Call(dest));
    }

    /// Logs a loss, once a minute for each kind of error.
    fn complain(&self, error: &PublishError, topic: &str, origin: Origin<'_>) {
        let Some(suppressed) = self.complaints.due(error, Instant::now()) else { return };
        let error_type = error.error_type().as_str();
        match origin {
            Origin::Call(destination) => tracing::error!(
                %destination, %error, topic, errorType = error_type, suppressed,
                "Failed to publish message to Kafka"
            ),
            Origin::Client => tracing::error!(
                %error, topic, errorType = error_type, suppressed,
                "Kafka async publish error"
            ),
        }
    }
}
