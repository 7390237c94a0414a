//! The metric of events that are given up for want of room, at either sink (contract §15.2).

use prometheus::IntCounterVec;
use wrp::QosLevel;

use crate::telemetry::metrics::Metrics;

/// Counts events that are given up for want of room.
#[derive(Clone, Debug)]
pub(super) struct ShedEvents(IntCounterVec);

/// Why there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShedReason {
    /// It waited and has given way to another event.
    Displaced,
    /// It was not queued.
    NoRoom,
}

impl ShedEvents {
    pub(super) fn register(metrics: &Metrics) -> Self {
        Self(metrics.bare().counter_vec(
            "shed_events_total",
            "The events that were given up for want of room",
            &["qos_level", "sink", "origin", "reason"],
        ))
    }

    /// Counts an event for the event receiver of this origin.
    pub(super) fn at_http(&self, level: QosLevel, origin: &str, reason: ShedReason) {
        self.0.with_label_values(&[level.as_str(), "http", origin, reason.label()]).inc();
    }

    /// Counts an event for Kafka, which has no origin.
    pub(super) fn at_kafka(&self, level: QosLevel, reason: ShedReason) {
        self.0.with_label_values(&[level.as_str(), "kafka", "", reason.label()]).inc();
    }
}

impl ShedReason {
    const fn label(self) -> &'static str {
        match self {
            Self::Displaced => "displaced",
            Self::NoRoom => "no_room",
        }
    }
}
