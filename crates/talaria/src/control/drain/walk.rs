use std::sync::Arc;
use std::vec;

use talaria_protocol::control::drain::{Connected, Selection};
use tokio::time::Instant;
use wrp::DeviceId;

use crate::device::{Device, Registry};

/// Goes through the devices that a drain may send away, each once.
///
/// It holds no lock and no device, but the ids of one shard of the registry. A device that connects after the walk has
/// begun, or again, is not shown: those who come back during a drain would be sent away endlessly.
pub(super) struct Walk {
    registry: Arc<Registry>,
    selection: Arc<Selection>,
    began: Instant,
    /// The ids of the shard that is being walked, or those that were asked for.
    ids: vec::IntoIter<DeviceId>,
    /// The next shard; none is left if the walk goes by ids.
    shard: usize,
}

/// What a look at the next device gave.
pub(super) enum Look {
    /// It meets the conditions.
    Match(Arc<Device>),
    /// It has left, is new, or does not meet them.
    Other,
    /// There are no more.
    End,
}

impl Walk {
    /// Begins now.
    pub(super) fn new(registry: &Arc<Registry>, selection: &Arc<Selection>) -> Walk {
        let ids = selection.ids();
        Walk {
            registry: Arc::clone(registry),
            selection: Arc::clone(selection),
            began: Instant::now(),
            ids: ids.unwrap_or_default().to_vec().into_iter(),
            shard: if ids.is_some() { registry.shard_count() } else { 0 },
        }
    }

    /// Looks at the next device.
    pub(super) fn look(&mut self) -> Look {
        let Some(id) = self.ids.next() else { return self.next_shard() };
        match self.registry.get(&id) {
            Some(device)
                if device.statistics().was_connected_at(self.began)
                    && self.selection.matches(described(&device)) =>
            {
                Look::Match(device)
            }
            _ => Look::Other,
        }
    }

    fn next_shard(&mut self) -> Look {
        if self.shard >= self.registry.shard_count() {
            return Look::End;
        }
        self.ids = self.registry.shard_ids(self.shard).into_iter();
        self.shard += 1;
        Look::Other
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
