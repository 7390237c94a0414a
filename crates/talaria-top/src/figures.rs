//! The figures of a gateway, or of a fleet: what the dashboard in `deploy/grafana` shows, as far as it fits on one screen.
//!
//! Figures are made of two readings (`measured`), and figures of several gateways are added (`summed`). How they look is decided by
//! `view` and `plain`. What is not known is `None`: a family that the page does not have, a rate before the second reading.

mod measured;
mod summed;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::quantile::Buckets;

/// All figures. Rates are a second.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Figures {
    pub devices: Devices,
    pub http: Http,
    pub kafka: Kafka,
    pub acks: Acks,
    pub process: Process,
    pub config: Config,
}

/// Devices and what they send.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Devices {
    pub connected: Option<f64>,
    /// The limit; 0 if a gateway has none.
    pub limit: Option<f64>,
    pub connects: Option<f64>,
    pub disconnects: Option<f64>,
    /// Connections that have ended and wait to be disconnected.
    pub ends_waiting: Option<f64>,
    pub handshakes_waiting: Option<f64>,
    pub handshakes_refused: Option<f64>,
    /// Messages of devices.
    pub messages: Option<f64>,
}

/// Events by HTTP.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Http {
    /// Requests that were answered with 202.
    pub delivered: Option<f64>,
    /// Events that were not delivered, by reason.
    pub dropped: ByName,
    pub retries: Option<f64>,
    pub waiting: Option<f64>,
    pub under_way: Option<f64>,
    pub latency: Buckets,
    pub receivers: Receivers,
}

/// Configured receivers by the state of their breaker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Receivers {
    pub all: usize,
    /// Get one request as a trial.
    pub tried: usize,
    /// Get none.
    pub open: usize,
}

/// Messages to Kafka.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Kafka {
    /// Gateways that use Kafka: that have reached a broker, tried to, or published.
    pub used: usize,
    /// Those whose records leave.
    pub up: usize,
    pub delivered: Option<f64>,
    /// Records that were not delivered, by error type.
    pub failed: ByName,
    pub waiting: Option<f64>,
    pub unacknowledged: Option<f64>,
    pub unacknowledged_bytes: Option<f64>,
    /// How full the backlog of the gateway is that has the fullest, 0 to 1.
    pub backlog: Option<f64>,
    pub buffer: Option<f64>,
    pub oldest_seconds: Option<f64>,
    pub latency: Buckets,
}

/// Acknowledgements to devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Acks {
    /// Those that were written, by QoS level.
    pub written: ByName,
    /// Those that were not, by how the connection ended.
    pub unsent: ByName,
    /// The outcomes of messages to Kafka, which their acknowledgements report.
    pub outcomes: ByName,
    pub latency: Buckets,
}

/// The process.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Process {
    /// CPU in use, in cores.
    pub cpu: Option<f64>,
    pub cores: Option<f64>,
    pub memory_bytes: Option<f64>,
    pub open_files: Option<f64>,
    /// The limit; of a fleet that of the gateway with the fullest table.
    pub files: Option<Share>,
    /// When it started, in seconds since 1970; of a fleet the latest.
    pub started: Option<f64>,
}

/// A part of a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share {
    pub used: f64,
    pub limit: f64,
}

/// The configuration and what the operator has closed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Config {
    /// The lowest and the highest number of the configurations in effect.
    pub generations: Option<(f64, f64)>,
    /// Gateways whose last change had a fault.
    pub faulty: usize,
    /// When a change had a fault last, in seconds since 1970.
    pub last_fault: Option<f64>,
    pub waiting_for_restart: Option<f64>,
    /// When the first certificate of a server ends, in seconds since 1970.
    pub certificate_end: Option<f64>,
    /// Gateways whose gate is closed.
    pub gates_closed: usize,
    /// Gateways that drain devices.
    pub draining: usize,
}

/// Rates by the value of a label, without those that are 0; `None` as long as there are none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ByName(pub Option<BTreeMap<String, f64>>);

impl Share {
    /// From 0 to 1.
    pub(crate) fn part(self) -> f64 {
        if self.limit > 0.0 { self.used / self.limit } else { 0.0 }
    }
}

impl ByName {
    /// All of them together.
    pub(crate) fn total(&self) -> Option<f64> {
        // Not `sum`, which makes -0.0 of nothing.
        self.0.as_ref().map(|rates| rates.values().fold(0.0, |sum, rate| sum + rate))
    }

    /// The names and their rates, the largest first.
    pub(crate) fn largest_first(&self) -> Vec<(&str, f64)> {
        let rates = self.0.iter().flatten();
        let mut rates: Vec<(&str, f64)> = rates.map(|(name, rate)| (name.as_str(), *rate)).collect();
        rates.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        rates
    }
}
