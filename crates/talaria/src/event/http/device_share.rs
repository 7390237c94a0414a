//! What one device may have in the lane of the hosts that devices name, waiting or under way (contract §5.8).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wrp::DeviceId;

use crate::event::config::QueueLimit;

/// The events of each device. A device without any takes no memory.
pub(super) struct DeviceShares {
    limit: QueueLimit,
    devices: Mutex<HashMap<DeviceId, Used>>,
}

/// The place of one event in the share of its device, which is free again when it is dropped.
pub(super) struct DeviceSlot {
    shares: Arc<DeviceShares>,
    device: DeviceId,
    bytes: usize,
}

#[derive(Default)]
struct Used {
    messages: usize,
    bytes: usize,
}

impl DeviceShares {
    pub(super) fn new(limit: QueueLimit) -> Arc<Self> {
        Arc::new(Self { limit, devices: Mutex::default() })
    }

    /// A place for an event of this size, if the device has one left.
    pub(super) fn take(self: &Arc<Self>, device: &DeviceId, bytes: usize) -> Option<DeviceSlot> {
        let mut devices = self.devices.lock();
        let used = devices.entry(device.clone()).or_default();
        if !self.limit.has_room(used.messages, used.bytes, bytes) {
            return None;
        }
        used.messages += 1;
        used.bytes += bytes;
        drop(devices);
        Some(DeviceSlot { shares: Arc::clone(self), device: device.clone(), bytes })
    }
}

impl DeviceSlot {
    pub(super) const fn device(&self) -> &DeviceId {
        &self.device
    }
}

impl Drop for DeviceSlot {
    fn drop(&mut self) {
        let mut devices = self.shares.devices.lock();
        if let Some(used) = devices.get_mut(&self.device) {
            used.messages -= 1;
            used.bytes -= self.bytes;
            if used.messages == 0 {
                devices.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_gets_its_share_in_messages_and_bytes_and_no_other_device_suffers() {
        let shares = DeviceShares::new(QueueLimit { messages: 3, bytes: 10 });
        let (one, other): (DeviceId, DeviceId) =
            ("mac:112233445566".parse().unwrap(), "mac:112233445567".parse().unwrap());
        let mut slots = vec![shares.take(&one, 5).unwrap(), shares.take(&one, 5).unwrap()];
        assert!(shares.take(&one, 1).is_none(), "bytes");
        slots.push(shares.take(&one, 0).unwrap());
        assert!(shares.take(&one, 0).is_none(), "messages");
        let large = shares.take(&other, 1000).expect("a message that is alone is accepted whatever its size");
        drop(slots);
        assert!(shares.take(&one, 5).is_some());
        drop(large);
        assert!(shares.devices.lock().is_empty(), "devices without events take no memory");
    }
}
