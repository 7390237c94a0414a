//! An event that is to be posted to one URL.

use std::sync::Arc;

use bytes::Bytes;
use talaria_protocol::url::Target;
use tokio::time::Instant;
use wrp::DeviceId;

use super::device_share::DeviceSlot;
use crate::event::finalizer::Share;
use crate::event::reason::SchemeLabel;

/// An event on its way to one URL.
pub(super) struct Job {
    pub(super) target: Arc<Target>,
    pub(super) body: Bytes,
    pub(super) scheme: SchemeLabel,
    /// The place in the share of the device that named the URL; none if the URL was configured.
    pub(super) slot: Option<DeviceSlot>,
    pub(super) deadline: Instant,
    /// How many attempts were made.
    pub(super) attempts: u32,
    pub(super) share: Option<Share>,
}

impl Job {
    /// The device that named the URL.
    pub(super) fn device(&self) -> Option<&DeviceId> {
        self.slot.as_ref().map(DeviceSlot::device)
    }
}
