//! A real Apache Kafka, one broker or a cluster, and a real schema registry, for tests only.
//!
//! `scripts/kafka` and `scripts/registry` do the work, with Java and Maven. Where these are missing, [`Setup::start`] and
//! [`Registry::start`] say `SKIPPED` and return none; with `TALARIA_REQUIRE_KAFKA=1` they panic instead.
//!
//! Everything here blocks, and panics when it fails: it is for a test's own body. What was started ends with the process, however
//! that ends.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "for tests, which say what they expected by panicking"
)]

mod kafka;
mod record;
mod registry;
mod script;

pub use kafka::{Kafka, Setup};
pub use record::{Counts, Record};
pub use registry::{Format, FramedRecord, Registry};
