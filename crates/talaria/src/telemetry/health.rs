//! The counters of `GET /health`: one flat JSON object (contract §10.1).
//!
//! The counters are read from the same handles as `/metrics`, so the two cannot disagree. In the Go Talaria only the
//! memory values ever change.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use http::StatusCode;
use prometheus::{IntCounter, IntGauge};

use super::process::Memory;

/// The metrics that `/health` shows.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Connected devices: `device_count`.
    pub devices: IntGauge,
    /// `connect_count`.
    pub connects: IntCounter,
    /// `disconnect_count`.
    pub disconnects: IntCounter,
    /// `ping_count`.
    pub pings: IntCounter,
    /// `pong_count`.
    pub pongs: IntCounter,
    /// `request_response_count`.
    pub request_responses: IntCounter,
    /// Requests to the primary server.
    pub requests: Arc<RequestTally>,
}

/// What `/health` shows of the configuration (contract §14.7).
#[derive(Clone, Debug)]
pub struct ConfigurationSources {
    /// The number of the configuration in effect: `config_generation`.
    pub generation: IntGauge,
    /// The number of changes that had a fault.
    pub failed_reloads: Arc<AtomicU64>,
    /// When the last of them was, in seconds since 1970: `config_last_failure_timestamp_seconds`.
    pub last_failure: IntGauge,
}

/// Counts the requests to the primary server by their outcome.
#[derive(Debug, Default)]
pub struct RequestTally {
    received: AtomicU64,
    serviced: AtomicU64,
    denied: AtomicU64,
}

/// Builds the report of `/health`. Remembers the highest memory values that any report has shown.
#[derive(Debug)]
pub struct Health {
    sources: Sources,
    /// None in a gateway whose configuration does not change.
    configuration: Option<ConfigurationSources>,
    highest: Usage<AtomicI64>,
}

/// The three memory values, in bytes.
#[derive(Debug, Default)]
struct Usage<T> {
    /// Resident memory that belongs to no file (`RssAnon`).
    allocated: T,
    /// Virtual memory for data (`VmData`).
    heap: T,
    /// Resident memory (`VmRSS`).
    active: T,
}

impl RequestTally {
    /// Counts a request that has arrived.
    pub fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer: below 400 as serviced, from 400 on as denied.
    pub fn answered(&self, status: StatusCode) {
        let count = if status.as_u16() < 400 { &self.serviced } else { &self.denied };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Health {
    /// Reports on these metrics.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self { sources, configuration: None, highest: Usage::default() }
    }

    /// Reports on the changes of the configuration, too.
    #[must_use]
    pub fn with_configuration(self, configuration: ConfigurationSources) -> Self {
        Self { configuration: Some(configuration), ..self }
    }

    /// The report as a compact JSON object with its keys in alphabetical order.
    pub fn to_json(&self) -> String {
        let now = Memory::read().map_or_else(Usage::default, |memory| Usage {
            allocated: memory.anonymous_bytes,
            heap: memory.data_bytes,
            active: memory.resident_bytes,
        });
        let highest = self.raise(&now);
        let from = &self.sources;
        let configuration = self.configuration.iter().flat_map(|of| {
            [
                ("ConfigFailedReloads", number(of.failed_reloads.load(Ordering::Relaxed))),
                ("ConfigGeneration", of.generation.get()),
                ("ConfigLastFailureTime", of.last_failure.get()),
            ]
        });
        let counters = [
            ("CurrentMemoryUtilizationActive", now.active),
            ("CurrentMemoryUtilizationAlloc", now.allocated),
            ("CurrentMemoryUtilizationHeapSys", now.heap),
            ("DeviceCount", from.devices.get()),
            ("MaxMemoryUtilizationActive", highest.active),
            ("MaxMemoryUtilizationAlloc", highest.allocated),
            ("MaxMemoryUtilizationHeapSys", highest.heap),
            ("TotalConnectionEvents", count(&from.connects)),
            ("TotalDisconnectionEvents", count(&from.disconnects)),
            ("TotalPingMessagesReceived", count(&from.pings)),
            ("TotalPongMessagesReceived", count(&from.pongs)),
            ("TotalRequestsDenied", number(from.requests.denied.load(Ordering::Relaxed))),
            ("TotalRequestsReceived", number(from.requests.received.load(Ordering::Relaxed))),
            ("TotalRequestsSuccessfullyServiced", number(from.requests.serviced.load(Ordering::Relaxed))),
            ("TotalWRPRequestResponseProcessed", count(&from.request_responses)),
        ];
        let counters = configuration.chain(counters);
        let members: Vec<String> = counters.map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }

    /// Updates the highest values with the present ones and returns them.
    fn raise(&self, now: &Usage<i64>) -> Usage<i64> {
        let raise = |highest: &AtomicI64, now: i64| highest.fetch_max(now, Ordering::Relaxed).max(now);
        Usage {
            allocated: raise(&self.highest.allocated, now.allocated),
            heap: raise(&self.highest.heap, now.heap),
            active: raise(&self.highest.active, now.active),
        }
    }
}

fn count(counter: &IntCounter) -> i64 {
    number(counter.get())
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    fn sources(metrics: &Metrics) -> Sources {
        let family = metrics.prefixed();
        let counter = |name| family.counter(name, name);
        Sources {
            devices: family.gauge("device_count", "device_count"),
            connects: counter("connect_count"),
            disconnects: counter("disconnect_count"),
            pings: counter("ping_count"),
            pongs: counter("pong_count"),
            request_responses: counter("request_response_count"),
            requests: Arc::default(),
        }
    }

    #[test]
    fn health_counts_what_the_metrics_count() {
        let metrics = Metrics::default();
        let sources = sources(&metrics);
        sources.devices.set(7);
        sources.connects.inc_by(9);
        sources.requests.received();
        sources.requests.answered(StatusCode::NOT_FOUND);
        let health: serde_json::Value = serde_json::from_str(&Health::new(sources).to_json()).unwrap();
        assert_eq!(health["DeviceCount"], 7);
        assert_eq!(health["TotalConnectionEvents"], 9);
        assert_eq!(health["TotalRequestsReceived"], 1);
        assert_eq!(health["TotalRequestsDenied"], 1);
        assert_eq!(health["TotalRequestsSuccessfullyServiced"], 0);
        assert!(health["CurrentMemoryUtilizationActive"].as_i64().unwrap() > 0);
        assert!(
            health["MaxMemoryUtilizationActive"].as_i64()
                >= health["CurrentMemoryUtilizationActive"].as_i64()
        );
    }

    #[test]
    fn the_keys_are_in_alphabetical_order() {
        let json = Health::new(sources(&Metrics::default())).to_json();
        let health: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
        assert!(health.keys().is_sorted(), "{json}");
        assert_eq!(health.len(), 15);
    }
}
