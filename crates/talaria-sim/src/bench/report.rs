//! What a benchmark found: one JSON object, or a table.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::latency::Summary;
use crate::ledger::{Counts, EndCounts};

/// The findings. All CPU times are the gateway's own, in microseconds; all memory is resident, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run's id, which every event's transaction_uuid carries.
    pub run: String,
    /// The gateway's process id.
    pub pid: u32,
    /// What the run was told to do.
    pub parameters: Parameters,
    /// Devices coming.
    pub connect: Connect,
    /// Devices that only stay.
    pub idle: Idle,
    /// Events from devices to the sinks.
    pub events: Events,
    /// Requests through the API; absent if there were none.
    pub requests: Option<Requests>,
    /// Devices going.
    pub disconnect: Disconnect,
    /// How a gateway that the benchmark started ended: its exit code, or -1 if it had none.
    pub exit_code: Option<i32>,
}

/// What a run was told to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Devices that connect.
    pub devices: usize,
    /// Of these, those that came first and are not measured, so that what the gateway needs once counts for nobody.
    pub warm_up_devices: usize,
    /// Events measured.
    pub events: u64,
    /// Events before them that are not measured.
    pub warm_up_events: u64,
    /// An event's length in bytes.
    pub size: usize,
    /// Events on their way at a time.
    pub window: usize,
    /// The events' QoS, or `mix`.
    pub qos: String,
    /// Requests.
    pub requests: u64,
    /// Requests on their way at a time.
    pub requesting: usize,
}

/// Devices coming.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Connect {
    /// Devices that connected, without those of the warm-up.
    pub devices: usize,
    /// Devices that could not.
    pub failed: usize,
    /// What the first of them ran into.
    pub error: Option<String>,
    /// How long it took in all.
    pub seconds: f64,
    /// What one cost, with its online event to both sinks.
    pub cpu_us: f64,
    /// How long one took, from SYN to 101, in milliseconds.
    pub latency: Summary,
    /// Online events of all devices at the event receiver.
    pub online_http: Option<u64>,
    /// Online events of all devices in the topic.
    pub online_kafka: Option<u64>,
}

/// Devices that only stay.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Idle {
    /// The gateway's memory with only the devices of the warm-up.
    pub before: u64,
    /// The gateway's memory with all devices.
    pub after: u64,
    /// What one device more takes.
    pub bytes_per_device: f64,
    /// Whether the memory had stopped changing at both looks.
    pub settled: bool,
    /// The same as `after`, and as `bytes_per_device`, when events and requests were through.
    pub after_traffic: u64,
    /// See `after_traffic`.
    pub bytes_per_device_after_traffic: f64,
}

/// Events from devices to the sinks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// Events that the devices sent.
    pub sent: u64,
    /// Sends that failed, because a device had gone or was stuck.
    pub unsent: u64,
    /// How long it took until the last had arrived.
    pub seconds: f64,
    /// Events a second.
    pub per_second: f64,
    /// What one cost.
    pub cpu_us: f64,
    /// At the event receiver; absent if there was none.
    pub http: Option<End>,
    /// In the topic; absent if there was none.
    pub kafka: Option<End>,
    /// Acknowledgements at the devices, for events of QoS 25 and more.
    pub ack: End,
    /// The acknowledgements of the whole run by their rdr (contract §15.3); -1: none, or not defined.
    pub acks_by_rdr: BTreeMap<i64, u64>,
    /// Messages at the sinks that were no WRP messages, or not of this run's: 0 unless something else uses the gateway.
    pub strange: u64,
}

/// What arrived at one end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Different events that arrived.
    pub received: u64,
    /// Events that did not.
    pub lost: u64,
    /// Arrivals beyond an event's first.
    pub duplicated: u64,
    /// From the device's sending to here, in milliseconds.
    pub latency: Summary,
}

/// Requests through the API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// Requests sent.
    pub sent: u64,
    /// Requests answered by the device asked, with what it was asked.
    pub answered: u64,
    /// The others, by what went wrong.
    pub failed: BTreeMap<String, u64>,
    /// How long it took in all.
    pub seconds: f64,
    /// What one cost.
    pub cpu_us: f64,
    /// From the caller's sending to its having the answer, in milliseconds.
    pub latency: Summary,
}

/// Devices going, each with a close frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Disconnect {
    /// Devices that were connected.
    pub devices: u64,
    /// Connections that the gateway had not closed in time.
    pub cut: usize,
    /// What one cost, with its offline event to both sinks.
    pub cpu_us: f64,
    /// Offline events at the event receiver.
    pub offline_http: Option<u64>,
    /// Offline events in the topic.
    pub offline_kafka: Option<u64>,
}

impl End {
    /// What arrived between two looks at the same end.
    #[must_use]
    pub(super) fn between(before: EndCounts, after: EndCounts, latency: Summary) -> Self {
        Self {
            received: after.received - before.received,
            lost: after.lost.saturating_sub(before.lost),
            duplicated: after.duplicated - before.duplicated,
            latency,
        }
    }

    /// The same for acknowledgements, of which only events of QoS 25 and more get one.
    #[must_use]
    pub(super) fn acks_between(before: &Counts, after: &Counts, latency: Summary) -> Self {
        let lost = after.ack.lost_assured().saturating_sub(before.ack.lost_assured());
        Self { lost, ..Self::between(before.ack, after.ack, latency) }
    }
}

impl Report {
    /// Whether everything arrived, once: devices, events at both sinks, acks, answers.
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
        row(f, "connect", connect.devices, format_args!("{:.1} µs of CPU", connect.cpu_us), connect.latency)?;
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
        row(f, "event", events.sent, format_args!("{:.1} µs of CPU", events.cpu_us), rate)?;
        for (name, end) in
            [("http", events.http.as_ref()), ("kafka", events.kafka.as_ref()), ("ack", Some(&events.ack))]
        {
            if let Some(End { received, lost, duplicated, latency }) = end {
                let counts = format!("{received} received, {lost} lost, {duplicated} duplicated");
                detail(f, name, format_args!("{counts:50} {latency}"))?;
            }
        }
        if events.unsent + events.strange > 0 {
            detail(f, "besides", format_args!("{} unsent, {} strange", events.unsent, events.strange))?;
        }
        if let Some(Requests { sent, failed, cpu_us, latency, .. }) = requests {
            row(f, "request", sent, format_args!("{cpu_us:.1} µs of CPU"), latency)?;
            for (error, count) in failed {
                detail(f, "failed", format_args!("{count}: {error}"))?;
            }
        }
        row(f, "disconnect", disconnect.devices, format_args!("{:.1} µs of CPU", disconnect.cpu_us), "")?;
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
        let end = || End { received: 5, ..End::default() };
        let events =
            Events { sent: 5, http: Some(end()), kafka: Some(end()), ack: end(), ..Events::default() };
        Report { run: "0000002a".into(), events, requests: Some(Requests::default()), ..Report::default() }
    }

    #[test]
    fn anything_lost_or_duplicated_anywhere_is_not_clean() {
        assert!(clean().is_clean());
        let spoil: [fn(&mut Report); 7] = [
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
        for spoil in spoil {
            let mut report = clean();
            spoil(&mut report);
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
    fn the_table_tells_what_was_lost() {
        let mut report = clean();
        report.events.kafka = Some(End { received: 3, lost: 2, duplicated: 1, ..End::default() });
        let table = report.to_string();
        assert!(
            table.contains("3 received, 2 lost, 1 duplicated") && table.ends_with("NOT CLEAN"),
            "{table}"
        );
    }
}
