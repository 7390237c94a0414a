//! What a client has counted since it was created. The sums over all clients are the engine's (`engine/statistics.rs`).

/// One report. Counters only grow, except for [`TopicCounters::batches`] and [`TopicCounters::batch_bytes`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientReport {
    /// Whether a connection to a broker is open, beyond the first contact.
    pub(crate) is_connected: bool,
    /// As whom it writes; none before brokers have told it, and without idempotence.
    pub(crate) producer: Option<ProducerEpoch>,
    pub(crate) brokers: Vec<BrokerCounters>,
    pub(crate) topics: Vec<TopicCounters>,
}

/// By which brokers tell records that are sent again: those of one epoch have numbers, and brokers know a number that they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerEpoch {
    pub(crate) id: i64,
    /// Begins at 0 with each id.
    pub(crate) epoch: u64,
}

/// The traffic of one broker connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BrokerCounters {
    /// The client's own name of the connection, unique within the client.
    pub(crate) name: String,
    /// None until the broker has told its id.
    pub(crate) node_id: Option<i32>,
    /// `host:port`.
    pub(crate) address: String,
    /// Attempts to connect, failed ones included.
    pub(crate) connects: u64,
    pub(crate) disconnects: u64,
    pub(crate) write_bytes: u64,
    pub(crate) write_errors: u64,
    pub(crate) read_bytes: u64,
    pub(crate) read_errors: u64,
    pub(crate) retries: u64,
}

/// What was produced to one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TopicCounters {
    pub(crate) topic: String,
    /// Batches since the previous report.
    pub(crate) batches: u64,
    /// Bytes of these batches as they are sent: compressed, with their headers.
    pub(crate) batch_bytes: u64,
    pub(crate) partitions: Vec<PartitionCounters>,
}

/// What was produced to one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PartitionCounters {
    pub(crate) partition: i32,
    /// The id of the node that leads the partition now.
    pub(crate) leader: i32,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}
