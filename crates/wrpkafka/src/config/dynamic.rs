//! Settings that may change while the publisher runs (`initialDynamicConfig`).

use std::time::Duration;

use super::Route;
use super::choice::choices;

/// What [`Publisher::update_config`](crate::Publisher::update_config) may change (`initialDynamicConfig`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DynamicConfig {
    /// The routes, in order. Without any, every message goes to `wrp-events`.
    pub topic_map: Vec<Route>,
    /// Headers of every record: a name and its values, each a literal or a reference such as `wrp.Source`.
    pub headers: Vec<(String, Vec<String>)>,
    /// How batches are compressed (none).
    pub compression: Compression,
    /// How long a batch waits for more records (0: not at all, or at most 2 ms while more than 1,600 come in a second).
    pub linger: Duration,
    /// The largest batch, and so the largest record, in bytes; zero: the client's 1 MB.
    pub batch_max_bytes: u64,
    /// Which brokers must have a record before it counts as delivered (all).
    pub acks: Acks,
}

/// How the client compresses its batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip, at the client's default level.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard, at the client's default level.
    Zstd,
}

/// Which brokers must have a record before it counts as delivered. Anything but [`All`](Acks::All) turns idempotence
/// off (contract §14.3): after a broker's failure, records may be lost, doubled or reordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Acks {
    /// The leader and all in-sync replicas.
    #[default]
    All,
    /// The partition's leader.
    Leader,
    /// No broker: a record is delivered when it is sent.
    None,
}

choices!(Compression, exact, None = "none", Gzip = "gzip", Snappy = "snappy", Lz4 = "lz4", Zstd = "zstd");
choices!(Acks, exact, All = "all", Leader = "leader", None = "none");
