//! The metrics of the control server (contract §10.11). They are registered only if there is one.

use prometheus::{IntCounter, IntGauge};

use crate::telemetry::metrics::Metrics;

/// Handles of the control metrics.
#[derive(Clone, Debug)]
pub struct ControlMetrics {
    gate_status: IntGauge,
    drain_status: IntGauge,
    drain_count: IntCounter,
}

impl ControlMetrics {
    /// Registers `gate_status`, `drain_status` and `drain_count`, without a prefix.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let family = metrics.bare();
        Self {
            gate_status: family.gauge("gate_status", "Whether new devices may connect: 1 if so, 0 if not"),
            drain_status: family.gauge("drain_status", "Whether a drain is running: 1 if so, 0 if not"),
            drain_count: family.counter("drain_count", "The number of devices that were drained"),
        }
    }

    pub(super) fn set_gate(&self, is_open: bool) {
        self.gate_status.set(i64::from(is_open));
    }

    pub(super) fn set_draining(&self, is_active: bool) {
        self.drain_status.set(i64::from(is_active));
    }

    pub(super) fn count_drained(&self, devices: u64) {
        self.drain_count.inc_by(devices);
    }
}
