//! What the sinks keep of one device, as long as it is connected.
//!
//! A [`Device`](crate::device::Device) holds a [`DeviceState`] without knowing what is in it. It belongs to the device so
//! that a sink finds it without a lookup, a lock or an allocation; it takes three pointers for an idle device. This module
//! is below the devices in the layers and therefore must not use them.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::IntCounter;
use talaria_protocol::trace_context::TraceId;
use wrp::QosLevel;
use wrpkafka::CachedVerdict;

use crate::telemetry::labels::HeldLabels;
use crate::telemetry::metrics::Latency;

/// The state of the sinks for one device.
#[derive(Debug, Default)]
pub struct DeviceState {
    /// What the filters of the Kafka routes decided about the device. Empty as long as no message met a filter.
    pub(super) kafka: CachedVerdict,
    /// Its partner in the metrics of acknowledgements. Empty until its first one.
    pub(super) ack_partner: OnceLock<HeldLabels<1, AckSeries>>,
}

/// The series of the acknowledgements of one partner's devices, looked up once each. All its devices share them.
#[derive(Debug, Default)]
pub(super) struct AckSeries {
    success: [OnceLock<Series>; 4],
    failure: [OnceLock<Series>; 4],
}

/// Two series with the same labels.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) counter: IntCounter,
    pub(super) latency: Latency,
}

impl AckSeries {
    pub(super) fn success(&self, level: QosLevel, find: impl FnOnce() -> Series) -> &Series {
        self.success[level as usize].get_or_init(find)
    }

    pub(super) fn failure(&self, level: QosLevel, find: impl FnOnce() -> Series) -> &Series {
        self.failure[level as usize].get_or_init(find)
    }
}

impl Series {
    pub(super) fn count(&self, took: Duration, trace: Option<TraceId>) {
        self.counter.inc();
        self.latency.observe(took, trace);
    }
}

#[cfg(test)]
mod tests {
    use super::DeviceState;

    #[test]
    fn a_device_pays_three_pointers() {
        assert_eq!(size_of::<DeviceState>(), 3 * size_of::<usize>());
    }
}
