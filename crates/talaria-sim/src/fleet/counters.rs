//! The counters of a fleet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::latency::Latencies;

/// The number of `rdr` values that have a counter of their own: 0 to 199, the range of contract §15.3.
const RDRS: usize = 200;

/// Counts while the fleet runs.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) online: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) failed_connects: AtomicU64,
    pub(super) disconnects: AtomicU64,
    pub(super) protocol_errors: AtomicU64,
    pub(super) pings: AtomicU64,
    pub(super) requests_answered: AtomicU64,
    pub(super) other_messages: AtomicU64,
    pub(super) undecodable: AtomicU64,
    pub(super) unsent: AtomicU64,
    acks: [AtomicU64; RDRS],
    acks_other: AtomicU64,
    pub(super) connect_latency: Latencies,
    pub(super) ack_latency: Latencies,
}

/// The counts of a fleet at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Devices that are connected.
    pub online: u64,
    /// Connections that were made, including reconnects.
    pub connects: u64,
    /// Handshakes that the gateway answered with another status than 101.
    pub refused: u64,
    /// Connections that could not be made for another reason.
    pub failed_connects: u64,
    /// Connections that ended.
    pub disconnects: u64,
    /// Connections that a device dropped because the gateway violated RFC 6455.
    pub protocol_errors: u64,
    /// Pings that were answered.
    pub pings: u64,
    /// Requests that were answered.
    pub requests_answered: u64,
    /// Messages to a device that were neither requests nor acknowledgements.
    pub other_messages: u64,
    /// Binary frames to a device that were not WRP messages.
    pub undecodable: u64,
    /// Events that could not be sent: the device was offline or its buffer was full.
    pub unsent: u64,
    /// Acknowledgements by their `rdr` (contract §15.3); -1 stands for a missing or undefined rdr.
    pub acks: BTreeMap<i64, u64>,
}

impl Counters {
    pub(super) fn new() -> Self {
        let zero = AtomicU64::default;
        Self {
            online: zero(),
            connects: zero(),
            refused: zero(),
            failed_connects: zero(),
            disconnects: zero(),
            protocol_errors: zero(),
            pings: zero(),
            requests_answered: zero(),
            other_messages: zero(),
            undecodable: zero(),
            unsent: zero(),
            acks: std::array::from_fn(|_| zero()),
            acks_other: zero(),
            connect_latency: Latencies::new(),
            ack_latency: Latencies::new(),
        }
    }

    pub(super) fn ack(&self, rdr: Option<i64>) {
        let own = rdr.and_then(|rdr| self.acks.get(usize::try_from(rdr).ok()?));
        add(own.unwrap_or(&self.acks_other));
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let by_rdr = (0i64..).zip(&self.acks).chain([(-1, &self.acks_other)]);
        Snapshot {
            online: load(&self.online),
            connects: load(&self.connects),
            refused: load(&self.refused),
            failed_connects: load(&self.failed_connects),
            disconnects: load(&self.disconnects),
            protocol_errors: load(&self.protocol_errors),
            pings: load(&self.pings),
            requests_answered: load(&self.requests_answered),
            other_messages: load(&self.other_messages),
            undecodable: load(&self.undecodable),
            unsent: load(&self.unsent),
            acks: by_rdr.map(|(rdr, count)| (rdr, load(count))).filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// Adds one to a counter.
pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_are_counted_by_rdr_and_undefined_ones_together() {
        let counters = Counters::new();
        for rdr in [Some(0), Some(0), Some(102), Some(-5), Some(9999), None] {
            counters.ack(rdr);
        }
        assert_eq!(counters.snapshot().acks, BTreeMap::from([(-1, 3), (0, 2), (102, 1)]));
    }
}
