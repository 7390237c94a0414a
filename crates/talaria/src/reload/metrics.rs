//! The metrics of changes of the configuration (contract §10.17).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{IntCounterVec, IntGauge};

use super::Cause;
use crate::telemetry::health::ConfigurationSources;
use crate::telemetry::metrics::Metrics;

/// The handles of the families `config_*`.
#[derive(Clone, Debug)]
pub struct ReloadMetrics {
    pub(super) generation: IntGauge,
    pub(super) waiting: IntGauge,
    last_succeeded: IntGauge,
    last_failure: IntGauge,
    /// For `/health`; the sum of the failures in `reloads`.
    failed: Arc<AtomicU64>,
    reloads: IntCounterVec,
}

impl ReloadMetrics {
    /// Registers the families.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let family = metrics.prefixed();
        let registered = Self {
            generation: family.gauge(
                "config_generation",
                "The number of the configuration in effect; 1 is that of the start",
            ),
            waiting: family.gauge(
                "config_keys_waiting_for_restart",
                "The number of changed keys that take effect at the next start",
            ),
            last_succeeded: family.gauge(
                "config_last_reload_successful",
                "Whether the last change of the configuration was made: 1, or 0 if it had a fault",
            ),
            last_failure: family.gauge(
                "config_last_failure_timestamp_seconds",
                "When a change of the configuration had a fault last, in seconds since 1970; 0 if never",
            ),
            failed: Arc::default(),
            reloads: family.counter_vec(
                "config_reloads_total",
                "The number of changes of the configuration, by what caused them and how they ended",
                &["source", "outcome"],
            ),
        };
        registered.last_succeeded.set(1);
        registered.generation.set(1);
        registered
    }

    /// What `/health` shows of them.
    #[must_use]
    pub fn health_sources(&self) -> ConfigurationSources {
        ConfigurationSources {
            generation: self.generation.clone(),
            failed_reloads: Arc::clone(&self.failed),
            last_failure: self.last_failure.clone(),
        }
    }

    pub(super) fn succeeded(&self, cause: Cause) {
        self.last_succeeded.set(1);
        self.reloads.with_label_values(&[cause.label(), "success"]).inc();
    }

    pub(super) fn failed(&self, cause: Cause, at: i64) {
        self.last_succeeded.set(0);
        self.last_failure.set(at);
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.reloads.with_label_values(&[cause.label(), "failure"]).inc();
    }
}
