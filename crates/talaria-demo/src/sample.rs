//! The numbers that the live view and the summary show, taken at one moment.

use std::time::Duration;

use talaria_sim::fleet::{Fleet, Snapshot};
use talaria_sim::latency::Summary;
use talaria_sim::ledger::{Counts, EndCounts, Ledger};
use talaria_sim::sink::Sink;

/// The flow at one moment, and its rates since the sample before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// Since the demo's devices began to send.
    pub(crate) elapsed: Duration,
    /// What the devices count.
    pub(crate) devices: Snapshot,
    /// What the ledger counts.
    pub(crate) counts: Counts,
    /// Events sent a second.
    pub(crate) sent_per_second: f64,
    /// The event receiver.
    pub(crate) http: Flow,
    /// The Kafka topic.
    pub(crate) kafka: Flow,
}

/// What arrives at one sink.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flow {
    /// Events a second.
    pub(crate) per_second: f64,
    /// Since the sample before.
    pub(crate) latency: Summary,
    /// Since the start.
    pub(crate) counts: EndCounts,
    /// The gateway's own online events.
    pub(crate) online: u64,
    /// The gateway's own offline events.
    pub(crate) offline: u64,
}

impl Sample {
    /// Reads all counters, and derives the rates since the sample before.
    pub(crate) fn take(
        elapsed: Duration,
        before: &Self,
        fleet: &Fleet,
        ledger: &Ledger,
        [http, kafka]: [&Sink; 2],
    ) -> Self {
        let counts = ledger.counts();
        let seconds = elapsed.saturating_sub(before.elapsed).as_secs_f64();
        let rate =
            |now: u64, then: u64| if seconds > 0.0 { now.saturating_sub(then) as f64 / seconds } else { 0.0 };
        let flow = |sink: &Sink, now: EndCounts, then: EndCounts| {
            let own = sink.counts();
            Flow {
                per_second: rate(now.received, then.received),
                latency: sink.latency().recent(),
                counts: now,
                online: own.online,
                offline: own.offline,
            }
        };
        Self {
            elapsed,
            devices: fleet.snapshot(),
            counts,
            sent_per_second: rate(counts.sent, before.counts.sent),
            http: flow(http, counts.http, before.counts.http),
            kafka: flow(kafka, counts.kafka, before.counts.kafka),
        }
    }

    /// Acknowledgements of any outcome.
    pub(crate) fn acks(&self) -> u64 {
        self.devices.acks.values().sum()
    }

    /// Acknowledgements that say "delivered".
    pub(crate) fn good_acks(&self) -> u64 {
        self.devices.acks.get(&0).copied().unwrap_or(0)
    }
}
