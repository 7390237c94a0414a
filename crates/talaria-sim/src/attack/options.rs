//! The options of an attack drill.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use talaria_protocol::go::duration::parse_option;

use crate::testbed::TestbedOptions;

/// The gateway with its honest devices, and the attackers.
#[derive(Debug, Clone, Args)]
#[group(id = "attack")]
pub struct Options {
    #[command(flatten)]
    pub(super) testbed: TestbedOptions,

    /// Number of attackers, divided evenly among the kinds of attack
    #[arg(long, default_value_t = 64)]
    pub(super) attackers: usize,

    /// Duration of the measurement without attackers, and then of the attack
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = parse_option)]
    pub(super) lasts: Duration,

    /// Events per second that all honest devices send together
    #[arg(long, default_value_t = 2000.0)]
    pub(super) rate: f64,

    /// Pause of an attacker between two attempts
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = parse_option)]
    pub(super) pause: Duration,

    /// Time that the gateway of --spawn gives a client for the header and for the body of a request
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_option)]
    pub(super) patience: Duration,

    /// Growth of the gateway's memory, in MiB, up to which the drill passes
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    pub(super) may_grow: u64,

    /// Address of the metrics server of a running gateway
    #[arg(long, value_name = "ADDRESS", conflicts_with = "spawn")]
    pub(super) metrics: Option<SocketAddr>,

    /// Allow a gateway on another machine. Attack only gateways that you are permitted to attack
    #[arg(long)]
    pub(super) elsewhere: bool,
}

impl Options {
    /// The file for the results as JSON, if one is given.
    #[must_use]
    pub fn json(&self) -> Option<&Path> {
        self.testbed.json.as_deref()
    }
}
