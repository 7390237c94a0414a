//! Starts a real Apache Kafka, one broker or a cluster, a real schema registry and a real ZooKeeper. For tests only.
//!
//! `scripts/kafka`, `scripts/registry` and `scripts/zookeeper` do the work, with Java and Maven; this crate calls them and reads
//! their output. If Java or Maven is missing, [`Setup::start`], [`Registry::start`] and [`ZooKeeper::start`] print `SKIPPED` and
//! return `None`; with `TALARIA_REQUIRE_KAFKA=1` they panic instead.
//!
//! All functions block, and panic if they fail: call them from the body of a test. Servers that were started end with this
//! process, even if it is killed. Tests that need speed and not truth use `wrpkafka::mock` instead.

#![expect(clippy::expect_used, clippy::panic, reason = "only tests call this, and they fail by panicking")]

mod kafka;
mod record;
mod registry;
mod script;
mod zookeeper;

pub use kafka::{Kafka, Setup};
pub use record::{Counts, Record};
pub use registry::{Format, FramedRecord, Registry};
pub use zookeeper::ZooKeeper;
