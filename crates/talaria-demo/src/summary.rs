//! What the demo delivered and lost, once everything was drained.

use std::fmt::{self, Display};

use talaria_sim::latency::Summary as Latency;
use talaria_sim::ledger::EndCounts;

use crate::gateway::Undelivered;
use crate::sample::Sample;

/// Printed at the end; decides the exit code.
#[derive(Debug)]
pub(crate) struct Summary {
    /// Taken after the drain.
    pub(crate) last: Sample,
    /// All latencies to the event receiver.
    pub(crate) http: Latency,
    /// All latencies to the topic.
    pub(crate) kafka: Latency,
    /// All latencies of acknowledgements.
    pub(crate) acks: Latency,
    /// What the gateway says it could not deliver.
    pub(crate) undelivered: Undelivered,
}

impl Summary {
    /// Whether every event arrived at both sinks, was acknowledged as delivered if it asked for that, and every
    /// device's online and offline event arrived.
    pub(crate) fn nothing_lost(&self) -> bool {
        let Sample { devices, counts, http, kafka, .. } = &self.last;
        let reported = |online, offline| online >= devices.connects && offline >= devices.disconnects;
        self.undelivered == Undelivered::default()
            && counts.http.lost == 0
            && counts.kafka.lost == 0
            && counts.ack.lost_assured() == 0
            && self.last.good_acks() == self.last.acks()
            && reported(http.online, http.offline)
            && reported(kafka.online, kafka.offline)
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sample { counts, http, kafka, .. } = &self.last;
        let heads = ["received", "lost", "duplicates", "p50", "p99", "max"];
        writeln!(f, "{:8}{}", "", heads.map(|head| format!("{head:>12}")).concat())?;
        row(f, "http", counts.http, counts.http.lost, self.http)?;
        row(f, "kafka", counts.kafka, counts.kafka.lost, self.kafka)?;
        row(f, "acks", counts.ack, counts.ack.lost_assured(), self.acks)?;
        let (sent, low) = (counts.sent, counts.sent_best_effort);
        writeln!(f, "sent     {sent} events, {low} of them below QoS 25, which are not acknowledged")?;
        writeln!(
            f,
            "devices  {} connects, online events {} by http, {} by kafka; {} disconnects, offline events {} and {}",
            self.last.devices.connects,
            http.online,
            kafka.online,
            self.last.devices.disconnects,
            http.offline,
            kafka.offline
        )?;
        if self.last.good_acks() != self.last.acks() {
            writeln!(f, "acks by rdr: {:?}", self.last.devices.acks)?;
        }
        if self.undelivered != Undelivered::default() {
            let Undelivered { sessions, http, kafka } = self.undelivered;
            writeln!(
                f,
                "the gateway left {sessions} sessions, {http} events and {kafka} records undelivered"
            )?;
        }
        write!(f, "{}", if self.nothing_lost() { "nothing was lost" } else { "SOMETHING WAS LOST" })
    }
}

fn row(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    counts: EndCounts,
    lost: u64,
    latency: Latency,
) -> fmt::Result {
    let times = [latency.p50, latency.p99, latency.max].map(|time| format!("{time:>9.2} ms")).concat();
    writeln!(f, "{name:8}{:>12}{lost:>12}{:>12}{times}", counts.received, counts.duplicated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(last: Sample) -> Summary {
        Summary {
            last,
            http: Latency::default(),
            kafka: Latency::default(),
            acks: Latency::default(),
            undelivered: Undelivered::default(),
        }
    }

    #[test]
    fn any_loss_is_reported() {
        let clean = summary(Sample::default());
        assert!(clean.nothing_lost() && clean.to_string().ends_with("nothing was lost"), "{clean}");
        let losses: [fn(&mut Sample); 5] = [
            |last| last.counts.http.lost = 1,
            |last| last.counts.kafka.lost = 1,
            |last| last.counts.ack.lost = 1,
            |last| last.devices.disconnects = 1,
            |last| {
                last.devices.acks.insert(102, 1);
            },
        ];
        for lose in losses {
            let mut last = Sample::default();
            lose(&mut last);
            let summary = summary(last);
            assert!(!summary.nothing_lost(), "{summary}");
        }
    }

    #[test]
    fn an_event_below_qos_25_needs_no_ack() {
        let mut last = Sample::default();
        (last.counts.ack.lost, last.counts.ack.lost_best_effort) = (3, 3);
        assert!(summary(last).nothing_lost());
    }
}
