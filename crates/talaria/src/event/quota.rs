//! The bound on the unacknowledged messages of one device (contract §14.4).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::budget::{Budget, Holder, Holding, Store};
use crate::device::Device;

/// Devices on different shards do not share a lock.
const SHARDS: usize = 16;

/// One device may have this part of the bytes of all devices: a sixteenth.
const DEVICE_SHARE: usize = 16;

/// The unacknowledged messages of each device, and the bytes that are kept for their acknowledgements. A device without any
/// takes no memory.
#[derive(Debug)]
pub(super) struct Quota {
    /// By the device's address. No other device can have it as long as a [`Slot`] exists.
    shards: [Mutex<HashMap<usize, Used>>; SHARDS],
    limit: usize,
    budget: Budget,
}

/// What one device has.
#[derive(Debug, Default)]
struct Used {
    messages: usize,
    bytes: usize,
    /// What the bytes take of the budget.
    holding: Holding,
}

/// The slot of one message, which is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    quota: Arc<Quota>,
    device: Arc<Device>,
    bytes: usize,
}

impl Quota {
    /// Each device may have so many messages, all together so many bytes.
    pub(super) fn new(messages_each: usize, bytes: usize) -> Arc<Self> {
        let budget = Budget::new(Store::Unacknowledged, bytes);
        Arc::new(Self { shards: Default::default(), limit: messages_each, budget })
    }

    /// A slot for one more message of this device, whose acknowledgement has so many bytes, if there is room for it.
    pub(super) fn take(self: &Arc<Self>, device: &Arc<Device>, bytes: usize) -> Option<Slot> {
        let mut shard = self.shard(device).lock();
        let used = shard.entry(address(device)).or_default();
        let total = used.bytes + bytes;
        let has_room = used.messages < self.limit
            && total <= self.budget.limit() / DEVICE_SHARE
            && self.budget.change(&mut used.holding, total, || holder(device)).is_ok();
        if !has_room {
            if used.messages == 0 {
                shard.remove(&address(device));
            }
            return None;
        }
        used.messages += 1;
        used.bytes = total;
        drop(shard);
        Some(Slot { quota: Arc::clone(self), device: Arc::clone(device), bytes })
    }

    fn shard(&self, device: &Arc<Device>) -> &Mutex<HashMap<usize, Used>> {
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
        let Some(used) = shard.get_mut(&key) else { return };
        used.messages -= 1;
        used.bytes -= self.bytes;
        // Giving back is always accepted.
        let _ = self.quota.budget.change(&mut used.holding, used.bytes, || holder(&self.device));
        if used.messages == 0 {
            shard.remove(&key);
        }
    }
}

fn holder(device: &Arc<Device>) -> Arc<dyn Holder> {
    Arc::clone(device) as Arc<dyn Holder>
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
        let quota = Quota::new(2, 1 << 20);
        let (one, other) = (device("mac:112233445566"), device("mac:112233445567"));
        let mut slots = vec![quota.take(&one, 100).unwrap(), quota.take(&one, 100).unwrap()];
        assert!(quota.take(&one, 100).is_none());
        assert!(quota.take(&other, 100).is_some());
        slots.pop();
        assert!(quota.take(&one, 100).is_some());
    }

    #[test]
    fn acknowledgements_are_bounded_in_bytes_for_each_device_and_for_all() {
        const MIB: usize = 1024 * 1024;
        let quota = Quota::new(1000, 16 * MIB);
        let one = device("mac:112233445566");
        let _slot = quota.take(&one, MIB).unwrap();
        assert!(quota.take(&one, 1).is_none(), "a sixteenth for each");
        let others: Vec<_> = (0..12).map(|number| device(&format!("mac:{number:012x}"))).collect();
        let slots: Vec<_> = others.iter().map_while(|other| quota.take(other, MIB)).collect();
        assert_eq!(slots.len(), 11, "three quarters for those that have many bytes");
        let other = device("uuid:small");
        assert!(quota.take(&other, 300).is_some(), "others are not affected");
    }

    #[test]
    fn a_device_without_unacknowledged_messages_takes_no_memory() {
        let quota = Quota::new(2, 1 << 20);
        let device = device("mac:112233445566");
        drop((quota.take(&device, 100), quota.take(&device, 100)));
        assert!(quota.shards.iter().all(|shard| shard.lock().is_empty()));
    }
}
