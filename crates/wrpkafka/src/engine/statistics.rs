//! Sums over all clients that the publisher has had.
//!
//! A client's counters start at zero with each client and belong to one partition; ours only grow, and belong to a node
//! (contract §10.8).

use std::collections::HashMap;

use crate::client::report::{BrokerCounters, ClientReport, ProducerEpoch, TopicCounters};
use crate::stats::{ClientStats, NodeStats, TopicStats};

/// Adds up what the clients report.
#[derive(Debug)]
pub(super) struct Statistics {
    /// The configured brokers: a node that has not told its id is named by its place among them.
    seeds: Box<[String]>,
    total: ClientStats,
    clients: HashMap<u64, LastReport>,
}

/// What a client had counted by its latest report: the next one is added as the difference.
#[derive(Debug, Default)]
struct LastReport {
    /// How many reports there were.
    reports: u64,
    producer: Option<ProducerEpoch>,
    brokers: HashMap<String, BrokerCounters>,
    /// Records and bytes, by topic and partition.
    partitions: HashMap<(String, i32), (u64, u64)>,
    /// Connections that failed since then, by node: the report counts them among the opened ones.
    failed: HashMap<String, u64>,
}

impl Statistics {
    pub(super) fn new(seeds: impl Iterator<Item = String>) -> Self {
        Self { seeds: seeds.collect(), total: ClientStats::default(), clients: HashMap::new() }
    }

    /// Adds a client's report.
    pub(super) fn add(&mut self, client: u64, report: &ClientReport) {
        let Self { seeds, total, clients } = self;
        let last = clients.entry(client).or_default();
        last.reports += 1;
        total.producer_epochs += last.begun_epochs(report.producer);
        for broker in &report.brokers {
            let before = last.brokers.insert(broker.name.clone(), broker.clone()).unwrap_or_default();
            let node_id = match broker.node_id {
                Some(id) => id.to_string(),
                None => seed(&broker.address, seeds),
            };
            let failed = last.failed.remove(&node_id).unwrap_or_default();
            let node = node_of(total, &node_id);
            node.connects += broker.connects.saturating_sub(before.connects).saturating_sub(failed);
            node.connect_errors += failed;
            node.disconnects += broker.disconnects.saturating_sub(before.disconnects);
            node.write_bytes += broker.write_bytes.saturating_sub(before.write_bytes);
            node.write_errors += broker.write_errors.saturating_sub(before.write_errors);
            node.read_bytes += broker.read_bytes.saturating_sub(before.read_bytes);
            node.read_errors += broker.read_errors.saturating_sub(before.read_errors);
            node.retries += broker.retries.saturating_sub(before.retries);
        }
        for topic in &report.topics {
            last.add_topic(topic, total);
        }
    }

    /// Notes a connection that could not be opened, for the client's next report. `broker` is the client's name of it:
    /// `ssl://host:9092/1`, or `…/bootstrap` before the broker has told its id.
    pub(super) fn connection_not_opened(&mut self, client: u64, broker: &str) {
        let (address, id) = broker.rsplit_once('/').unwrap_or((broker, "bootstrap"));
        let address = address.split_once("://").map_or(address, |(_, address)| address);
        let node_id = if id.parse::<i32>().is_ok() { id.to_owned() } else { seed(address, &self.seeds) };
        *self.clients.entry(client).or_default().failed.entry(node_id).or_default() += 1;
    }

    /// How many reports a client has given.
    pub(super) fn reports(&self, client: u64) -> u64 {
        self.clients.get(&client).map_or(0, |last| last.reports)
    }

    /// Ends a client's sums: it will report no more.
    pub(super) fn forget(&mut self, client: u64) {
        self.clients.remove(&client);
    }

    /// [`ClientStats::producer_epochs`], as of the latest report.
    pub(super) fn producer_epochs(&self) -> u64 {
        self.total.producer_epochs
    }

    /// The sums as of the latest report.
    pub(super) fn snapshot(&self) -> ClientStats {
        self.total.clone()
    }
}

impl LastReport {
    /// How many epochs it has begun since the last report, beyond its first.
    fn begun_epochs(&mut self, producer: Option<ProducerEpoch>) -> u64 {
        let Some(now) = producer else { return 0 };
        match self.producer.replace(now) {
            Some(before) if before.id == now.id => now.epoch.saturating_sub(before.epoch),
            Some(_) => 1 + now.epoch,
            None => now.epoch,
        }
    }

    fn add_topic(&mut self, topic: &TopicCounters, total: &mut ClientStats) {
        let mut by_node: HashMap<String, (u64, u64)> = HashMap::new();
        for partition in &topic.partitions {
            let key = (topic.topic.clone(), partition.partition);
            let now = (partition.records, partition.bytes);
            let before = self.partitions.insert(key, now).unwrap_or_default();
            let grown = by_node.entry(partition.leader.to_string()).or_default();
            grown.0 += now.0.saturating_sub(before.0);
            grown.1 += now.1.saturating_sub(before.1);
        }
        let (records, bytes) = by_node.values().fold((0, 0), |sum, grown| (sum.0 + grown.0, sum.1 + grown.1));
        for (node_id, grown) in by_node.into_iter().filter(|(_, grown)| grown.0 > 0) {
            let entry = topic_of(total, &topic.topic, &node_id);
            entry.produced_records += grown.0;
            entry.produced_bytes += grown.1;
            entry.produced_batches += share(topic.batches, grown.0, records);
            entry.compressed_bytes += share(topic.batch_bytes, grown.1, bytes);
        }
    }
}

/// What belongs to `part` of `whole`.
fn share(sum: u64, part: u64, whole: u64) -> u64 {
    let share = (u128::from(sum) * u128::from(part)).div_ceil(u128::from(whole.max(1)));
    u64::try_from(share).unwrap_or(sum)
}

fn seed(address: &str, seeds: &[String]) -> String {
    let same = |seed: &String| address == seed || address.strip_suffix(":9092") == Some(seed);
    format!("seed_{}", seeds.iter().position(same).unwrap_or_default())
}

fn node_of<'a>(stats: &'a mut ClientStats, node_id: &str) -> &'a mut NodeStats {
    let found = stats.nodes.iter().position(|node| node.node_id == node_id);
    let at = found.unwrap_or_else(|| {
        stats.nodes.push(NodeStats { node_id: node_id.to_owned(), ..NodeStats::default() });
        stats.nodes.len() - 1
    });
    &mut stats.nodes[at]
}

fn topic_of<'a>(stats: &'a mut ClientStats, topic: &str, node_id: &str) -> &'a mut TopicStats {
    let found = stats.topics.iter().position(|entry| entry.topic == topic && entry.node_id == node_id);
    let at = found.unwrap_or_else(|| {
        let (topic, node_id) = (topic.to_owned(), node_id.to_owned());
        stats.topics.push(TopicStats { topic, node_id, ..TopicStats::default() });
        stats.topics.len() - 1
    });
    &mut stats.topics[at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::report::PartitionCounters;

    fn report(connects: u64, records: u64, leader: i32, batches: u64) -> ClientReport {
        let broker = BrokerCounters {
            name: "b:9092/bootstrap".to_owned(),
            address: "b:9092".to_owned(),
            connects,
            write_bytes: 10,
            ..BrokerCounters::default()
        };
        let partition = PartitionCounters { partition: 0, leader, records, bytes: records * 100 };
        let topic = TopicCounters {
            topic: "t".to_owned(),
            batches,
            batch_bytes: records * 40,
            partitions: vec![partition],
        };
        ClientReport { brokers: vec![broker], topics: vec![topic], ..ClientReport::default() }
    }

    fn statistics(seeds: &[&str]) -> Statistics {
        Statistics::new(seeds.iter().map(|seed| (*seed).to_owned()))
    }

    #[test]
    fn counters_grow_over_leader_changes_and_clients() {
        let mut sum = statistics(&["a:1", "b"]);
        sum.add(0, &report(1, 5, 1, 2));
        sum.add(1, &report(1, 4, 2, 4));
        sum.add(0, &report(2, 8, 2, 1));
        assert_eq!((sum.reports(0), sum.reports(1), sum.reports(2)), (2, 1, 0));
        sum.forget(0);
        let stats = sum.snapshot();
        assert_eq!(stats.nodes.len(), 1);
        assert_eq!((stats.nodes[0].node_id.as_str(), stats.nodes[0].connects), ("seed_1", 3));
        assert_eq!(stats.nodes[0].write_bytes, 20);
        let topics: Vec<_> = stats
            .topics
            .iter()
            .map(|t| {
                let (records, bytes) = (t.produced_records, (t.produced_bytes, t.compressed_bytes));
                (t.node_id.as_str(), records, bytes, t.produced_batches)
            })
            .collect();
        assert_eq!(topics, [("1", 5, (500, 200), 2), ("2", 7, (700, 160 + 320), 5)]);
    }

    #[test]
    fn epochs_are_counted_beyond_the_first_of_each_client() {
        let mut sum = statistics(&[]);
        let mut begun = |client, id, epoch| {
            let producer = Some(ProducerEpoch { id, epoch });
            sum.add(client, &ClientReport { producer, ..ClientReport::default() });
            sum.add(client, &ClientReport::default());
            sum.snapshot().producer_epochs
        };
        assert_eq!((begun(0, 7, 0), begun(1, 8, 0)), (0, 0), "every client has a first one");
        assert_eq!((begun(0, 7, 2), begun(0, 7, 2)), (2, 2));
        assert_eq!(begun(1, 9, 0), 3, "another id");
        assert_eq!(begun(2, 10, 1), 4, "before its first report");
    }

    #[test]
    fn a_failed_connection_is_not_counted_as_an_opened_one() {
        let mut sum = statistics(&["b:9092"]);
        sum.connection_not_opened(0, "ssl://b:9092/bootstrap");
        assert_eq!(sum.snapshot().nodes.len(), 0, "counted with the next report");
        sum.add(0, &report(3, 0, 1, 0));
        let stats = sum.snapshot();
        assert_eq!((stats.nodes[0].connects, stats.nodes[0].connect_errors), (2, 1));
    }
}
