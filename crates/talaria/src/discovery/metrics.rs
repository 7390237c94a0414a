//! The metrics of service discovery (contract §10.13).

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec};

use super::report::WatchName;
use crate::telemetry::metrics::Metrics;

/// Why all devices are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllClosed {
    Error,
    NoInstances,
}

impl AllClosed {
    /// The label `reason`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "sd_error",
            Self::NoInstances => "sd_no_instances",
        }
    }
}

/// Handles of the metrics. All names have the prefix.
#[derive(Clone, Debug)]
pub(super) struct DiscoveryMetrics {
    /// Devices that were answered with 410.
    pub(super) refused_device_count: IntCounter,
    errors: IntCounterVec,
    updates: IntCounterVec,
    instances: IntGaugeVec,
    last_error: IntGaugeVec,
    last_update: IntGaugeVec,
    registered: IntGaugeVec,
    keep: IntGaugeVec,
    disconnect: IntGaugeVec,
    timestamp: IntGaugeVec,
    duration: IntGaugeVec,
    disconnect_all: IntCounterVec,
}

impl DiscoveryMetrics {
    /// The help texts of the rehash families are their names, as in the reference.
    pub(super) fn register(metrics: &Metrics) -> Self {
        let family = metrics.prefixed();
        let labels = ["service", "eventKey"];
        let rehash = |name| family.gauge_vec(name, name, &["service"]);
        Self {
            refused_device_count: family.counter(
                "sd_refused_device_count",
                "devices that were answered with 410, because they belong to another instance",
            ),
            errors: family.counter_vec(
                "sd_error_count",
                "The total count of errors from the service discovery backend for a particular service",
                &labels,
            ),
            updates: family.counter_vec(
                "sd_update_count",
                "The total count of updates from the service discovery backend for a particular service",
                &labels,
            ),
            instances: family.gauge_vec(
                "sd_instance_count",
                "The current number of service instances of a given type",
                &labels,
            ),
            last_error: family.gauge_vec(
                "sd_last_error_timestamp",
                "The last time the service discovery backend sent an error for a given service",
                &labels,
            ),
            last_update: family.gauge_vec(
                "sd_last_update_timestamp",
                "The last time the service discovery backend sent updated instances for a given service",
                &labels,
            ),
            registered: family.gauge_vec(
                "sd_registered",
                "whether a registration of this gateway is in force",
                &["instance"],
            ),
            keep: rehash("rehash_keep_device"),
            disconnect: rehash("rehash_disconnect_device"),
            timestamp: rehash("rehash_timestamp"),
            duration: rehash("rehash_duration_ms"),
            disconnect_all: family.counter_vec(
                "rehash_disconnect_all_count",
                "rehash_disconnect_all_count",
                &["service", "reason"],
            ),
        }
    }

    pub(super) fn count_error(&self, watch: &WatchName) {
        let labels = [watch.service.as_str(), watch.key.as_str()];
        self.errors.with_label_values(&labels).inc();
        self.last_error.with_label_values(&labels).set(Timestamp::now().as_second());
    }

    pub(super) fn count_update(&self, watch: &WatchName, instances: usize) {
        let labels = [watch.service.as_str(), watch.key.as_str()];
        self.updates.with_label_values(&labels).inc();
        self.last_update.with_label_values(&labels).set(Timestamp::now().as_second());
        self.instances.with_label_values(&labels).set(saturated(instances));
    }

    /// What was seen no longer counts.
    pub(super) fn forget_instances(&self, watch: &WatchName) {
        self.instances.with_label_values(&[watch.service.as_str(), watch.key.as_str()]).set(0);
    }

    /// The watch is gone, and its series with it.
    pub(super) fn remove(&self, watch: &WatchName) {
        let labels = [watch.service.as_str(), watch.key.as_str()];
        // Errors say that there is no such series.
        let _ = self.errors.remove_label_values(&labels);
        let _ = self.updates.remove_label_values(&labels);
        for gauge in [&self.instances, &self.last_error, &self.last_update] {
            let _ = gauge.remove_label_values(&labels);
        }
    }

    pub(super) fn set_registered(&self, instance: &str, is_registered: bool) {
        self.registered.with_label_values(&[instance]).set(i64::from(is_registered));
    }

    pub(super) fn count_all_closed(&self, service: &str, why: AllClosed) {
        self.disconnect_all.with_label_values(&[service, why.as_str()]).inc();
    }

    pub(super) fn rehash_started(&self, service: &str, keep: usize) {
        self.timestamp.with_label_values(&[service]).set(Timestamp::now().as_second());
        self.keep.with_label_values(&[service]).set(saturated(keep));
        self.disconnect.with_label_values(&[service]).set(0);
    }

    pub(super) fn count_moved(&self, service: &str) {
        self.disconnect.with_label_values(&[service]).inc();
    }

    pub(super) fn rehash_ended(&self, service: &str, took: Duration) {
        let milliseconds = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        self.duration.with_label_values(&[service]).set(milliseconds);
    }
}

fn saturated(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
