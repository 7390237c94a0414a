//! The integration tests of `talaria-sim`, as one binary.
//!
//! The simulator is tested against programs that do not use its code: tungstenite's WebSocket server, librdkafka's mock cluster,
//! and a small gateway with known faults, which is in `support`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the tests' helpers fail the test")]

mod bench;
mod command_line;
mod fleet;
mod kafka;
mod load;
mod receiver;
mod scaling;
mod support;
