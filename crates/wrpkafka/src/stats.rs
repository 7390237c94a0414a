//! What the publisher's clients have counted (connections, bytes, batches; contract §10.8), and what each topic holds now.
//!
//! These are only the figures; `engine/statistics.rs` adds up the counts of all clients that the publisher has had, and the
//! engine's backlog knows what topics hold.

use std::time::Duration;

use crate::error::PublishError;

/// What the publisher's clients have counted since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientStats {
    /// One entry a broker connection: real nodes by their id, configured brokers as `seed_<index>`.
    pub nodes: Vec<NodeStats>,
    /// One entry a topic and node.
    pub topics: Vec<TopicStats>,
    /// How often a client has begun another producer epoch, in which it numbers its records anew: of those that were under way
    /// then, brokers may have some twice (contract §8.9).
    pub producer_epochs: u64,
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
    /// Bytes of these batches as they were sent, compressed and with the headers of batches; divided as the bytes of records are.
    pub compressed_bytes: u64,
}

/// What a topic holds at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicUsage {
    /// The topic's name.
    pub topic: String,
    /// Records in the client, not yet acknowledged.
    pub in_client: Usage,
    /// Records that wait in front of the client, by level: low, medium, high, critical.
    pub waiting: [Usage; 4],
    /// For how long the oldest record that waits has been there.
    pub oldest_waiting: Option<Duration>,
    /// The largest batch that the topic takes (`max.message.bytes`), if the brokers have said so.
    pub largest_batch: Option<usize>,
    /// Why the topic cannot be written to, if that is so.
    pub outage: Option<TopicOutage>,
}

/// Why a topic cannot be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicOutage {
    /// The error of the record that came back last.
    pub error: PublishError,
    /// For how long that has been so.
    pub lasted: Duration,
}

/// Records and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What [`Publisher::stop`](crate::Publisher::stop) leaves behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Records that were neither acknowledged nor refused in time. Their receipts say so. Some of them may have been
    /// written: those that a broker had not acknowledged yet.
    pub undelivered: u64,
    /// Records that failed while the stop waited: refused by a broker, or too late. Their receipts say so.
    pub failed: u64,
}
