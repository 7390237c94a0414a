//! A line a second, for terminals that cannot be drawn on, for files and for scripts: `name=value` for the whole fleet.
//!
//! The names and their order are part of the interface: scripts read them. New ones are added at the end, before `unreached`.

use std::fmt::Write as _;
use std::time::Duration;

use crate::figures::Figures;
use crate::fleet::{Fleet, State};

/// The fleet in one line, without its end.
pub(crate) fn line(fleet: &Fleet, running: Duration) -> String {
    let figures = fleet.figures();
    let mut out = format!(
        "time={:.1} gateways={} reached={}",
        running.as_secs_f64(),
        fleet.gateways().len(),
        fleet.reached()
    );
    for (name, value, decimals) in values(&figures) {
        match value.filter(|value| !value.is_nan()) {
            Some(value) => _ = write!(out, " {name}={value:.decimals$}"),
            None => _ = write!(out, " {name}=-"),
        }
    }
    let unreached =
        fleet.gateways().iter().filter(|gateway| matches!(gateway.state, State::Unreached { .. }));
    let unreached: Vec<&str> = unreached.map(|gateway| gateway.name.as_str()).collect();
    if !unreached.is_empty() {
        _ = write!(out, " unreached={}", unreached.join(","));
    }
    out
}

/// Names, values and how many decimals they have.
fn values(figures: &Figures) -> [(&'static str, Option<f64>, usize); 23] {
    let Figures { devices, http, kafka, acks, process, config } = figures;
    let milliseconds = |seconds: Option<f64>| seconds.map(|seconds| seconds * 1e3);
    let whole = |number: usize| Some(number as f64);
    [
        ("devices", devices.connected, 0),
        ("connects", devices.connects, 1),
        ("disconnects", devices.disconnects, 1),
        ("messages", devices.messages, 1),
        ("http", http.delivered, 1),
        ("http_dropped", http.dropped.total(), 1),
        ("http_waiting", http.waiting, 0),
        ("http_p50_ms", milliseconds(http.latency.quantile(0.5)), 1),
        ("http_p99_ms", milliseconds(http.latency.quantile(0.99)), 1),
        ("breakers_open", whole(http.receivers.open), 0),
        ("kafka_up", whole(kafka.up), 0),
        ("kafka", kafka.delivered, 1),
        ("kafka_failed", kafka.failed.total(), 1),
        ("kafka_waiting", kafka.waiting, 0),
        ("kafka_outstanding", kafka.unacknowledged, 0),
        ("kafka_p50_ms", milliseconds(kafka.latency.quantile(0.5)), 1),
        ("kafka_p99_ms", milliseconds(kafka.latency.quantile(0.99)), 1),
        ("acks", acks.written.total(), 1),
        ("acks_not_written", acks.unsent.total(), 1),
        ("cpu", process.cpu, 2),
        ("memory_mib", process.memory_bytes.map(|bytes| bytes / f64::from(1 << 20)), 0),
        ("open_files", process.open_files, 0),
        ("faulty_configs", whole(config.faulty), 0),
    ]
}
