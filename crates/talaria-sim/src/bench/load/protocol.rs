//! What the benchmark and a load process say to each other: lines of JSON.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bench::open_loop::Schedule;
use crate::fleet::{Connected, Snapshot};
use crate::latency::Summary;
use crate::ledger::Counts;
use crate::run::RunId;

/// The first line to a load process: its devices and the gateway that they connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assignment {
    /// The address of the gateway's primary server.
    pub(crate) gateway: SocketAddr,
    /// The run of these devices and their events.
    pub(crate) run: RunId,
    pub(crate) devices: usize,
    /// Devices that connect at the same time.
    pub(crate) connecting: usize,
    pub(crate) event_bytes: usize,
    pub(crate) qos: i64,
    /// How long to wait for acknowledgements after the last event.
    pub(crate) give_up: Duration,
}

/// What a load process is asked for. It answers each order when it is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Connect the devices with these indices.
    Connect(Range<usize>),
    /// Send events, and wait for their acknowledgements.
    Send(Schedule),
    /// Close the connections of all devices.
    Stop,
}

/// The answer to an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Connected(Connected),
    Sent(Box<Sent>),
    Stopped {
        /// Connections that the gateway did not close in time.
        cut: usize,
    },
    /// The order could not be carried out.
    Failed(String),
}

/// What has become of the events of a load process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// How long it took to send them.
    pub(crate) seconds: f64,
    /// All events up to now, and their acknowledgements.
    pub(crate) counts: Counts,
    pub(crate) devices: Snapshot,
    /// From when these events were due to their acknowledgements.
    pub(crate) ack_latency: Summary,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_answers_are_single_lines_that_read_back() {
        for order in [Order::Connect(3..9), Order::Send(Schedule::all(2000, 7)), Order::Stop] {
            let line = serde_json::to_string(&order).unwrap();
            assert!(!line.contains('\n') && serde_json::from_str::<Order>(&line).unwrap() == order, "{line}");
        }
        for answer in [
            Answer::Connected(Connected { online: 1, failed: 2, error: Some("no\nroute".to_owned()) }),
            Answer::Sent(Box::default()),
            Answer::Stopped { cut: 4 },
            Answer::Failed("offline".to_owned()),
        ] {
            let line = serde_json::to_string(&answer).unwrap();
            assert!(
                !line.contains('\n') && serde_json::from_str::<Answer>(&line).unwrap() == answer,
                "{line}"
            );
        }
    }
}
