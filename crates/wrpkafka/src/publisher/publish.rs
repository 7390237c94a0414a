//! The calls that wait, for room or for the brokers' acknowledgement.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use wrp::{MessageRef, QosLevel};

use super::{Receipt, Shared};
use crate::admission::Sender;
use crate::engine::{Origin, Refusal};
use crate::error::PublishError;
use crate::outcome::Outcome;
use crate::record::Record;
use crate::route::{PlannedRecord, Unroutable};
use crate::schema::Frame;
use crate::scratch;
use crate::ticket::{Share, Ticket};

/// A message's event type, when it was published, and its records with what their values still lack.
type Records = (String, Instant, Vec<(Record, Frame)>);

impl Shared {
    pub(super) async fn publish_queued(
        &self,
        message: &MessageRef<'_>,
        level: QosLevel,
        sender: Option<&Sender<'_>>,
    ) -> Result<Outcome, PublishError> {
        let (event_type, submitted, records) = self.records(message, sender)?;
        if records.is_empty() {
            return Ok(Outcome::Filtered);
        }
        for (record, frame) in records {
            let share = Share::default();
            let mut ticket = Ticket::new(Arc::clone(&record.target), &event_type, level, submitted, share);
            ticket.frame = frame;
            if let Err(Refusal { ticket, error }) = self.engine.enter(record, ticket).await {
                self.engine.finish(*ticket, Err(error.clone()), Origin::Call(message.dest));
                if error == PublishError::Stopped {
                    return Err(error);
                }
            }
        }
        Ok(Outcome::Queued)
    }

    pub(super) async fn publish_acknowledged(
        &self,
        message: &MessageRef<'_>,
        sender: Option<&Sender<'_>>,
    ) -> Result<Outcome, PublishError> {
        let (event_type, submitted, records) = self.records(message, sender)?;
        if records.is_empty() {
            return Ok(Outcome::Filtered);
        }
        for (record, frame) in records {
            let (told, fate) = oneshot::channel();
            // The caller may have given up.
            let receipt: Receipt = Box::new(move |result| drop(told.send(result)));
            let share = Share::split(Some(receipt), 1).next().unwrap_or_default();
            let mut ticket =
                Ticket::new(Arc::clone(&record.target), &event_type, QosLevel::Critical, submitted, share);
            ticket.frame = frame;
            if let Err(Refusal { ticket, error }) = self.engine.enter(record, ticket).await {
                self.engine.finish(*ticket, Err(error), Origin::Call(message.dest));
            }
            fate.await.unwrap_or(Err(PublishError::Stopped))?;
        }
        Ok(Outcome::Accepted)
    }

    /// The records of a message, copied, for calls that wait; none if it is filtered.
    fn records(
        &self,
        message: &MessageRef<'_>,
        sender: Option<&Sender<'_>>,
    ) -> Result<Records, PublishError> {
        let submitted = Instant::now();
        let routes = self.engine.routes.load();
        let plan = match self.plan(&routes, message, sender) {
            Ok(plan) => plan,
            Err(Unroutable { event_type, error }) => {
                self.engine.refuse(&event_type, &error, submitted, message.dest);
                return Err(error);
            }
        };
        let records = scratch::with(|scratch| {
            self.encode(message, &routes, scratch);
            let record = |planned: &PlannedRecord<'_>| {
                self.with_record(message, planned, scratch, |record, frame| (record.to_record(), frame))
            };
            plan.records.iter().map(record).collect()
        });
        Ok((plan.event_type.into_owned(), submitted, records))
    }
}
