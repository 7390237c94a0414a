//! What there is to measure.

use std::fmt;
use std::str::FromStr;

use super::pace::Pace;
use crate::testbed::Routes;

/// A kind of work, whose cost is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name on the command line and in results.
    pub name: &'static str,
    pub(super) work: Work,
    pub(super) security: Security,
}

/// Whether devices and services use TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    Plain,
    Tls,
    /// Each measured device resumes a session.
    ResumedTls,
}

/// What the gateway does in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// It holds devices that do nothing.
    Idle,
    Connect,
    /// The cost of an event.
    Events(Load),
    /// How late events are that come at this rate: at the receiver, at the device with the acknowledgement of both sinks, and,
    /// in a second run without the receiver, at the device with that of Kafka alone.
    Latency(u32),
    Request,
    /// Its metrics page is read.
    Scrape,
    /// Several gateways hold more devices than one process may open files for, which send events at a steady rate.
    Fleet,
}

/// Events of all devices in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) routes: Routes,
    pub(super) qos: i64,
    pub(super) pace: Pace,
}

impl Row {
    /// Whether it is measured only if it is named: `--all` is about one gateway.
    pub(super) fn is_by_name_only(self) -> bool {
        self.work == Work::Fleet
    }

    /// Whether it has a cost that a tool can count.
    pub(super) fn can_be_counted(self) -> bool {
        match self.work {
            Work::Connect | Work::Events(_) | Work::Request => true,
            Work::Idle | Work::Latency(_) | Work::Scrape | Work::Fleet => false,
        }
    }
}

const fn plain(name: &'static str, work: Work) -> Row {
    Row { name, work, security: Security::Plain }
}

const fn over_tls(name: &'static str, work: Work) -> Row {
    Row { name, work, security: Security::Tls }
}

const fn events(name: &'static str, routes: Routes, qos: i64, pace: Pace) -> Row {
    plain(name, Work::Events(Load { routes, qos, pace }))
}

/// All rows, in the order in which they are measured.
pub const ROWS: [Row; 19] = [
    plain("idle", Work::Idle),
    over_tls("idle-tls", Work::Idle),
    plain("connect", Work::Connect),
    over_tls("connect-tls", Work::Connect),
    Row { name: "connect-tls-resumed", work: Work::Connect, security: Security::ResumedTls },
    events("event-both-qos10", Routes::Both, 10, Pace::FlatOut),
    events("event-both-qos80", Routes::Both, 80, Pace::FlatOut),
    events("event-both-qos10-3000", Routes::Both, 10, Pace::PerSecond(3000)),
    events("event-both-qos80-3000", Routes::Both, 80, Pace::PerSecond(3000)),
    events("event-both-qos80-500", Routes::Both, 80, Pace::PerSecond(500)),
    events("event-kafka-qos10", Routes::KafkaOnly, 10, Pace::FlatOut),
    events("event-kafka-qos80", Routes::KafkaOnly, 80, Pace::FlatOut),
    events("event-kafka-qos10-3000", Routes::KafkaOnly, 10, Pace::PerSecond(3000)),
    events("event-kafka-qos80-3000", Routes::KafkaOnly, 80, Pace::PerSecond(3000)),
    plain("request", Work::Request),
    plain("metrics-scrape", Work::Scrape),
    plain("latency", Work::Latency(3000)),
    plain("latency-100", Work::Latency(100)),
    plain("fleet", Work::Fleet),
];

/// The text names no row.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` is not a row; the rows are {}", ROWS.map(|row| row.name).join(", "))]
pub struct RowError {
    name: String,
}

impl FromStr for Row {
    type Err = RowError;

    fn from_str(name: &str) -> Result<Self, RowError> {
        ROWS.into_iter().find(|row| row.name == name).ok_or_else(|| RowError { name: name.to_owned() })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_row_has_a_name_of_its_own_by_which_it_is_found() {
        assert_eq!(ROWS.map(|row| row.name).into_iter().collect::<BTreeSet<_>>().len(), ROWS.len());
        for row in ROWS {
            assert_eq!(row.name.parse::<Row>().unwrap(), row);
        }
        let error = "events".parse::<Row>().unwrap_err().to_string();
        assert!(error.contains("idle, idle-tls, connect"), "{error}");
    }
}
