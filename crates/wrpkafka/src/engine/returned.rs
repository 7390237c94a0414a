//! Records that come back from the client: delivered, failed, or to be sent again.

use std::sync::atomic::Ordering;
use std::time::Instant;

use wrp::QosLevel;

use super::Engine;
use super::backlog::{Freed, Unreported, Waiting, Written};
use crate::client::DeliveryError;
use crate::client::events::Next;
use crate::delivery::{DeliveryContext, Record};
use crate::error::PublishError;

impl Engine {
    /// Takes a record back from the client, and says what the client does next. `record` copies what the client still holds of
    /// it.
    pub(crate) fn delivered(
        &self,
        context: Box<DeliveryContext>,
        result: Result<(), DeliveryError>,
        record: &dyn Fn() -> Record,
    ) -> Next {
        let mut next = Next::GoOn;
        let (lane, bytes, sequence) = (context.target.lane(), context.bytes(), context.sequence);
        let mut unreported = Unreported::default();
        let left = |freed: Freed, written, unreported: &mut Unreported| {
            if freed.may_be_probe {
                self.backlog.probe_ended(lane, sequence, written, unreported);
            }
            freed.is_wanted
        };
        let is_wanted = match result {
            Ok(()) => {
                let freed = self.backlog.free(lane, bytes);
                // Before the receipt, which may publish to the topic.
                let is_wanted = left(freed, Written::Yes, &mut unreported);
                self.finish(*context, Ok(()));
                is_wanted
            }
            Err(DeliveryError::Final(error)) => {
                let freed = self.backlog.free(lane, bytes);
                let is_wanted = left(freed, Written::Unknown, &mut unreported);
                self.finish_refused(context, record, error);
                is_wanted
            }
            Err(DeliveryError::BatchTooLarge(error)) if self.backlog.is_probe(lane, sequence) => {
                let freed = self.backlog.free(lane, bytes);
                // The topic has answered: the next record may be smaller.
                let is_wanted = left(freed, Written::Yes, &mut unreported);
                self.finish_refused(context, record, error);
                is_wanted
            }
            Err(DeliveryError::BatchTooLarge(error)) => {
                let mut context = context;
                context.goes_alone = true;
                self.clients.count_refused_in_batch();
                next = Next::GiveBackQueue;
                let freed = self.send_again_when_written(context, record, error, &mut unreported);
                left(freed, Written::Unknown, &mut unreported)
            }
            Err(DeliveryError::TopicFailed(error)) => {
                let freed = self.send_again_when_written(context, record, error, &mut unreported);
                left(freed, Written::Unknown, &mut unreported)
            }
            Err(DeliveryError::Transient(error)) => {
                left(self.send_again(context, record, error), Written::Unknown, &mut unreported)
            }
            Err(DeliveryError::NotSent | DeliveryError::MaybeWritten) => {
                let error = PublishError::Broker {
                    code: "ClientGone".into(),
                    reason: "the kafka client was replaced before it delivered the record".into(),
                };
                left(self.send_again(context, record, error), Written::Unknown, &mut unreported)
            }
        };
        if is_wanted {
            self.backlog.pump(&mut unreported);
        }
        self.report(unreported);
        next
    }

    /// Ends a record that no retry can help, with its dead letter if the error makes one.
    fn finish_refused(
        &self,
        context: Box<DeliveryContext>,
        record: &dyn Fn() -> Record,
        error: PublishError,
    ) {
        if error.dead_letter_reason().is_some() {
            self.send_dead_letter(record().as_ref(&context.target), &context, &error);
        }
        self.finish(*context, Err(error));
    }

    /// Lets a record be sent again, in its old place, unless its time or its retries are over: then it fails with the
    /// error.
    fn send_again(
        &self,
        context: Box<DeliveryContext>,
        record: &dyn Fn() -> Record,
        error: PublishError,
    ) -> Freed {
        let (lane, bytes) = (context.target.lane(), context.bytes());
        let is_late = self.is_late(&context, Instant::now());
        let retries_exhausted =
            context.level == QosLevel::Low && u64::from(context.attempts) > self.limits.low_retries;
        let (context, error) = if is_late || retries_exhausted {
            (context, if is_late { PublishError::Timeout } else { error })
        } else {
            let record = record();
            match self.backlog.put_back(Waiting { record, context }) {
                Ok(()) => return self.backlog.free(lane, bytes),
                Err(waiting) => (self.undelivered(waiting), PublishError::Stopped),
            }
        };
        let freed = self.backlog.free(lane, bytes);
        self.finish(*context, Err(error));
        freed
    }

    /// Lets a record be sent again, in its old place, when its topic can be written to, unless its time is over: then it
    /// fails with the error.
    fn send_again_when_written(
        &self,
        context: Box<DeliveryContext>,
        record: &dyn Fn() -> Record,
        error: PublishError,
        unreported: &mut Unreported,
    ) -> Freed {
        let (lane, bytes) = (context.target.lane(), context.bytes());
        let is_late = self.is_late(&context, Instant::now());
        let waiting = Waiting { record: record(), context };
        let result = if is_late {
            unreported.failed.push((waiting, error));
            Ok(())
        } else {
            self.backlog.put_back_failed(waiting, &error, unreported)
        };
        let freed = self.backlog.free(lane, bytes);
        if let Err(waiting) = result {
            self.finish(*self.undelivered(waiting), Err(PublishError::Stopped));
        }
        freed
    }

    /// Counts a record that came back after the stop.
    fn undelivered(&self, waiting: Waiting) -> Box<DeliveryContext> {
        self.undelivered.fetch_add(1, Ordering::Relaxed);
        waiting.context
    }
}
