//! The options of the benchmark.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use talaria_protocol::go::duration::parse_option;

use crate::testbed::TestbedOptions;

/// The gateway and its load, and how much of it is measured.
#[derive(Debug, Clone, Args)]
#[group(id = "bench")]
pub struct Options {
    #[command(flatten)]
    pub(super) testbed: TestbedOptions,

    /// Number of events that the devices send
    #[arg(long, default_value_t = 100_000)]
    pub(super) events: u64,

    /// Number of events in flight at the same time
    #[arg(long, default_value_t = 500)]
    pub(super) window: usize,

    /// Number of requests that go through the API to the devices
    #[arg(long, default_value_t = 10_000)]
    pub(super) requests: u64,

    /// Number of requests in flight at the same time
    #[arg(long, default_value_t = 32)]
    pub(super) requesting: usize,

    /// Wait at most this time for the gateway's memory to stop changing before it is read
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_option)]
    pub(super) settle: Duration,
}

impl Options {
    /// The file for the results as JSON, if one is given.
    #[must_use]
    pub fn json(&self) -> Option<&Path> {
        self.testbed.json.as_deref()
    }
}
