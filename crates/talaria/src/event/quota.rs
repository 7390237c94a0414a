//! How many messages of one device may be on their way at the same time (contract §14.4).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::device::Device;

/// Devices on different shards do not meet at a lock.
const SHARDS: usize = 16;

/// Counts what is on its way for each device. A device with nothing on its way costs nothing.
#[derive(Debug)]
pub(super) struct Quota {
    /// By the device's address, which stays its own for as long as a [`Slot`] holds it.
    shards: [Mutex<HashMap<usize, usize>>; SHARDS],
    limit: usize,
}

/// A message's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    quota: Arc<Quota>,
    device: Arc<Device>,
}

impl Quota {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { shards: Default::default(), limit })
    }

    /// A place for one more message of this device, if it has one left.
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
        // Devices are allocations of the same size: the low bits of their addresses differ little.
        &self.shards[(address(device) >> 9) % SHARDS]
    }
}

impl Slot {
    /// Whose message it is.
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
    use crate::device::Config;
    use crate::device::session_id;

    fn device(id: &str) -> Arc<Device> {
        Device::new(Identity::new(id.parse().unwrap(), session_id::random()), &Config::default())
    }

    #[test]
    fn a_device_gets_as_many_places_as_it_may_have_and_no_other_device_suffers() {
        let quota = Quota::new(2);
        let (one, other) = (device("mac:112233445566"), device("mac:112233445567"));
        let mut slots = vec![quota.take(&one).unwrap(), quota.take(&one).unwrap()];
        assert!(quota.take(&one).is_none());
        assert!(quota.take(&other).is_some());
        slots.pop();
        assert!(quota.take(&one).is_some());
    }

    #[test]
    fn a_device_with_nothing_on_its_way_costs_nothing() {
        let quota = Quota::new(2);
        let device = device("mac:112233445566");
        drop((quota.take(&device), quota.take(&device)));
        assert!(quota.shards.iter().all(|shard| shard.lock().is_empty()));
    }
}
