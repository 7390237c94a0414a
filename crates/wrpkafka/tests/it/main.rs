//! The integration tests of the publisher, as one binary: librdkafka's mock cluster, a registry inside the process, servers
//! that speak TLS, and, where there is Java, a real Apache Kafka and a real registry.
//!
//! Each module tests one part through the public interface. `support` has what they share. The modules `real_*` start
//! processes and measure under load, so they run one after the other; the others may run beside them.

#![expect(
    clippy::disallowed_methods,
    reason = "real brokers and threads do not know a paused clock; drills are sized by variables"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the tests' helpers fail the test"
)]
#![expect(clippy::print_stdout, reason = "the long tests show what they did and counted")]

mod connection_problems;
mod dead_letter;
mod filters;
mod live_config;
mod mock_cluster;
mod real_cluster;
mod real_registry;
mod real_security;
mod real_tokens;
mod real_topics;
mod schema_registry;
mod support;
mod vectors_partitions;
mod waiting_memory;
