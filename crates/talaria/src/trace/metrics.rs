//! The metrics of traces (contract §10.19).

use prometheus::{IntCounter, IntGauge};

use crate::telemetry::metrics::Metrics;

/// Handles of the families `trace_*`.
#[derive(Clone, Debug)]
pub(super) struct TraceMetrics {
    pub(super) exported: IntCounter,
    /// Spans that found no room in the queue.
    pub(super) queue_full: IntCounter,
    /// Spans that the collector refused.
    pub(super) refused: IntCounter,
    /// Spans that were left at a stop.
    pub(super) stopped: IntCounter,
    pub(super) waiting: IntGauge,
    pub(super) is_up: IntGauge,
}

impl TraceMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let family = metrics.prefixed();
        let dropped = family.counter_vec(
            "trace_spans_dropped_total",
            "The number of finished spans that no collector has, by the reason",
            &["reason"],
        );
        Self {
            exported: family
                .counter("trace_spans_exported_total", "The number of spans that the collector has taken"),
            queue_full: dropped.with_label_values(&["queue_full"]),
            refused: dropped.with_label_values(&["refused"]),
            stopped: dropped.with_label_values(&["stopped"]),
            waiting: family.gauge("trace_spans_waiting", "The number of finished spans that wait for the collector"),
            is_up: family.gauge(
                "trace_collector_up",
                "Whether the collector has taken the last spans that were sent: 1, or 0 if not or if nothing was sent",
            ),
        }
    }
}
