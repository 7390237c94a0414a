//! The metrics of connections: how many each server has, how many it turned away, and why others failed.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use talaria_protocol::network::Customer;

use super::ConnectionFailure;
use super::tls::Resumption;
use crate::telemetry::keyed_throttle::KeyedThrottle;
use crate::telemetry::metrics::Metrics;

/// The connection metrics of all servers (contract §10.10).
#[derive(Clone, Debug)]
pub struct ConnectionMetrics {
    active: IntGaugeVec,
    rejected: IntCounterVec,
    failures: IntCounterVec,
    tls: IntCounterVec,
    not_after: IntGaugeVec,
}

/// One server's count of connections, and its limit.
#[derive(Debug)]
pub(super) struct Connections {
    server: String,
    /// The log of bodies for which there is no room.
    no_room: KeyedThrottle,
    limit: Option<usize>,
    active: IntGauge,
    rejected: IntCounter,
    /// In the order of [`ConnectionFailure::ALL`].
    failures: [IntCounter; ConnectionFailure::ALL.len()],
    /// Full and resumed TLS handshakes.
    tls: [IntCounter; 2],
    /// Of all servers: a server without certificates has no series.
    not_after: IntGaugeVec,
}

/// The permission for one open connection, counted against the server's limit until it is dropped. It moves with the
/// socket: after an upgrade the device's session owns it.
#[derive(Debug)]
#[must_use = "dropping it counts the connection as closed"]
pub struct Permit(Option<Arc<Connections>>);

impl ConnectionMetrics {
    /// Registers `active_connections{server}`, `rejected_connections{server}`, `connection_failures_total{server,reason}`,
    /// `tls_handshakes_total{server,kind}` and `tls_certificate_not_after_seconds{server}`.
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
                "The number of connections and requests that failed",
                &["server", "reason"],
            ),
            tls: family.counter_vec(
                "tls_handshakes_total",
                "The number of TLS handshakes that succeeded",
                &["server", "kind"],
            ),
            not_after: family.gauge_vec(
                "tls_certificate_not_after_seconds",
                "When the first of a server's certificates ends, in seconds since 1970",
                &["server"],
            ),
        }
    }

    pub(super) fn of(&self, server: &str, limit: Option<usize>) -> Arc<Connections> {
        Arc::new(Connections {
            server: server.to_owned(),
            no_room: KeyedThrottle::new(),
            limit,
            active: self.active.with_label_values(&[server]),
            rejected: self.rejected.with_label_values(&[server]),
            failures: ConnectionFailure::ALL
                .map(|failure| self.failures.with_label_values(&[server, failure.as_str()])),
            tls: ["full", "resumed"].map(|kind| self.tls.with_label_values(&[server, kind])),
            not_after: self.not_after.clone(),
        })
    }
}

impl Connections {
    /// Shows when the server's certificates end; `None` without certificates.
    pub(super) fn has_certificates_until(&self, not_after: Option<i64>) {
        match not_after {
            Some(time) => self.not_after.with_label_values(&[&self.server]).set(time),
            // Without a series there is nothing to remove.
            None => drop(self.not_after.remove_label_values(&[&self.server])),
        }
    }

    /// Permits one more connection unless the limit is reached. Only the accepting task calls this, so that looking at the
    /// gauge and raising it need not be one step.
    pub(super) fn permit(self: &Arc<Self>) -> Option<Permit> {
        if self
            .limit
            .is_some_and(|limit| usize::try_from(self.active.get()).is_ok_and(|active| active >= limit))
        {
            self.rejected.inc();
            self.count_failure(ConnectionFailure::Limit);
            return None;
        }
        self.active.inc();
        Some(Permit(Some(Arc::clone(self))))
    }

    /// Logs that there was no room for a body of this client, once a minute for each address.
    pub(super) fn log_no_room(&self, peer: SocketAddr, limit: usize, message: &str) {
        let client = Customer::from(peer.ip());
        if let Some(suppressed) = self.no_room.admit(&client.to_string()) {
            tracing::warn!(server = self.server, %client, limit, suppressed, "{message}");
        }
    }

    pub(super) fn count_tls(&self, resumption: Resumption) {
        self.tls[resumption as usize].inc();
    }

    pub(super) fn count_failure(&self, failure: ConnectionFailure) {
        self.failures[failure as usize].inc();
    }
}

impl Permit {
    /// A permit that counts nowhere, for connections that no server accepted, as in tests.
    pub fn uncounted() -> Self {
        Self(None)
    }

    pub(super) fn count_failure(&self, failure: ConnectionFailure) {
        if let Some(connections) = &self.0 {
            connections.count_failure(failure);
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
