//! The walk of a drain through the registry.

use std::sync::Arc;
use std::vec;

use talaria_protocol::control::drain::{Connected, Selection};
use tokio::time::Instant;
use wrp::DeviceId;

use crate::device::{Device, Registry};

/// Visits the devices that a drain may close, each once.
///
/// It holds neither a lock nor a device, only the ids of one shard of the registry. Devices that connect after the walk has
/// started are left out: those that come back during a drain would be closed again and again.
pub(super) struct Walk {
    registry: Arc<Registry>,
    selection: Arc<Selection>,
    began: Instant,
    /// The ids of the current shard, or those of the order.
    ids: vec::IntoIter<DeviceId>,
    /// The next shard; none is left if the order names ids.
    shard: usize,
}

/// A step of the walk.
pub(super) enum Step {
    /// A device that meets the conditions.
    Match(Arc<Device>),
    /// A device that has left, is new, or does not meet them.
    Other,
    /// There are no more devices.
    End,
}

impl Walk {
    /// A walk that starts now.
    pub(super) fn new(registry: &Arc<Registry>, selection: &Arc<Selection>) -> Self {
        let ids = selection.ids();
        Self {
            registry: Arc::clone(registry),
            selection: Arc::clone(selection),
            began: Instant::now(),
            ids: ids.unwrap_or_default().to_vec().into_iter(),
            shard: if ids.is_some() { registry.shard_count() } else { 0 },
        }
    }

    /// Checks the next device.
    pub(super) fn next(&mut self) -> Step {
        let Some(id) = self.ids.next() else { return self.next_shard() };
        match self.registry.get(&id) {
            Some(device)
                if device.statistics().was_connected_at(self.began)
                    && self.selection.matches(described(&device)) =>
            {
                Step::Match(device)
            }
            _ => Step::Other,
        }
    }

    fn next_shard(&mut self) -> Step {
        if self.shard >= self.registry.shard_count() {
            return Step::End;
        }
        self.ids = self.registry.shard_ids(self.shard).into_iter();
        self.shard += 1;
        Step::Other
    }
}

/// What the conditions are compared with.
fn described(device: &Device) -> Connected<'_> {
    Connected {
        id: device.id(),
        partner_id: device.partner_id(),
        convey: device.convey(),
        claims: device.claims(),
        session_id: device.session_id(),
    }
}
