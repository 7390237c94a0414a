//! librdkafka's statistics (its `STATISTICS.md`) as a report of our own.

use rdkafka::statistics::{Broker, ExactlyOnceSemantics, Statistics, Topic};

use crate::client::report::{BrokerCounters, ClientReport, PartitionCounters, ProducerEpoch, TopicCounters};

/// Takes what we count from librdkafka's statistics.
pub(super) fn report(statistics: &Statistics) -> ClientReport {
    let is_connected = statistics.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP");
    // Sources `internal` and `logical` are librdkafka's own and no connections.
    let brokers = statistics
        .brokers
        .iter()
        .filter(|(_, broker)| !matches!(broker.source.as_str(), "internal" | "logical"));
    ClientReport {
        is_connected,
        producer: statistics.eos.as_ref().and_then(producer),
        brokers: brokers.map(|(name, broker)| broker_counters(name, broker)).collect(),
        topics: statistics.topics.values().map(topic_counters).collect(),
    }
}

/// librdkafka has -1 for both before it knows them.
fn producer(semantics: &ExactlyOnceSemantics) -> Option<ProducerEpoch> {
    let epoch = u64::try_from(semantics.producer_epoch).ok()?;
    (semantics.producer_id >= 0).then_some(ProducerEpoch { id: semantics.producer_id, epoch })
}

fn broker_counters(name: &str, broker: &Broker) -> BrokerCounters {
    BrokerCounters {
        name: name.to_owned(),
        node_id: (broker.nodeid >= 0).then_some(broker.nodeid),
        address: broker.nodename.clone(),
        connects: count(broker.connects.unwrap_or_default()),
        disconnects: count(broker.disconnects.unwrap_or_default()),
        write_bytes: broker.txbytes,
        write_errors: broker.txerrs,
        read_bytes: broker.rxbytes,
        read_errors: broker.rxerrs,
        retries: broker.txretries,
    }
}

fn topic_counters(topic: &Topic) -> TopicCounters {
    let led = topic.partitions.values().filter(|partition| partition.leader >= 0);
    TopicCounters {
        topic: topic.topic.clone(),
        batches: count(topic.batchcnt.cnt),
        batch_bytes: count(topic.batchsize.sum),
        partitions: led
            .map(|partition| PartitionCounters {
                partition: partition.partition,
                leader: partition.leader,
                records: partition.txmsgs,
                bytes: partition.txbytes,
            })
            .collect(),
    }
}

fn count(counter: i64) -> u64 {
    u64::try_from(counter).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rdkafka::statistics::Partition;

    use super::*;

    #[test]
    fn only_real_connections_and_led_partitions_are_reported() {
        let broker = |nodeid, source: &str, state: &str| Broker {
            nodeid,
            nodename: "b:9092".to_owned(),
            source: source.to_owned(),
            state: state.to_owned(),
            connects: Some(2),
            txbytes: 10,
            ..Broker::default()
        };
        let mut topic = Topic { topic: "t".to_owned(), ..Topic::default() };
        topic.batchcnt.cnt = 3;
        topic.batchsize.sum = 700;
        for (partition, leader) in [(0, 1), (1, -1)] {
            topic
                .partitions
                .insert(partition, Partition { partition, leader, txmsgs: 5, ..Partition::default() });
        }
        let mut statistics = Statistics {
            brokers: HashMap::from([
                ("b:9092/bootstrap".to_owned(), broker(-1, "configured", "UP")),
                ("GroupCoordinator".to_owned(), broker(-1, "logical", "INIT")),
            ]),
            topics: HashMap::from([("t".to_owned(), topic)]),
            ..Statistics::default()
        };
        let found = report(&statistics);
        assert!(!found.is_connected, "the first contact alone");
        assert_eq!(found.brokers.len(), 1);
        let counters = &found.brokers[0];
        assert_eq!((counters.node_id, counters.connects, counters.write_bytes), (None, 2, 10));
        assert_eq!((found.topics[0].batches, found.topics[0].batch_bytes), (3, 700));
        let led = PartitionCounters { partition: 0, leader: 1, records: 5, bytes: 0 };
        assert_eq!(found.topics[0].partitions, [led]);
        statistics.brokers.insert("b:9092/1".to_owned(), broker(1, "learned", "UP"));
        assert!(report(&statistics).is_connected);
    }
}
