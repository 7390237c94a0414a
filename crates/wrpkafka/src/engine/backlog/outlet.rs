//! Where records leave to, and what may keep the next one from leaving.

use super::flow::Flow;
use crate::client::{DeliveryError, SendError};
use crate::delivery::{DeliveryContext, RecordRef};
use crate::error::PublishError;

/// A handle of a client.
pub(crate) trait Outlet {
    fn send(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), SendError>;
}

/// Completes the values of records that wait for a schema's id.
pub(crate) trait Framing {
    /// Completes the record that leaves next, which its context holds.
    fn complete(&self, next: &mut DeliveryContext) -> Readiness;
}

/// Whether the next record may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// Its schema's id is not known yet.
    NotYet,
    /// Its value can never be completed.
    Never(PublishError),
}

/// Why a record did not leave.
pub(super) enum NotSent {
    MustWait(Box<DeliveryContext>, Flow),
    Rejected(Box<DeliveryContext>, PublishError),
    /// Its topic cannot be written to.
    TopicFailed(Box<DeliveryContext>, PublishError),
}

/// Hands a record to the client, if there is one.
pub(super) fn send(
    client: Option<&impl Outlet>,
    record: RecordRef<'_>,
    mut context: Box<DeliveryContext>,
) -> Result<(), NotSent> {
    let Some(client) = client else { return Err(NotSent::MustWait(context, Flow::Open)) };
    context.attempts += 1;
    client.send(record, context).map_err(|SendError { context, error }| match error {
        DeliveryError::NotSent | DeliveryError::MaybeWritten => NotSent::MustWait(context, Flow::Open),
        DeliveryError::TopicFailed(error) => NotSent::TopicFailed(context, error),
        DeliveryError::Final(error)
        | DeliveryError::Transient(error)
        | DeliveryError::BatchTooLarge(error) => NotSent::Rejected(context, error),
    })
}
