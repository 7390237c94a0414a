//! The metrics of what waits for Kafka, by topic (contract §10.7).

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{Gauge, IntGaugeVec};
use wrp::QosLevel;
use wrpkafka::{TopicUsage, Usage};

use crate::telemetry::metrics::Metrics;

/// The levels, in the order of [`TopicUsage::waiting`].
const LEVELS: [QosLevel; 4] = [QosLevel::Low, QosLevel::Medium, QosLevel::High, QosLevel::Critical];

/// The handles of the families `kafka_unacknowledged_*`, `kafka_waiting_*` and `kafka_oldest_*`.
#[derive(Debug)]
pub(super) struct TopicMetrics {
    in_client: Counts,
    waiting: Counts,
    oldest: Gauge,
    /// The topics that have series.
    shown: Mutex<HashSet<String>>,
}

/// Records and bytes.
#[derive(Debug)]
struct Counts {
    records: IntGaugeVec,
    bytes: IntGaugeVec,
}

impl TopicMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let bare = metrics.bare();
        let counts = |records: (&str, &str), bytes: (&str, &str), labels: &[&str]| Counts {
            records: bare.gauge_vec(records.0, records.1, labels),
            bytes: bare.gauge_vec(bytes.0, bytes.1, labels),
        };
        Self {
            in_client: counts(
                ("kafka_unacknowledged_records", "Records in the Kafka client, not yet acknowledged, by topic"),
                ("kafka_unacknowledged_bytes", "Bytes of the records in the Kafka client, by topic"),
                &["topic"],
            ),
            waiting: counts(
                ("kafka_waiting_records", "Records that wait in front of the Kafka client, by topic and level"),
                ("kafka_waiting_bytes", "Bytes of the records that wait in front of the Kafka client"),
                &["topic", "qos_level"],
            ),
            oldest: bare.float_gauge(
                "kafka_oldest_record_age_seconds",
                "For how long the oldest record has waited, or for how long none in the client was acknowledged",
            ),
            shown: Mutex::default(),
        }
    }

    /// Shows what each topic holds, and for how long no record in the client was acknowledged. Topics that are gone lose
    /// their series.
    pub(super) fn show(&self, topics: &[TopicUsage], unacknowledged: Option<Duration>) {
        let mut shown = self.shown.lock();
        let gone = |topic: &String| !topics.iter().any(|usage| usage.topic == *topic);
        for topic in shown.extract_if(gone) {
            self.remove(&topic);
        }
        for usage in topics {
            self.in_client.show(&[&usage.topic], usage.in_client);
            for (level, waiting) in LEVELS.iter().zip(usage.waiting) {
                self.waiting.show(&[&usage.topic, level.as_str()], waiting);
            }
            if !shown.contains(&usage.topic) {
                shown.insert(usage.topic.clone());
            }
        }
        let oldest = topics.iter().filter_map(|usage| usage.oldest_waiting).chain(unacknowledged).max();
        self.oldest.set(oldest.unwrap_or_default().as_secs_f64());
    }

    fn remove(&self, topic: &str) {
        self.in_client.remove(&[topic]);
        for level in LEVELS {
            self.waiting.remove(&[topic, level.as_str()]);
        }
    }
}

impl Counts {
    fn show(&self, labels: &[&str], usage: Usage) {
        self.records.with_label_values(labels).set(gauge(usage.records));
        self.bytes.with_label_values(labels).set(gauge(usage.bytes));
    }

    fn remove(&self, labels: &[&str]) {
        // An error says that there is no such series.
        drop(self.records.remove_label_values(labels));
        drop(self.bytes.remove_label_values(labels));
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::MetricsConfig;

    fn usage(topic: &str, waiting: u64) -> TopicUsage {
        let count = |records| Usage { records, bytes: 100 * records };
        TopicUsage {
            topic: topic.to_owned(),
            in_client: count(1),
            waiting: [count(0), count(waiting), count(0), count(0)],
            largest_batch: None,
            oldest_waiting: (waiting > 0).then_some(Duration::from_secs(waiting)),
            outage: None,
        }
    }

    #[test]
    fn what_waits_is_shown_by_topic_and_level_and_goes_with_the_topic() {
        let metrics = Metrics::new(&MetricsConfig::default());
        let topics = TopicMetrics::register(&metrics);
        let page = || String::from_utf8(metrics.gather_text()).unwrap();
        topics.show(&[usage("a", 3), usage("b", 0)], Some(Duration::from_secs(2)));
        for line in [
            "kafka_unacknowledged_records{topic=\"a\"} 1\n",
            "kafka_waiting_records{qos_level=\"Medium\",topic=\"a\"} 3\n",
            "kafka_waiting_bytes{qos_level=\"Medium\",topic=\"a\"} 300\n",
            "kafka_waiting_records{qos_level=\"Low\",topic=\"b\"} 0\n",
            "kafka_oldest_record_age_seconds 3\n",
        ] {
            assert!(page().contains(line), "{line} in\n{}", page());
        }
        topics.show(&[usage("b", 0)], Some(Duration::from_secs(2)));
        assert!(!page().contains("topic=\"a\""), "{}", page());
        assert!(page().contains("kafka_oldest_record_age_seconds 2\n"), "{}", page());
        topics.show(&[], None);
        assert!(page().contains("kafka_oldest_record_age_seconds 0\n"), "{}", page());
    }
}
