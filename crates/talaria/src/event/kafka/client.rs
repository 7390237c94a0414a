//! The metrics of the Kafka client (contract §10.8): connections, bytes, batches, buffered records.
//!
//! The publisher reports sums; their growth since the last report is added to the counters.

use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGauge};
use wrpkafka::{Buffered, ClientStats, NodeStats, TopicStats};

use crate::telemetry::metrics::{Family, Metrics};

/// A family and the number that it counts.
type Counted<T> = (IntCounterVec, fn(&T) -> u64);

/// The handles of the client's families. Their names have the gateway's prefix.
#[derive(Debug)]
pub(super) struct ClientMetrics {
    nodes: [Counted<NodeStats>; 8],
    topics: [Counted<TopicStats>; 4],
    buffered_records: IntGauge,
    buffered_bytes: IntGauge,
    last: Mutex<ClientStats>,
}

impl ClientMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let family = metrics.prefixed();
        // The gateway reads nothing from Kafka, but dashboards show both directions side by side.
        for name in ["buffered_fetch_records_total", "buffered_fetch_bytes"] {
            family.gauge(name, "Always 0: nothing is read from Kafka").set(0);
        }
        Self {
            nodes: nodes(&family),
            topics: topics(&family),
            buffered_records: family
                .gauge("buffered_produce_records_total", "Records that wait to be acknowledged"),
            buffered_bytes: family
                .gauge("buffered_produce_bytes", "Bytes of the records that wait to be acknowledged"),
            last: Mutex::default(),
        }
    }

    /// Adds the growth since the last report.
    pub(super) fn add(&self, stats: &ClientStats) {
        let mut last = self.last.lock();
        for node in &stats.nodes {
            let before = last.nodes.iter().find(|before| before.node_id == node.node_id);
            if self.nodes.iter().all(|(_, count)| count(node) == 0) {
                continue;
            }
            for (counter, count) in &self.nodes {
                add(counter, &[&node.node_id], before.map_or(0, count), count(node));
            }
        }
        for topic in &stats.topics {
            let is_same =
                |before: &&TopicStats| before.topic == topic.topic && before.node_id == topic.node_id;
            let before = last.topics.iter().find(is_same);
            for (counter, count) in &self.topics {
                add(counter, &[&topic.node_id, &topic.topic], before.map_or(0, count), count(topic));
            }
        }
        last.clone_from(stats);
    }

    pub(super) fn show_buffered(&self, buffered: &Buffered) {
        self.buffered_records.set(gauge(buffered.records + buffered.waiting_records));
        self.buffered_bytes.set(gauge(buffered.bytes + buffered.waiting_bytes));
    }
}

fn nodes(family: &Family<'_>) -> [Counted<NodeStats>; 8] {
    let counter = |name, help| family.counter_vec(name, help, &["node_id"]);
    [
        (counter("connects_total", "Connections to brokers that were opened"), |node| node.connects),
        (counter("connect_errors_total", "Connections to brokers that could not be opened"), |node| {
            node.connect_errors
        }),
        (counter("disconnects_total", "Connections to brokers that ended"), |node| node.disconnects),
        (counter("write_bytes_total", "Bytes sent to brokers"), |node| node.write_bytes),
        (counter("write_errors_total", "Requests that could not be sent to brokers"), |node| {
            node.write_errors
        }),
        (counter("read_bytes_total", "Bytes read from brokers"), |node| node.read_bytes),
        (counter("read_errors_total", "Answers of brokers that could not be read"), |node| node.read_errors),
        (counter("request_retries_total", "Requests that were sent to brokers again"), |node| node.retries),
    ]
}

fn topics(family: &Family<'_>) -> [Counted<TopicStats>; 4] {
    let counter = |name, help| family.counter_vec(name, help, &["node_id", "topic"]);
    [
        (counter("produce_bytes_total", "Bytes of the records sent to brokers"), |topic| {
            topic.produced_bytes
        }),
        (counter("produce_records_total", "Records sent to brokers"), |topic| topic.produced_records),
        (counter("produce_batches_total", "Batches of records sent to brokers"), |topic| {
            topic.produced_batches
        }),
        (
            counter(
                "produce_compressed_bytes_total",
                "Bytes of the batches sent to brokers, after compression",
            ),
            |topic| topic.compressed_bytes,
        ),
    ]
}

/// Also when nothing was added: a series that begins at 0 shows its first growth to Prometheus' `increase`.
fn add(counter: &IntCounterVec, labels: &[&str], before: u64, now: u64) {
    counter.with_label_values(labels).inc_by(now.saturating_sub(before));
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(connects: u64, produced_records: u64) -> ClientStats {
        let node_id = "1".to_owned();
        ClientStats {
            nodes: vec![NodeStats { node_id: node_id.clone(), connects, ..NodeStats::default() }],
            topics: vec![TopicStats {
                topic: "t".to_owned(),
                node_id,
                produced_records,
                ..TopicStats::default()
            }],
            ..ClientStats::default()
        }
    }

    #[test]
    fn sums_that_are_told_again_and_again_are_counted_once() {
        let metrics = Metrics::default();
        let client = ClientMetrics::register(&metrics);
        for stats in [last(1, 5), last(1, 5), last(2, 9)] {
            client.add(&stats);
        }
        let text = String::from_utf8(metrics.gather_text()).unwrap();
        for line in [
            r#"talaria_talaria_connects_total{node_id="1"} 2"#,
            r#"talaria_talaria_produce_records_total{node_id="1",topic="t"} 9"#,
            "talaria_talaria_buffered_fetch_bytes 0",
            r#"talaria_talaria_read_errors_total{node_id="1"} 0"#,
        ] {
            assert!(text.lines().any(|there| there == line), "no {line} in\n{text}");
        }
    }
}
