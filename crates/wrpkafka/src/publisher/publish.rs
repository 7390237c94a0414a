//! The calls that wait: for room, or for the brokers' acknowledgement.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use wrp::{MessageRef, QosLevel};

use super::Shared;
use crate::delivery::{DeliveryContext, MessageContext, Receipt, ReceiptShare, Record};
use crate::engine::{DispatchError, FailedIn};
use crate::error::PublishError;
use crate::outcome::Outcome;
use crate::routing::{PlannedRecord, RoutingError, Sender, Target};
use crate::schema::Frame;
use crate::scratch;

/// A message's records, copied, since they outlive the turn in which they were encoded.
struct OwnedPlan {
    event_type: String,
    submitted: Instant,
    /// Each with its target, and with what its value still lacks. None if the filters rejected the message.
    records: Vec<(Arc<Target>, Record, Frame)>,
}

impl OwnedPlan {
    fn message(&self, level: QosLevel) -> MessageContext<'_> {
        MessageContext { event_type: &self.event_type, level, submitted: self.submitted }
    }
}

impl Shared {
    /// Publishes a message of QoS 25 to 74: waits for room, not for the brokers.
    pub(super) async fn publish_queued(
        &self,
        message: &MessageRef<'_>,
        level: QosLevel,
        sender: Option<&Sender<'_>>,
    ) -> Result<Outcome, PublishError> {
        let mut plan = self.owned_plan(message, sender)?;
        let records = std::mem::take(&mut plan.records);
        if records.is_empty() {
            return Ok(Outcome::Filtered);
        }
        for (target, record, frame) in records {
            let context = DeliveryContext::new(target, &plan.message(level), frame, ReceiptShare::default());
            if let Err(DispatchError { context, error }) =
                self.engine.dispatch_when_room(record, context).await
            {
                self.engine.completion.record(*context, Err(error.clone()), FailedIn::Call(message.dest));
                if error == PublishError::Stopped {
                    return Err(error);
                }
            }
        }
        Ok(Outcome::Queued)
    }

    /// Publishes a message of QoS 75 and above: waits for the acknowledgement of each record before the next one.
    pub(super) async fn publish_acknowledged(
        &self,
        message: &MessageRef<'_>,
        sender: Option<&Sender<'_>>,
    ) -> Result<Outcome, PublishError> {
        let mut plan = self.owned_plan(message, sender)?;
        let records = std::mem::take(&mut plan.records);
        if records.is_empty() {
            return Ok(Outcome::Filtered);
        }
        for (target, record, frame) in records {
            let (settled, result) = oneshot::channel();
            // The caller may have given up.
            let receipt: Receipt = Box::new(move |result| drop(settled.send(result)));
            let share = ReceiptShare::sole(receipt);
            let context = DeliveryContext::new(target, &plan.message(QosLevel::Critical), frame, share);
            if let Err(DispatchError { context, error }) =
                self.engine.dispatch_when_room(record, context).await
            {
                self.engine.completion.record(*context, Err(error), FailedIn::Call(message.dest));
            }
            result.await.unwrap_or(Err(PublishError::Stopped))?;
        }
        Ok(Outcome::Accepted)
    }

    fn owned_plan(
        &self,
        message: &MessageRef<'_>,
        sender: Option<&Sender<'_>>,
    ) -> Result<OwnedPlan, PublishError> {
        let submitted = Instant::now();
        let routes = self.routes.load();
        let plan = match self.plan(&routes, message, sender) {
            Ok(plan) => plan,
            Err(RoutingError { event_type, error }) => {
                self.engine.completion.message_rejected(&event_type, &error, submitted, message.dest);
                return Err(error);
            }
        };
        let records = scratch::with(|scratch| {
            self.encode(message, &routes, scratch);
            let record = |planned: &PlannedRecord<'_>| {
                self.with_record(message, planned, scratch, |record, frame| {
                    (Arc::clone(record.target), record.to_record(), frame)
                })
            };
            plan.records.iter().map(record).collect()
        });
        Ok(OwnedPlan { event_type: plan.event_type.into_owned(), submitted, records })
    }
}
