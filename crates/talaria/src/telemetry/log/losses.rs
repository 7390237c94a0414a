//! Lines that were lost, and lines that sampling left out (contract §10.18).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{IntCounter, IntCounterVec};

use crate::telemetry::metrics::Metrics;

/// Why a line was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Its output had stalled, and there was no room for it.
    Stalled,
    /// It could not be written.
    Failed,
}

/// The counts of a process' log. The log starts before there are metrics; what was lost until then is counted with the rest.
#[derive(Debug, Default)]
pub(super) struct Losses {
    stalled: AtomicU64,
    failed: AtomicU64,
    sampled: AtomicU64,
    metrics: OnceLock<LogMetrics>,
}

/// The families `log_*`.
#[derive(Clone, Debug)]
pub struct LogMetrics {
    lost: IntCounterVec,
    sampled: IntCounter,
}

impl LogMetrics {
    /// Registers the families.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let family = metrics.prefixed();
        Self {
            lost: family.counter_vec(
                "log_lines_lost_total",
                "The number of log lines that were lost, by why: no room because an output had stalled, or a failed write",
                &["reason"],
            ),
            sampled: family.counter("log_lines_sampled_total", "The number of log lines that sampling left out"),
        }
    }

    fn lost(&self, loss: Loss) -> IntCounter {
        let reason = match loss {
            Loss::Stalled => "stalled",
            Loss::Failed => "failed",
        };
        self.lost.with_label_values(&[reason])
    }
}

impl Losses {
    /// From now on the metrics count, too.
    pub(super) fn count_into(&self, metrics: LogMetrics) {
        for loss in [Loss::Stalled, Loss::Failed] {
            metrics.lost(loss).inc_by(self.of(loss).load(Ordering::Relaxed));
        }
        metrics.sampled.inc_by(self.sampled.load(Ordering::Relaxed));
        // The log of a process has the metrics of one gateway.
        let _ = self.metrics.set(metrics);
    }

    pub(super) fn lose(&self, loss: Loss) {
        self.of(loss).fetch_add(1, Ordering::Relaxed);
        if let Some(metrics) = self.metrics.get() {
            metrics.lost(loss).inc();
        }
    }

    pub(super) fn leave_out(&self) {
        self.sampled.fetch_add(1, Ordering::Relaxed);
        if let Some(metrics) = self.metrics.get() {
            metrics.sampled.inc();
        }
    }

    fn of(&self, loss: Loss) -> &AtomicU64 {
        match loss {
            Loss::Stalled => &self.stalled,
            Loss::Failed => &self.failed,
        }
    }
}
