//! One client among those that a publisher has had.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::backlog::Outlet;
use crate::client::{Client, SendError};
use crate::delivery::{DeliveryContext, RecordRef};
use crate::files::Fingerprint;

/// A client, and which of the publisher's clients it is.
pub(crate) struct ClientInstance {
    pub(crate) client: Arc<dyn Client>,
    pub(crate) number: u64,
    /// What the files held that it was built from.
    pub(crate) files: Fingerprint,
}

impl ClientInstance {
    /// Whether a record or an event is still to come from it, or a caller may still send it a record.
    pub(super) fn is_busy(self: &Arc<Self>) -> bool {
        if Arc::strong_count(self) > 1 {
            return true;
        }
        // Callers that dropped their handle have sent their records before: they must be seen by what follows.
        fence(Ordering::Acquire);
        self.client.outstanding() > 0
    }
}

impl Outlet for Arc<ClientInstance> {
    fn send(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), SendError> {
        self.client.send(record, context)
    }
}
