//! What arrives at the gateway's sinks, and who counts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use wrp::MessageRef;

use crate::latency::Latencies;
use crate::ledger::{Arrival, End, Ledger};
use crate::run::{Key, RunId};

/// Counts what arrives at a sink. Called for every message from whatever thread received it, so it must be quick.
pub trait Arrivals: Send + Sync + 'static {
    /// A message arrived.
    fn message(&self, message: &MessageRef<'_>);
    /// Something arrived that is no WRP message.
    fn undecodable(&self);
}

/// What a message at a sink is to the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event that a simulated device sent.
    Event(Key),
    /// The gateway's own event of a device's coming.
    Online,
    /// The gateway's own event of a device's going.
    Offline,
    /// Anything else.
    Other,
}

impl Kind {
    /// With a `run`, another run's device coming or going is none of ours.
    pub(crate) fn of(message: &MessageRef<'_>, run: Option<RunId>) -> Self {
        if let Some(key) = Key::parse(message.transaction_uuid.as_bytes()) {
            return Kind::Event(key);
        }
        let Some((id, state)) = message
            .dest
            .to_str()
            .ok()
            .and_then(|dest| dest.strip_prefix("event:device-status/"))
            .and_then(|rest| rest.split_once('/'))
        else {
            return Kind::Other;
        };
        match state {
            _ if run.is_some_and(|run| run.device_index(id).is_none()) => Kind::Other,
            "online" => Kind::Online,
            "offline" => Kind::Offline,
            _ => Kind::Other,
        }
    }
}

/// Counts what arrives at one end of a run whose ledger is here.
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

/// A moment's view of a [`Sink`]: what its ledger does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkCounts {
    /// Online events of this run's devices.
    pub online: u64,
    /// Offline events of this run's devices.
    pub offline: u64,
    /// Messages that this run has nothing to do with.
    pub foreign: u64,
    /// What was no WRP message.
    pub undecodable: u64,
}

impl Sink {
    /// Counts for this end of the ledger's run.
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

    /// How long events took from their device to here.
    #[must_use]
    pub fn latency(&self) -> &Latencies {
        &self.latency
    }
}

impl Arrivals for Sink {
    fn message(&self, message: &MessageRef<'_>) {
        let counter = match Kind::of(message, Some(self.ledger.run())) {
            Kind::Event(key) => match self.ledger.arrived(self.end, key) {
                Arrival::First { took, .. } => return self.latency.record(took),
                Arrival::Duplicate => return,
                Arrival::Unknown => &self.foreign,
            },
            Kind::Online => &self.online,
            Kind::Offline => &self.offline,
            Kind::Other => &self.foreign,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn undecodable(&self) {
        self.undecodable.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Care, Ends};

    fn message<'a>(dest: &'a str, uuid: &'a str) -> MessageRef<'a> {
        MessageRef { dest: dest.into(), transaction_uuid: uuid.into(), ..MessageRef::default() }
    }

    #[test]
    fn a_runs_events_go_to_its_ledger_and_the_gateways_own_are_counted() {
        let run = RunId::new(5);
        let ledger = Arc::new(Ledger::new(run, Ends::NONE.with(End::Http, true)));
        let sink = Sink::new(End::Http, Arc::clone(&ledger));
        let key = ledger.send(Care::Assured).to_string();
        sink.message(&message("event:telemetry/x", &key));
        sink.message(&message("event:telemetry/x", &key));
        sink.message(&message(&format!("event:device-status/{}/online", run.device_id(0)), ""));
        sink.message(&message(&format!("event:device-status/{}/offline", run.device_id(0)), ""));
        sink.message(&message("event:device-status/mac:112233445566/online", ""));
        sink.message(&message("event:other", "4711"));
        sink.undecodable();
        assert_eq!(sink.counts(), SinkCounts { online: 1, offline: 1, foreign: 2, undecodable: 1 });
        assert_eq!((ledger.counts().http.received, ledger.counts().http.duplicated), (1, 1));
        assert_eq!(sink.latency().total().count, 1);
    }
}
