//! The devices that are not read until a receiver has room for their events, in the order in which they began to wait.
//!
//! For each event that leaves the queue, few of them are read again, so that they do not fill it at the same time.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use crate::device::Device;

/// How long the list may be before those who do not wait any more are looked for.
const SHORT: usize = 64;

#[derive(Default)]
pub(super) struct WaitingDevices {
    devices: VecDeque<Weak<Device>>,
    /// The length at which those are removed who do not wait any more, because they have waited for long enough or are gone.
    remove_at: usize,
}

impl WaitingDevices {
    /// A device has begun to wait.
    pub(super) fn push(&mut self, device: &Arc<Device>) {
        if self.devices.len() >= self.remove_at.max(SHORT) {
            self.devices.retain(|device| device.upgrade().is_some_and(|device| device.room().is_waiting()));
            self.remove_at = 2 * self.devices.len();
        }
        self.devices.push_back(Arc::downgrade(device));
    }

    /// Moves so many devices that wait to `freed`.
    pub(super) fn free(&mut self, mut count: usize, freed: &mut Vec<Arc<Device>>) {
        while count > 0
            && let Some(device) = self.devices.pop_front()
        {
            if let Some(device) = device.upgrade().filter(|device| device.room().is_waiting()) {
                freed.push(device);
                count -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use talaria_protocol::connect::Identity;

    use super::*;
    use crate::device::{Config, session_id};

    fn device() -> Arc<Device> {
        Device::new(
            Identity::new("mac:112233445566".parse().unwrap(), session_id::random()),
            &Config::default(),
        )
    }

    #[test]
    fn devices_are_freed_in_their_order_and_those_that_do_not_wait_any_more_are_skipped() {
        let devices: Vec<_> = (0..4).map(|_| device()).collect();
        let mut waiting = WaitingDevices::default();
        for device in &devices {
            assert!(device.room().begin() && !device.room().begin());
            waiting.push(device);
        }
        devices[1].room_is_free();
        let mut freed = Vec::new();
        waiting.free(2, &mut freed);
        assert!(Arc::ptr_eq(&freed[0], &devices[0]) && Arc::ptr_eq(&freed[1], &devices[2]));
        freed.clear();
        waiting.free(2, &mut freed);
        assert_eq!(freed.len(), 1);
    }

    #[test]
    fn devices_that_have_waited_in_vain_are_forgotten() {
        let mut waiting = WaitingDevices::default();
        for _ in 0..10_000 {
            let device = device();
            device.room().begin();
            waiting.push(&device);
        }
        assert!(waiting.devices.len() <= 2 * SHORT, "{}", waiting.devices.len());
    }
}
