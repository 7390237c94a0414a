//! What the publisher's clients have counted: connections, bytes, batches (contract §10.8).
//!
//! These are only the figures; `engine/statistics.rs` adds them up over all clients that the publisher has had.

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
