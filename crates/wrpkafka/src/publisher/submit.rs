//! The call that never waits.

use std::time::Instant;

use wrp::{MessageRef, QosLevel};

use super::{Shared, optimistic};
use crate::delivery::{Annotation, DeliveryContext, MessageContext, Receipt, ReceiptShare};
use crate::engine::{DispatchError, FailedIn};
use crate::error::PublishError;
use crate::outcome::Outcome;
use crate::routing::{RoutingError, Sender};
use crate::scratch;

impl Shared {
    pub(super) fn submit(
        &self,
        message: &MessageRef<'_>,
        level: QosLevel,
        sender: Option<&Sender<'_>>,
        annotation: Option<&Annotation<'_>>,
        receipt: Option<Receipt>,
    ) -> Result<Outcome, PublishError> {
        let engine = &*self.engine;
        let submitted = Instant::now();
        let routes = self.routes.load();
        let plan = match self.plan(&routes, message, sender) {
            Ok(plan) if plan.records.is_empty() => {
                if let Some(receipt) = receipt {
                    receipt(Ok(Outcome::Filtered));
                }
                return Ok(Outcome::Filtered);
            }
            Ok(plan) => plan,
            Err(RoutingError { event_type, error }) => {
                engine.completion.message_rejected(&event_type, &error, submitted, message.dest);
                if let Some(receipt) = receipt {
                    receipt(Err(error.clone()));
                }
                return Err(error);
            }
        };
        let common = MessageContext { event_type: &plan.event_type, level, submitted };
        scratch::with(|scratch| {
            self.encode(message, &routes, scratch);
            if let Some(Annotation { headers, on_topic, .. }) = annotation {
                headers.iter().for_each(|(name, value)| scratch.headers.push(name, value.as_bytes()));
                plan.records.iter().for_each(|planned| on_topic(planned.target.topic()));
            }
            let mut outcome = optimistic(level);
            let shares = ReceiptShare::split(receipt, plan.records.len());
            for (planned, share) in plan.records.iter().zip(shares) {
                let dispatched = self.with_record(message, planned, scratch, |record, frame| {
                    let target = planned.target.clone();
                    let mut context = DeliveryContext::new(target, &common, frame, share);
                    if let Some(trace) = annotation.and_then(|annotation| annotation.trace) {
                        context.set_trace(trace);
                    }
                    engine.dispatch(record, context)
                });
                outcome = match dispatched {
                    Ok(()) if level == QosLevel::Low => Outcome::Attempted,
                    Ok(()) => Outcome::Queued,
                    Err(DispatchError { context, error }) => {
                        engine.completion.record(*context, Err(error), FailedIn::Call(message.dest));
                        if level == QosLevel::Low { Outcome::Attempted } else { Outcome::Failed }
                    }
                };
            }
            Ok(outcome)
        })
    }
}
