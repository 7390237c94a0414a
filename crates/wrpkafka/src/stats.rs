//! What the client counts: connections, bytes, batches (contract §10.8).
//!
//! librdkafka's counters belong to one client and one partition; ours are sums over all clients that the publisher has
//! had, and grow only.

use std::collections::HashMap;

use rdkafka::statistics::{Broker, Statistics, Topic};

/// What the publisher's clients have counted since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientStats {
    /// One entry a broker connection: real nodes by their id, configured brokers as `seed_<index>`.
    pub nodes: Vec<NodeStats>,
    /// One entry a topic and node.
    pub topics: Vec<TopicStats>,
}

/// The traffic with one broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStats {
    /// The label `node_id`: `1`, or `seed_0` for the first configured broker before it has told its id.
    pub node_id: String,
    /// Connections that were opened.
    pub connects: u64,
    /// Connections that could not be opened.
    pub connect_errors: u64,
    /// Connections that ended.
    pub disconnects: u64,
    /// Bytes of requests.
    pub write_bytes: u64,
    /// Requests that could not be sent.
    pub write_errors: u64,
    /// Bytes of answers.
    pub read_bytes: u64,
    /// Answers that could not be read.
    pub read_errors: u64,
    /// Requests that were sent again.
    pub retries: u64,
}

/// What was produced to one topic through one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicStats {
    /// The label `topic`.
    pub topic: String,
    /// The label `node_id`.
    pub node_id: String,
    /// Records in the requests.
    pub produced_records: u64,
    /// Their bytes.
    pub produced_bytes: u64,
    /// Batches of records; where a topic has several nodes, its batches are divided as its records are.
    pub produced_batches: u64,
}

/// Adds up what the clients report.
#[derive(Debug, Default)]
pub(crate) struct Accumulator {
    total: ClientStats,
    clients: HashMap<u64, Told>,
}

/// The latest report of a client, from which the next one's growth is told.
#[derive(Debug, Default)]
struct Told {
    /// How many reports there were.
    reports: u64,
    brokers: HashMap<String, Broker>,
    partitions: HashMap<(String, i32), (u64, u64)>,
    /// Connections that failed since then, by node: the report counts them among the opened ones.
    failed: HashMap<String, u64>,
}

impl Accumulator {
    /// Takes a client's report; `seeds` are the configured brokers.
    pub(crate) fn add(&mut self, client: u64, report: &Statistics, seeds: &[String]) -> &ClientStats {
        let Accumulator { total, clients } = self;
        let told = clients.entry(client).or_default();
        told.reports += 1;
        for (name, broker) in &report.brokers {
            // The client's own pseudo connections are none.
            if broker.source == "internal" || broker.source == "logical" {
                continue;
            }
            let before = told.brokers.insert(name.clone(), broker.clone()).unwrap_or_default();
            let node_id = node_id(broker, seeds);
            let failed = told.failed.remove(&node_id).unwrap_or_default();
            let node = total.node(&node_id);
            let grown = |now: Option<i64>, before: Option<i64>| {
                u64::try_from(now.unwrap_or_default() - before.unwrap_or_default()).unwrap_or_default()
            };
            node.connects += grown(broker.connects, before.connects).saturating_sub(failed);
            node.connect_errors += failed;
            node.disconnects += grown(broker.disconnects, before.disconnects);
            node.write_bytes += broker.txbytes.saturating_sub(before.txbytes);
            node.write_errors += broker.txerrs.saturating_sub(before.txerrs);
            node.read_bytes += broker.rxbytes.saturating_sub(before.rxbytes);
            node.read_errors += broker.rxerrs.saturating_sub(before.rxerrs);
            node.retries += broker.txretries.saturating_sub(before.txretries);
        }
        for topic in report.topics.values() {
            told.add_topic(topic, total);
        }
        &self.total
    }

    /// Notes a connection that could not be opened, for the client's next report.
    pub(crate) fn connect_error(&mut self, client: u64, broker: &str, seeds: &[String]) {
        let (address, id) = broker.rsplit_once('/').unwrap_or((broker, "bootstrap"));
        let address = address.split_once("://").map_or(address, |(_, address)| address);
        let node_id = if id.parse::<i32>().is_ok() { id.to_owned() } else { seed(address, seeds) };
        *self.clients.entry(client).or_default().failed.entry(node_id).or_default() += 1;
    }

    /// How many reports a client has given.
    pub(crate) fn reports(&self, client: u64) -> u64 {
        self.clients.get(&client).map_or(0, |told| told.reports)
    }

    /// A client will report no more.
    pub(crate) fn forget(&mut self, client: u64) {
        self.clients.remove(&client);
    }

    /// What was counted up to the latest report.
    pub(crate) fn snapshot(&self) -> ClientStats {
        self.total.clone()
    }
}

impl Told {
    fn add_topic(&mut self, topic: &Topic, total: &mut ClientStats) {
        let mut by_node: HashMap<String, (u64, u64)> = HashMap::new();
        for partition in topic.partitions.values().filter(|partition| partition.leader >= 0) {
            let key = (topic.topic.clone(), partition.partition);
            let now = (partition.txmsgs, partition.txbytes);
            let before = self.partitions.insert(key, now).unwrap_or_default();
            let grown = by_node.entry(partition.leader.to_string()).or_default();
            grown.0 += now.0.saturating_sub(before.0);
            grown.1 += now.1.saturating_sub(before.1);
        }
        let records: u64 = by_node.values().map(|grown| grown.0).sum();
        // The window counts the batches since the previous report.
        let batches = u64::try_from(topic.batchcnt.cnt).unwrap_or_default();
        for (node_id, grown) in by_node.into_iter().filter(|(_, grown)| grown.0 > 0) {
            let entry = total.topic(&topic.topic, &node_id);
            entry.produced_records += grown.0;
            entry.produced_bytes += grown.1;
            entry.produced_batches += (batches * grown.0).div_ceil(records.max(1));
        }
    }
}

fn node_id(broker: &Broker, seeds: &[String]) -> String {
    if broker.nodeid >= 0 { broker.nodeid.to_string() } else { seed(&broker.nodename, seeds) }
}

fn seed(address: &str, seeds: &[String]) -> String {
    let same = |seed: &String| address == seed || address.strip_suffix(":9092") == Some(seed);
    format!("seed_{}", seeds.iter().position(same).unwrap_or_default())
}

impl ClientStats {
    fn node(&mut self, node_id: &str) -> &mut NodeStats {
        let found = self.nodes.iter().position(|node| node.node_id == node_id);
        let at = found.unwrap_or_else(|| {
            self.nodes.push(NodeStats { node_id: node_id.to_owned(), ..NodeStats::default() });
            self.nodes.len() - 1
        });
        &mut self.nodes[at]
    }

    fn topic(&mut self, topic: &str, node_id: &str) -> &mut TopicStats {
        let found = self.topics.iter().position(|entry| entry.topic == topic && entry.node_id == node_id);
        let at = found.unwrap_or_else(|| {
            let (topic, node_id) = (topic.to_owned(), node_id.to_owned());
            self.topics.push(TopicStats { topic, node_id, ..TopicStats::default() });
            self.topics.len() - 1
        });
        &mut self.topics[at]
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Partition;

    use super::*;

    fn report(connects: i64, records: u64, leader: i32, batches: i64) -> Statistics {
        let broker = Broker {
            nodeid: -1,
            nodename: "b:9092".to_owned(),
            source: "configured".to_owned(),
            connects: Some(connects),
            txbytes: 10,
            ..Broker::default()
        };
        let partition = Partition { leader, txmsgs: records, txbytes: records * 100, ..Partition::default() };
        let mut topic = Topic { topic: "t".to_owned(), ..Topic::default() };
        topic.batchcnt.cnt = batches;
        topic.partitions.insert(0, partition);
        Statistics {
            brokers: HashMap::from([("b:9092/bootstrap".to_owned(), broker)]),
            topics: HashMap::from([("t".to_owned(), topic)]),
            ..Statistics::default()
        }
    }

    #[test]
    fn counters_grow_over_leader_changes_and_clients() {
        let seeds = ["a:1".to_owned(), "b".to_owned()];
        let mut sum = Accumulator::default();
        sum.add(0, &report(1, 5, 1, 2), &seeds);
        sum.add(1, &report(1, 4, 2, 4), &seeds);
        sum.add(0, &report(2, 8, 2, 1), &seeds);
        assert_eq!((sum.reports(0), sum.reports(1), sum.reports(2)), (2, 1, 0));
        sum.forget(0);
        let stats = sum.snapshot();
        assert_eq!(stats.nodes.len(), 1);
        assert_eq!((stats.nodes[0].node_id.as_str(), stats.nodes[0].connects), ("seed_1", 3));
        assert_eq!(stats.nodes[0].write_bytes, 20);
        let topics: Vec<_> = stats
            .topics
            .iter()
            .map(|t| (t.node_id.as_str(), t.produced_records, t.produced_bytes, t.produced_batches))
            .collect();
        assert_eq!(topics, [("1", 5, 500, 2), ("2", 7, 700, 5)]);
    }

    #[test]
    fn a_failed_connection_is_not_counted_as_an_opened_one() {
        let seeds = ["b:9092".to_owned()];
        let mut sum = Accumulator::default();
        sum.connect_error(0, "ssl://b:9092/bootstrap", &seeds);
        assert_eq!(sum.snapshot().nodes.len(), 0, "told with the next report");
        sum.add(0, &report(3, 0, 1, 0), &seeds);
        let stats = sum.snapshot();
        assert_eq!((stats.nodes[0].connects, stats.nodes[0].connect_errors), (2, 1));
    }
}
