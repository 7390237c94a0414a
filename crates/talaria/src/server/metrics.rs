//! How many connections each server holds, and how many fail.

use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Failure;
use crate::telemetry::metrics::Metrics;

/// The connection metrics of all servers (contract §10.10).
#[derive(Clone, Debug)]
pub struct ConnectionMetrics {
    active: IntGaugeVec,
    rejected: IntCounterVec,
    failures: IntCounterVec,
}

/// One server's count of connections, and its limit.
#[derive(Debug)]
pub(super) struct Connections {
    limit: Option<usize>,
    active: IntGauge,
    rejected: IntCounter,
    /// In the order of [`Failure::ALL`].
    failures: [IntCounter; Failure::ALL.len()],
}

/// A connection's place among those that its server may hold. Whoever owns the connection keeps it until the end:
/// for an upgraded connection that is the device's session.
#[derive(Debug)]
#[must_use = "dropping it says that the connection is gone"]
pub struct Permit(Option<Arc<Connections>>);

impl ConnectionMetrics {
    /// Registers `active_connections{server}`, `rejected_connections{server}` and
    /// `connection_failures_total{server,reason}`.
    pub fn register(metrics: &Metrics) -> Self {
        let family = metrics.prefixed();
        Self {
            active: family.gauge_vec("active_connections", "The number of open connections", &["server"]),
            rejected: family.counter_vec(
                "rejected_connections",
                "The number of connections closed because of the limit",
                &["server"],
            ),
            failures: family.counter_vec(
                "connection_failures_total",
                "The number of connections and requests that came to nothing",
                &["server", "reason"],
            ),
        }
    }

    pub(super) fn of(&self, server: &str, limit: Option<usize>) -> Arc<Connections> {
        Arc::new(Connections {
            limit,
            active: self.active.with_label_values(&[server]),
            rejected: self.rejected.with_label_values(&[server]),
            failures: Failure::ALL
                .map(|failure| self.failures.with_label_values(&[server, failure.as_str()])),
        })
    }
}

impl Connections {
    /// A place for one more connection, unless the limit is reached. Called by the accepting task alone.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Permit> {
        if self
            .limit
            .is_some_and(|limit| usize::try_from(self.active.get()).is_ok_and(|active| active >= limit))
        {
            self.rejected.inc();
            self.failed(Failure::Limit);
            return None;
        }
        self.active.inc();
        Some(Permit(Some(Arc::clone(self))))
    }

    pub(super) fn failed(&self, failure: Failure) {
        self.failures[failure as usize].inc();
    }
}

impl Permit {
    /// A permit that counts nowhere, for connections that no server accepted: tests and simulations.
    pub fn uncounted() -> Self {
        Self(None)
    }

    pub(super) fn failed(&self, failure: Failure) {
        if let Some(connections) = &self.0 {
            connections.failed(failure);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(connections) = &self.0 {
            connections.active.dec();
        }
    }
}
