//! Counting what arrives at a far end of the gateway.
//!
//! The receiver and the topic reader report each message to an [`ArrivalCounter`]. A [`Sink`] is the one for a run whose ledger
//! is in this process; without a ledger it is a [`Tally`](crate::tally::Tally).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use wrp::MessageRef;

use crate::latency::Latencies;
use crate::ledger::{Arrival, End, Ledger};
use crate::run::{Key, RunId};

/// Counts messages as they arrive. The thread that received a message calls it and waits for it, so it must be fast.
pub trait ArrivalCounter: Send + Sync + 'static {
    /// Counts a message.
    fn count(&self, message: &MessageRef<'_>);
    /// Counts something that is not a WRP message.
    fn count_undecodable(&self);
}

/// What a message at a far end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    /// An event that a simulated device sent.
    Event(Key),
    /// The gateway's event about a device that connected.
    Online,
    /// The gateway's event about a device that disconnected.
    Offline,
    Other,
}

impl MessageKind {
    /// If a `run` is given, online and offline events of other runs' devices are [`MessageKind::Other`].
    pub(crate) fn of(message: &MessageRef<'_>, run: Option<RunId>) -> Self {
        if let Some(key) = Key::parse(message.transaction_uuid.as_bytes()) {
            return Self::Event(key);
        }
        let Some((id, state)) = message
            .dest
            .to_str()
            .ok()
            .and_then(|dest| dest.strip_prefix("event:device-status/"))
            .and_then(|rest| rest.split_once('/'))
        else {
            return Self::Other;
        };
        match state {
            _ if run.is_some_and(|run| run.device_index(id).is_none()) => Self::Other,
            "online" => Self::Online,
            "offline" => Self::Offline,
            _ => Self::Other,
        }
    }
}

/// Counts what arrives at one end of a run, and enters it into the run's ledger.
#[derive(Debug)]
pub struct Sink {
    end: End,
    ledger: Arc<Ledger>,
    latency: Latencies,
    online: AtomicU64,
    offline: AtomicU64,
    foreign: AtomicU64,
    undecodable: AtomicU64,
}

/// The counts of a [`Sink`] that are not in its ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkCounts {
    /// Online events of this run's devices.
    pub online: u64,
    /// Offline events of this run's devices.
    pub offline: u64,
    /// Messages that are not from this run.
    pub foreign: u64,
    /// Arrivals that were not WRP messages.
    pub undecodable: u64,
}

impl Sink {
    /// A counter for this end of the ledger's run.
    #[must_use]
    pub fn new(end: End, ledger: Arc<Ledger>) -> Self {
        Self {
            end,
            ledger,
            latency: Latencies::new(),
            online: AtomicU64::new(0),
            offline: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
        }
    }

    /// The counts up to now.
    #[must_use]
    pub fn counts(&self) -> SinkCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SinkCounts {
            online: load(&self.online),
            offline: load(&self.offline),
            foreign: load(&self.foreign),
            undecodable: load(&self.undecodable),
        }
    }

    /// The time from the send of an event at its device to its arrival here.
    #[must_use]
    pub fn latency(&self) -> &Latencies {
        &self.latency
    }
}

impl ArrivalCounter for Sink {
    fn count(&self, message: &MessageRef<'_>) {
        let counter = match MessageKind::of(message, Some(self.ledger.run())) {
            MessageKind::Event(key) => match self.ledger.arrived(self.end, key) {
                Arrival::First { took, .. } => return self.latency.record(took),
                Arrival::Duplicate => return,
                Arrival::Unknown => &self.foreign,
            },
            MessageKind::Online => &self.online,
            MessageKind::Offline => &self.offline,
            MessageKind::Other => &self.foreign,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn count_undecodable(&self) {
        self.undecodable.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{DeliveryClass, Ends};

    fn message<'a>(dest: &'a str, uuid: &'a str) -> MessageRef<'a> {
        MessageRef { dest: dest.into(), transaction_uuid: uuid.into(), ..MessageRef::default() }
    }

    #[test]
    fn events_of_the_run_are_entered_into_its_ledger_and_the_gateways_events_are_counted() {
        let run = RunId::new(5);
        let ledger = Arc::new(Ledger::new(run, Ends::NONE.with(End::Http, true)));
        let sink = Sink::new(End::Http, Arc::clone(&ledger));
        let key = ledger.send(DeliveryClass::Assured).to_string();
        sink.count(&message("event:telemetry/x", &key));
        sink.count(&message("event:telemetry/x", &key));
        sink.count(&message(&format!("event:device-status/{}/online", run.device_id(0)), ""));
        sink.count(&message(&format!("event:device-status/{}/offline", run.device_id(0)), ""));
        sink.count(&message("event:device-status/mac:112233445566/online", ""));
        sink.count(&message("event:other", "4711"));
        sink.count_undecodable();
        assert_eq!(sink.counts(), SinkCounts { online: 1, offline: 1, foreign: 2, undecodable: 1 });
        assert_eq!((ledger.counts().http.received, ledger.counts().http.duplicated), (1, 1));
        assert_eq!(sink.latency().total().count, 1);
    }
}
