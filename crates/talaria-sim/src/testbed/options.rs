//! The options that `bench` and `attack` share: which gateway, which far ends, which devices and events.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use talaria_protocol::go::duration::parse_option;

use super::api::Api;
use crate::access::Access;
use crate::fleet::Target;
use crate::traffic::QosMix;

/// A gateway and its load. Without `--spawn`, give the addresses and the process id of a running gateway that sends its events
/// to `--receiver-listen` and to the brokers of `--kafka`.
#[derive(Debug, Clone, Args)]
#[group(id = "testbed")]
pub struct TestbedOptions {
    /// Start this gateway program, with a Kafka cluster and an event receiver in memory; no address is needed then
    #[arg(long, value_name = "PATH", conflicts_with_all = ["device", "api", "pid", "receiver_listen", "kafka"])]
    pub(crate) spawn: Option<PathBuf>,

    /// What stands before the program of --spawn on its command line: a tool that watches it, which makes it much slower
    #[arg(skip)]
    pub(crate) prefix: Vec<OsString>,

    /// Let the gateway of --spawn use TLS, with certificates that are made for this run
    #[arg(long, requires = "spawn", conflicts_with_all = ["ca", "insecure"])]
    pub(crate) tls: bool,

    #[command(flatten)]
    pub(crate) access: Access,

    /// The device endpoint of a running gateway
    #[arg(long, value_name = "ws[s]://HOST:PORT/PATH", required_unless_present = "spawn")]
    pub(crate) device: Option<Target>,

    /// The REST API of a running gateway; `bench` sends no requests without it
    #[arg(long, value_name = "http[s]://HOST:PORT")]
    pub(crate) api: Option<Api>,

    /// User and password for the REST API
    #[arg(long, value_name = "USER:PASSWORD", default_value = "sim:sim", hide_default_value = true)]
    pub(crate) auth: String,

    /// The process id of a running gateway
    #[arg(long, required_unless_present = "spawn")]
    pub(crate) pid: Option<u32>,

    /// Receive events by HTTP at this address, to which a running gateway must send them
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) receiver_listen: Option<SocketAddr>,

    /// Read events from Kafka at these brokers, to which a running gateway must publish them
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) kafka: Option<String>,

    /// The Kafka topic of the events
    #[arg(long, default_value = "wrp-events")]
    pub(crate) topic: String,

    /// Number of devices
    #[arg(long, default_value_t = 10_000)]
    pub(crate) devices: usize,

    /// Number of devices that connect at the same time
    #[arg(long, default_value_t = 64)]
    pub(crate) connecting: usize,

    /// Length of an event in bytes
    #[arg(long, default_value_t = 350)]
    pub(crate) size: usize,

    /// QoS of the events, 0 to 99, or `mix` for one of each level in turn
    #[arg(long, default_value_t = QosMix::Fixed(50))]
    pub(crate) qos: QosMix,

    /// Count an event or a request as lost if it has not arrived after this time
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_option)]
    pub(crate) give_up: Duration,

    /// Write the results as JSON to this file and the table to stdout; otherwise the JSON goes to stdout and the table to
    /// stderr
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
