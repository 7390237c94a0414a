//! The metric of access checks.

use prometheus::IntCounterVec;

use super::verdict::Verdict;
use crate::telemetry::metrics::Metrics;

/// `inbound_wrp_messages{outcome,reason}`, without a prefix (contract §3.9, §10.9).
#[derive(Clone, Debug)]
pub struct AccessMetrics {
    messages: IntCounterVec,
}

impl AccessMetrics {
    /// Registers the family.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let help = "The number of messages to devices, by the outcome of their access check";
        Self { messages: metrics.bare().counter_vec("inbound_wrp_messages", help, &["outcome", "reason"]) }
    }

    /// In the mode `monitor` a message that fails counts as accepted, with the reason why it would have been rejected.
    pub(super) fn count(&self, verdict: Verdict, is_rejected: bool) {
        let outcome = if is_rejected { "rejected" } else { "accepted" };
        self.messages.with_label_values(&[outcome, verdict.reason()]).inc();
    }
}
