//! What the sinks keep of one device, as long as it is connected.
//!
//! A [`Device`](crate::device::Device) holds a [`DeviceState`] without knowing what is in it. It belongs to the device so
//! that a sink finds it without a lookup, a lock or an allocation; it takes one pointer for an idle device. This module is
//! below the devices in the layers and therefore must not use them.

use wrpkafka::CachedVerdict;

/// The state of the sinks for one device.
#[derive(Debug, Default)]
pub struct DeviceState {
    /// What the filters of the Kafka routes decided about the device. Empty as long as no message met a filter.
    pub(super) kafka: CachedVerdict,
}

#[cfg(test)]
mod tests {
    use super::DeviceState;

    #[test]
    fn a_device_pays_one_pointer() {
        assert_eq!(size_of::<DeviceState>(), size_of::<usize>());
    }
}
