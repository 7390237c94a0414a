//! A publisher's configuration: what may be written, parsed into enums, numbers and durations.
//!
//! The lowest layer: it imports no other. It neither checks whether settings fit together, which is
//! `compile`'s task, nor opens files, which is the client's. Start reading at [`Config`]; names that a
//! setting accepts are listed beside its enum.

mod choice;
mod client_property;
mod dynamic;
mod fault;
mod filter;
mod registry;
mod route;
mod security;

use std::time::Duration;

pub use choice::UnknownNameError;
pub use client_property::CLIENT_PROPERTIES;
pub use dynamic::{Acks, Compression, DynamicConfig};
pub use fault::{ConfigError, Fault};
pub use filter::{Filter, Number, Relation, Rule, Test};
pub use registry::{SchemaFormat, SchemaRegistry, SubjectStrategy, WhenDown};
pub use route::{HashKey, Route, ShardStrategy};
pub use security::{OAuth2, Sasl, SaslMechanism, Secret, Tls};

/// The topic of a publisher whose configuration has no routes (contract §14.1).
pub(crate) const DEFAULT_TOPIC: &str = "wrp-events";

/// A publisher's configuration. [`Config::default`] holds every default of contract §8.1, so that setting
/// [`brokers`](Config::brokers) is enough: then every message goes to the topic `wrp-events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The brokers to learn the cluster from, each `host` or `host:port` (9092 without a port).
    pub brokers: Vec<String>,
    /// Whether the first record for a topic that does not exist creates it, if the brokers allow that (false).
    pub allow_auto_topic_creation: bool,
    /// The most records that the client holds, sent or not (10000).
    pub max_buffered_records: u64,
    /// The most bytes (keys, values and headers) that the client holds (100 MiB).
    pub max_buffered_bytes: u64,
    /// The bounds of the records that wait for room in the client's buffer.
    pub waiting: WaitingLimit,
    /// Without effect (3). The reference's configuration has it; librdkafka has no such setting, and retries requests
    /// that carry no records for as long as it needs their answers.
    pub max_request_retries: u64,
    /// How often a record of low QoS is sent again when its client had to be replaced, and how often a topic that cannot be
    /// written to is tried again before its records of low QoS are given up (3). Records of QoS 25 and above are sent again
    /// for as long as their delivery timeout allows.
    pub max_record_retries: u64,
    /// How long a broker may take to answer a request (30 s).
    pub request_timeout: Duration,
    /// How long a record may take from the call to the broker's acknowledgement; zero, the default, means no limit.
    pub record_delivery_timeout: Duration,
    /// Whether a record without a key is an error instead of going to any partition (false).
    pub deny_nil_partition_key: bool,
    /// Transport security.
    pub tls: Tls,
    /// Authentication.
    pub sasl: Sasl,
    /// How often the client's statistics are updated (5 s); zero: never.
    pub statistics_interval: Duration,
    /// How often certificates, keys and the password's file are checked for changes (5 s); zero: never.
    pub file_check_interval: Duration,
    /// The registry of the record values' schemas; none by default.
    pub schema_registry: SchemaRegistry,
    /// The topic of records that can never be delivered; none by default.
    pub dead_letter: DeadLetter,
    /// Properties of librdkafka by their names in its `CONFIGURATION.md`, such as `client.rack`: those of
    /// [`CLIENT_PROPERTIES`]. librdkafka checks the values when a client is built. None by default.
    pub client_properties: Vec<(String, String)>,
    /// What may change while the publisher runs.
    pub dynamic: DynamicConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            allow_auto_topic_creation: false,
            max_buffered_records: 10_000,
            max_buffered_bytes: 104_857_600,
            waiting: WaitingLimit::default(),
            max_request_retries: 3,
            max_record_retries: 3,
            request_timeout: Duration::from_secs(30),
            record_delivery_timeout: Duration::ZERO,
            deny_nil_partition_key: false,
            tls: Tls::default(),
            sasl: Sasl::default(),
            statistics_interval: Duration::from_secs(5),
            file_check_interval: Duration::from_secs(5),
            schema_registry: SchemaRegistry::default(),
            dead_letter: DeadLetter::default(),
            client_properties: Vec::new(),
            dynamic: DynamicConfig::default(),
        }
    }
}

/// The bounds of the records of QoS 25 and above that wait because the client's buffer is full. When they are reached,
/// the waiting record of the lowest QoS level is dropped, and of those the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingLimit {
    /// The most records that may wait (200000).
    pub records: u64,
    /// The most bytes that may wait (256 MiB): records, and 256 bytes each for what goes with them.
    pub bytes: u64,
}

impl Default for WaitingLimit {
    fn default() -> Self {
        Self { records: 200_000, bytes: 256 << 20 }
    }
}

/// Where records go that can never be delivered (`deadLetter`). Without a topic they are counted and logged only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic; empty: none. It should exist, with a `max.message.bytes` no smaller than that of the other topics.
    pub topic: String,
}
