//! The bound on the unacknowledged messages of one device (contract §14.4).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::device::Device;

/// Devices on different shards do not share a lock.
const SHARDS: usize = 16;

/// The unacknowledged messages of each device. A device without any takes no memory.
#[derive(Debug)]
pub(super) struct Quota {
    /// By the device's address. No other device can have it as long as a [`Slot`] exists.
    shards: [Mutex<HashMap<usize, usize>>; SHARDS],
    limit: usize,
}

/// The slot of one message, which is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    quota: Arc<Quota>,
    device: Arc<Device>,
}

impl Quota {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { shards: Default::default(), limit })
    }

    /// A slot for one more message of this device, if it has one left.
    pub(super) fn take(self: &Arc<Self>, device: &Arc<Device>) -> Option<Slot> {
        let mut shard = self.shard(device).lock();
        let used = shard.entry(address(device)).or_insert(0);
        if *used >= self.limit {
            return None;
        }
        *used += 1;
        drop(shard);
        Some(Slot { quota: Arc::clone(self), device: Arc::clone(device) })
    }

    fn shard(&self, device: &Arc<Device>) -> &Mutex<HashMap<usize, usize>> {
        // Devices are allocations of the same size, so that the low bits of their addresses differ little.
        &self.shards[(address(device) >> 9) % SHARDS]
    }
}

impl Slot {
    /// The device that sent the message.
    pub(super) fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut shard = self.quota.shard(&self.device).lock();
        let key = address(&self.device);
        match shard.get_mut(&key) {
            Some(used) if *used > 1 => *used -= 1,
            _ => drop(shard.remove(&key)),
        }
    }
}

fn address(device: &Arc<Device>) -> usize {
    Arc::as_ptr(device).addr()
}

#[cfg(test)]
mod tests {
    use talaria_protocol::connect::Identity;

    use super::*;
    use crate::device::{Config, session_id};

    fn device(id: &str) -> Arc<Device> {
        Device::new(Identity::new(id.parse().unwrap(), session_id::random()), &Config::default())
    }

    #[test]
    fn a_device_gets_as_many_slots_as_it_may_have_and_no_other_device_suffers() {
        let quota = Quota::new(2);
        let (one, other) = (device("mac:112233445566"), device("mac:112233445567"));
        let mut slots = vec![quota.take(&one).unwrap(), quota.take(&one).unwrap()];
        assert!(quota.take(&one).is_none());
        assert!(quota.take(&other).is_some());
        slots.pop();
        assert!(quota.take(&one).is_some());
    }

    #[test]
    fn a_device_without_unacknowledged_messages_takes_no_memory() {
        let quota = Quota::new(2);
        let device = device("mac:112233445566");
        drop((quota.take(&device), quota.take(&device)));
        assert!(quota.shards.iter().all(|shard| shard.lock().is_empty()));
    }
}
