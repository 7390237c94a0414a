//! What a benchmark is told to do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::requests::Api;
use crate::access::Access;
use crate::fleet::Target;
use crate::traffic::QosMix;

/// What to drive, and how hard. Without `--spawn`, give the addresses and the process id of a running gateway whose
/// event endpoint is `--receiver-listen` and whose brokers are `--kafka`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Start this gateway, with Kafka and a receiver in memory, and measure it: nothing else is needed
    #[arg(long, value_name = "PATH", conflicts_with_all = ["device", "api", "pid", "receiver_listen", "kafka"])]
    pub spawn: Option<PathBuf>,

    /// Have the gateway that is started speak TLS, with certificates made for this run
    #[arg(long, requires = "spawn", conflicts_with_all = ["ca", "insecure"])]
    pub tls: bool,

    /// Whom to believe and what to show
    #[command(flatten)]
    pub access: Access,

    /// The gateway's device endpoint
    #[arg(long, value_name = "ws[s]://HOST:PORT/PATH", required_unless_present = "spawn")]
    pub device: Option<Target>,

    /// The gateway's REST API; without it no requests are sent
    #[arg(long, value_name = "http[s]://HOST:PORT")]
    pub api: Option<Api>,

    /// The API's basic authentication
    #[arg(long, value_name = "USER:PASSWORD", default_value = "sim:sim", hide_default_value = true)]
    pub auth: String,

    /// The gateway's process id
    #[arg(long, required_unless_present = "spawn")]
    pub pid: Option<u32>,

    /// Receive events by HTTP here
    #[arg(long, value_name = "ADDRESS")]
    pub receiver_listen: Option<SocketAddr>,

    /// Read events from Kafka at these brokers
    #[arg(long, value_name = "HOST:PORT,...")]
    pub kafka: Option<String>,

    /// The topic to read
    #[arg(long, default_value = "wrp-events")]
    pub topic: String,

    /// How many devices connect
    #[arg(long, default_value_t = 10_000)]
    pub devices: usize,

    /// How many devices may be connecting at a time
    #[arg(long, default_value_t = 64)]
    pub connecting: usize,

    /// How many events the devices send
    #[arg(long, default_value_t = 100_000)]
    pub events: u64,

    /// The length of an event in bytes
    #[arg(long, default_value_t = 350)]
    pub size: usize,

    /// How many events may be on their way at a time
    #[arg(long, default_value_t = 500)]
    pub window: usize,

    /// The QoS of the events, 0 to 99, or `mix` for all levels in turn
    #[arg(long, default_value_t = QosMix::Fixed(50))]
    pub qos: QosMix,

    /// How many requests go through the API to the devices
    #[arg(long, default_value_t = 10_000)]
    pub requests: u64,

    /// How many requests may be on their way at a time
    #[arg(long, default_value_t = 32)]
    pub requesting: usize,

    /// Seconds after which an event or a request that has not arrived is given up
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub give_up: Duration,

    /// Seconds that the gateway's memory may take to stop changing before it is read
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub settle: Duration,

    /// Write the results as JSON to this file and the table to stdout, instead of JSON to stdout and the table to
    /// stderr
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("`{text}` is not a number of seconds"))
}
