//! One look at the flow: the numbers that the live view and the summary show.

use std::time::Duration;

use talaria_sim::fleet::{Fleet, Snapshot};
use talaria_sim::latency::Summary;
use talaria_sim::ledger::{Counts, EndCounts, Ledger};
use talaria_sim::sink::Sink;

/// The flow at one moment, and since the moment before.
#[derive(Debug, Clone, Default)]
pub(super) struct Moment {
    /// Since the demo's devices began to send.
    pub(super) elapsed: Duration,
    /// What the devices count.
    pub(super) devices: Snapshot,
    /// What the ledger counts.
    pub(super) counts: Counts,
    /// Events sent a second.
    pub(super) sent_per_second: f64,
    /// The event receiver.
    pub(super) http: Flow,
    /// The Kafka topic.
    pub(super) kafka: Flow,
}

/// What arrives at one sink.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flow {
    /// Events a second.
    pub(super) per_second: f64,
    /// Since the moment before.
    pub(super) latency: Summary,
    /// All in all.
    pub(super) counts: EndCounts,
    /// The gateway's own online events.
    pub(super) online: u64,
    /// The gateway's own offline events.
    pub(super) offline: u64,
}

impl Moment {
    /// Looks at everything, and compares it with the moment before.
    pub(super) fn look(
        elapsed: Duration,
        before: &Moment,
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

    /// Acknowledgements of whatever outcome.
    pub(super) fn acks(&self) -> u64 {
        self.devices.acks.values().sum()
    }

    /// Acknowledgements that say "delivered".
    pub(super) fn good_acks(&self) -> u64 {
        self.devices.acks.get(&0).copied().unwrap_or(0)
    }
}
