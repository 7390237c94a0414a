//! The report of a benchmark, which is printed as a JSON object and as a table.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::costs::Costs;
use crate::latency::Summary;
use crate::ledger::{Counts, EndCounts};

/// The results of a benchmark. CPU times are those of the gateway's process, in microseconds; memory is its resident memory, in
/// bytes; latencies are in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The id of the run, which is part of each event's `transaction_uuid`.
    pub run: String,
    /// The gateway's process id.
    pub pid: u32,
    /// The size of the run.
    pub parameters: Parameters,
    /// Connecting devices.
    pub connect: Connect,
    /// Connected devices without traffic.
    pub idle: Idle,
    /// Events from devices to the sinks.
    pub events: Events,
    /// Requests through the API; absent if none were sent.
    pub requests: Option<Requests>,
    /// Disconnecting devices.
    pub disconnect: Disconnect,
    /// The exit code of a gateway that the benchmark started, or -1 if a signal ended it; absent for a running gateway.
    pub exit_code: Option<i32>,
}

/// The size of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Devices, with those of the warm-up.
    pub devices: usize,
    /// Devices of the warm-up. They are not measured, so that the gateway's costs that occur only once are not counted.
    pub warm_up_devices: usize,
    /// Events, without those of the warm-up.
    pub events: u64,
    /// Events of the warm-up, which are not measured.
    pub warm_up_events: u64,
    /// The length of an event in bytes.
    pub size: usize,
    /// Events in flight at the same time.
    pub window: usize,
    /// The events' QoS, or `mix`.
    pub qos: String,
    /// Requests.
    pub requests: u64,
    /// Requests in flight at the same time.
    pub requesting: usize,
}

/// The phase in which devices connect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Connect {
    /// Devices that connected, without those of the warm-up.
    pub devices: usize,
    /// Devices that did not connect.
    pub failed: usize,
    /// The error of the first device that did not connect.
    pub error: Option<String>,
    /// The duration of the phase.
    pub seconds: f64,
    /// The costs per device, including its online event to both sinks.
    #[serde(flatten)]
    pub costs: Costs,
    /// The time of a connect, from SYN to status 101.
    pub latency: Summary,
    /// Online events of all devices at the event receiver.
    pub online_http: Option<u64>,
    /// Online events of all devices in the topic.
    pub online_kafka: Option<u64>,
}

/// The memory of connected devices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Idle {
    /// The gateway's memory with the devices of the warm-up.
    pub before: u64,
    /// The gateway's memory with all devices.
    pub after: u64,
    /// The memory per device, from these two.
    pub bytes_per_device: f64,
    /// Whether the memory had stopped changing both times.
    pub settled: bool,
    /// The gateway's memory with all devices, after the events and requests.
    pub after_traffic: u64,
    /// The memory per device, from `before` and `after_traffic`.
    pub bytes_per_device_after_traffic: f64,
}

/// The phase in which devices send events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// Events that the devices sent.
    pub sent: u64,
    /// Sends that failed, because the device was offline or its buffer was full.
    pub unsent: u64,
    /// The time until the last event had arrived.
    pub seconds: f64,
    /// Events per second.
    pub per_second: f64,
    /// The costs per event.
    #[serde(flatten)]
    pub costs: Costs,
    /// Events at the event receiver; absent if there was none.
    pub http: Option<EndResult>,
    /// Events in the topic; absent if there was none.
    pub kafka: Option<EndResult>,
    /// Acknowledgements at the devices, which events of QoS 25 and above get.
    pub ack: EndResult,
    /// Acknowledgements of the whole run by their rdr (contract §15.3); -1 stands for a missing or undefined rdr.
    pub acks_by_rdr: BTreeMap<i64, u64>,
    /// Messages at the sinks that are not WRP or not of this run: 0 unless the gateway has other devices, too.
    pub strange: u64,
}

/// What arrived at one end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndResult {
    /// Different events that arrived.
    pub received: u64,
    /// Events that did not arrive.
    pub lost: u64,
    /// Arrivals of events that had already arrived.
    pub duplicated: u64,
    /// The time from the send at the device to the arrival.
    pub latency: Summary,
}

/// The phase of requests through the API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// Requests sent.
    pub sent: u64,
    /// Requests with a valid response from the device.
    pub answered: u64,
    /// Other requests by their errors.
    pub failed: BTreeMap<String, u64>,
    /// The duration of the phase.
    pub seconds: f64,
    /// The costs per request.
    #[serde(flatten)]
    pub costs: Costs,
    /// The time from the request to the response, at the caller.
    pub latency: Summary,
}

/// The phase in which devices disconnect, each with a close frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Disconnect {
    /// Devices that were connected.
    pub devices: u64,
    /// Connections that the gateway did not close in time.
    pub cut: usize,
    /// The costs per device, including its offline event to both sinks.
    #[serde(flatten)]
    pub costs: Costs,
    /// Offline events at the event receiver.
    pub offline_http: Option<u64>,
    /// Offline events in the topic.
    pub offline_kafka: Option<u64>,
}

impl EndResult {
    /// The difference of two counts of the same end.
    #[must_use]
    pub(super) fn between(before: EndCounts, after: EndCounts, latency: Summary) -> Self {
        Self {
            received: after.received - before.received,
            lost: after.lost.saturating_sub(before.lost),
            duplicated: after.duplicated - before.duplicated,
            latency,
        }
    }

    /// The difference of two counts of acknowledgements. Only events of QoS 25 and above get one, so only these can be lost.
    #[must_use]
    pub(super) fn acks_between(before: &Counts, after: &Counts, latency: Summary) -> Self {
        let lost = after.ack.lost_assured().saturating_sub(before.ack.lost_assured());
        Self { lost, ..Self::between(before.ack, after.ack, latency) }
    }
}

impl Report {
    /// Whether all devices connected, and all events, acknowledgements and responses arrived exactly once.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let ends = [self.events.http.as_ref(), self.events.kafka.as_ref(), Some(&self.events.ack)];
        self.connect.failed == 0
            && self.events.unsent == 0
            && ends.into_iter().flatten().all(|end| end.lost == 0 && end.duplicated == 0)
            && self.requests.as_ref().is_none_or(|requests| requests.failed.is_empty())
            && self.exit_code.is_none_or(|code| code == 0)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, pid, parameters, connect, idle, events, requests, disconnect, exit_code } = self;
        writeln!(f, "run {run}, gateway process {pid}")?;
        row(
            f,
            "connect",
            connect.devices,
            format_args!("{:.1} µs of CPU", connect.costs.cpu_us),
            connect.latency,
        )?;
        if connect.failed > 0 {
            let error = connect.error.as_deref().unwrap_or_default();
            detail(f, "failed", format_args!("{}: {error}", connect.failed))?;
        }
        detail(f, "online events", arrived(connect.online_http, connect.online_kafka))?;
        row(f, "idle device", connect.devices, format_args!("{:.0} bytes", idle.bytes_per_device), "")?;
        let settled = if idle.settled { "" } else { "; the memory did not settle" };
        let after = idle.bytes_per_device_after_traffic;
        detail(f, "after traffic", format_args!("{after:.0} bytes{settled}"))?;
        let rate =
            format!("{:.0}/s, window {}, {} bytes", events.per_second, parameters.window, parameters.size);
        row(f, "event", events.sent, format_args!("{:.1} µs of CPU", events.costs.cpu_us), rate)?;
        for (name, end) in
            [("http", events.http.as_ref()), ("kafka", events.kafka.as_ref()), ("ack", Some(&events.ack))]
        {
            if let Some(EndResult { received, lost, duplicated, latency }) = end {
                let counts = format!("{received} received, {lost} lost, {duplicated} duplicated");
                detail(f, name, format_args!("{counts:50} {latency}"))?;
            }
        }
        if events.unsent + events.strange > 0 {
            detail(f, "besides", format_args!("{} unsent, {} strange", events.unsent, events.strange))?;
        }
        if let Some(Requests { sent, failed, costs, latency, .. }) = requests {
            row(f, "request", sent, format_args!("{:.1} µs of CPU", costs.cpu_us), latency)?;
            for (error, count) in failed {
                detail(f, "failed", format_args!("{count}: {error}"))?;
            }
        }
        row(
            f,
            "disconnect",
            disconnect.devices,
            format_args!("{:.1} µs of CPU", disconnect.costs.cpu_us),
            "",
        )?;
        detail(f, "offline events", arrived(disconnect.offline_http, disconnect.offline_kafka))?;
        if let Some(code) = exit_code.filter(|code| *code != 0) {
            detail(f, "gateway", format_args!("ended with exit code {code}"))?;
        }
        write!(f, "{}", if self.is_clean() { "nothing lost, nothing duplicated" } else { "NOT CLEAN" })
    }
}

fn row(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    count: impl Display,
    cost: fmt::Arguments<'_>,
    more: impl Display,
) -> fmt::Result {
    writeln!(f, "{what:14} {count:>9} x {:>18}   {more}", cost.to_string())
}

fn detail(f: &mut fmt::Formatter<'_>, what: &str, text: impl Display) -> fmt::Result {
    writeln!(f, "  {what:14} {text}")
}

fn arrived(http: Option<u64>, kafka: Option<u64>) -> String {
    let number =
        |count: Option<u64>| count.map_or_else(|| "none expected".to_owned(), |count| count.to_string());
    format!("http {}, kafka {}", number(http), number(kafka))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean() -> Report {
        let end = || EndResult { received: 5, ..EndResult::default() };
        let events =
            Events { sent: 5, http: Some(end()), kafka: Some(end()), ack: end(), ..Events::default() };
        Report { run: "0000002a".into(), events, requests: Some(Requests::default()), ..Report::default() }
    }

    #[test]
    fn anything_lost_or_duplicated_anywhere_is_not_clean() {
        assert!(clean().is_clean());
        let faults: [fn(&mut Report); 7] = [
            |report| report.connect.failed = 1,
            |report| report.events.unsent = 1,
            |report| report.events.http.as_mut().unwrap().lost = 1,
            |report| report.events.kafka.as_mut().unwrap().duplicated = 1,
            |report| report.events.ack.lost = 1,
            |report| {
                report.requests.as_mut().unwrap().failed.insert("status 504".to_owned(), 1);
            },
            |report| report.exit_code = Some(-1),
        ];
        for add_fault in faults {
            let mut report = clean();
            add_fault(&mut report);
            assert!(!report.is_clean(), "{report:?}");
        }
    }

    #[test]
    fn the_json_has_a_stable_shape_and_reads_back() {
        let json = serde_json::to_value(clean()).unwrap();
        for path in [
            "/run",
            "/pid",
            "/parameters/devices",
            "/connect/cpu_us",
            "/idle/bytes_per_device",
            "/events/cpu_us",
            "/events/sent",
            "/events/http/lost",
            "/events/kafka/latency/p99",
            "/events/ack/received",
            "/requests/cpu_us",
            "/disconnect/offline_kafka",
        ] {
            assert!(json.pointer(path).is_some(), "{path} in {json:#}");
        }
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), clean());
    }

    #[test]
    fn the_table_shows_what_was_lost() {
        let mut report = clean();
        report.events.kafka = Some(EndResult { received: 3, lost: 2, duplicated: 1, ..EndResult::default() });
        let table = report.to_string();
        assert!(
            table.contains("3 received, 2 lost, 1 duplicated") && table.ends_with("NOT CLEAN"),
            "{table}"
        );
    }
}
