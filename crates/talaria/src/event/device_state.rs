//! What the sinks keep of one device, as long as it is connected.
//!
//! A [`Device`](crate::device::Device) holds a [`DeviceState`] without knowing what is in it. It belongs to the device so
//! that a sink finds it without a lookup, a lock or an allocation; it takes three pointers for an idle device. This module
//! is below the devices in the layers and therefore must not use them.

use std::sync::OnceLock;

use wrpkafka::CachedVerdict;

use crate::telemetry::labels::HeldLabels;

/// The state of the sinks for one device.
#[derive(Debug, Default)]
pub struct DeviceState {
    /// What the filters of the Kafka routes decided about the device. Empty as long as no message met a filter.
    pub(super) kafka: CachedVerdict,
    /// The label of its partner in the metrics of acknowledgements. Empty until its first one.
    pub(super) ack_partner: OnceLock<HeldLabels<1, ()>>,
}

#[cfg(test)]
mod tests {
    use super::DeviceState;

    #[test]
    fn a_device_pays_three_pointers() {
        assert_eq!(size_of::<DeviceState>(), 3 * size_of::<usize>());
    }
}
