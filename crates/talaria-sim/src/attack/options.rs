//! What an attack is told to do.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::bench;

/// Whom to attack, how hard and how long. The gateway and its honest devices are named as for `bench`; with `--spawn`
/// nothing else is needed.
#[derive(Debug, Clone, Args)]
#[group(id = "attack")]
pub struct Options {
    #[command(flatten)]
    pub(super) bench: bench::Options,

    /// How many attackers there are; each kind of attack has as many, as near as may be
    #[arg(long, default_value_t = 64)]
    pub(super) attackers: usize,

    /// How long the peace before the attack lasts, and then the attack itself
    #[arg(long = "for", value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(super) lasts: Duration,

    /// Events a second that the honest devices send, all together
    #[arg(long, default_value_t = 2000.0)]
    pub(super) rate: f64,

    /// How long an attacker rests between two attempts
    #[arg(long, value_name = "SECONDS", default_value = "0.2", value_parser = seconds)]
    pub(super) pause: Duration,

    /// How long a gateway started with --spawn waits for headers and bodies
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(super) patience: Duration,

    /// How far the gateway's memory may grow, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    pub(super) may_grow: u64,

    /// Where a gateway that runs already tells its metrics
    #[arg(long, value_name = "ADDRESS", conflicts_with = "spawn")]
    pub(super) metrics: Option<SocketAddr>,

    /// Attack a gateway that is not on this machine. Only one that you may attack!
    #[arg(long)]
    pub(super) elsewhere: bool,
}

impl Options {
    /// Where the findings are to be written as JSON.
    #[must_use]
    pub fn json(&self) -> Option<&Path> {
        self.bench.json.as_deref()
    }
}

/// `30` or `30s`.
fn seconds(text: &str) -> Result<Duration, String> {
    text.strip_suffix('s')
        .unwrap_or(text)
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("`{text}` is not a number of seconds"))
}
