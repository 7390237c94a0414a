//! The options of the calculator, with the assumptions that are their defaults.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use talaria_protocol::go::duration::parse_option;

use super::costs::{Connection, Costs};
use super::measured::{Measured, MeasuredError};
use super::plan::{FarEnds, Fleet, Host, Inputs, Sites};
use super::units::{Bytes, Count, Factor, PerDay, PerSecond, Share};

/// A fleet, the hosts of its gateways, and what differs from the measured costs.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(id = "size")]
pub struct Options {
    /// Number of devices that are connected at the same time, such as 30e6
    #[arg(long)]
    devices: Count,

    /// Events that a device sends in a day
    #[arg(long, value_name = "NUMBER", default_value = "100")]
    events_per_day: PerDay,

    /// Share of the events with QoS 25 and above, which are acknowledged
    #[arg(long, value_name = "PERCENT", default_value = "50%")]
    qos_share: Share,

    /// Size of an event
    #[arg(long, value_name = "SIZE", default_value = "350B")]
    event_size: Bytes,

    /// Requests to a device in a day
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    requests_per_day: PerDay,

    /// How often a device connects again in a day, while no gateway fails
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    connects_per_day: PerDay,

    /// Time between two pings to a device, `pingPeriod` of the configuration; 0s: no pings
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = parse_option)]
    ping_period: Duration,

    /// Devices connect over TLS
    #[arg(long)]
    tls: bool,

    /// Events, requests and connects at the busiest time, as a multiple of their mean over the day
    #[arg(long, value_name = "FACTOR", default_value = "3")]
    peak: Factor,

    /// Cores of a gateway
    #[arg(long, default_value = "4")]
    cores: Count,

    /// How much of these cores is used at the peak; the rest is for failures, renewed certificates, and bursts
    #[arg(long, value_name = "PERCENT", default_value = "60%")]
    cpu_share: Share,

    /// Memory of a gateway, with what the kernel uses for its connections
    #[arg(long, value_name = "SIZE", default_value = "16GiB")]
    memory_per_gateway: Bytes,

    /// What of this memory is not for devices; the default is what the gateway's queues may hold in all when everything fails
    #[arg(long, value_name = "SIZE", default_value = "2.5GiB")]
    reserved_memory: Bytes,

    /// Files that a gateway may open, `LimitNOFILE` of the unit
    #[arg(long, value_name = "NUMBER", default_value = "1048576")]
    open_files: Count,

    /// Number of sites, of which any one may fail; with one site, one gateway may fail
    #[arg(long, default_value = "3")]
    sites: Count,

    /// Gateways of each site beyond those that are needed, for upgrades and failures
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    spare: u64,

    /// Number of HTTP receivers that get each event
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1000))]
    receivers: u64,

    /// How long a receiver takes to answer
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = parse_option)]
    receiver_latency: Duration,

    /// Records per second that the reader of one partition handles
    #[arg(long, value_name = "NUMBER", default_value = "2000")]
    partition_rate: PerSecond,

    /// Take the costs from this file, which `talaria-sim bench --all --json FILE` has written, instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    measured: Option<PathBuf>,

    #[command(flatten)]
    costs: CostOptions,
}

/// Single costs of another machine. By default those of `--measured`, or of docs/scaling.md.
#[derive(Debug, Clone, Copy, PartialEq, Args)]
struct CostOptions {
    /// CPU of an event with its ack
    #[arg(long, value_name = "TIME", value_parser = parse_option)]
    event_cost: Option<Duration>,

    /// CPU of an event without an ack
    #[arg(long, value_name = "TIME", value_parser = parse_option)]
    event_without_ack_cost: Option<Duration>,

    /// CPU of a request and its answer
    #[arg(long, value_name = "TIME", value_parser = parse_option)]
    request_cost: Option<Duration>,

    /// CPU of a ping and its pong
    #[arg(long, value_name = "TIME", value_parser = parse_option)]
    ping_cost: Option<Duration>,

    /// CPU of a connect, with its online event
    #[arg(long, value_name = "TIME", value_parser = parse_option)]
    connect_cost: Option<Duration>,

    /// CPU of a connect that resumes its TLS session
    #[arg(long, value_name = "TIME", value_parser = parse_option)]
    resumed_connect_cost: Option<Duration>,

    /// Memory of an idle device in the gateway's process
    #[arg(long, value_name = "SIZE")]
    device_memory: Option<Bytes>,

    /// Memory of an idle device in the kernel
    #[arg(long, value_name = "SIZE")]
    kernel_memory: Option<Bytes>,
}

impl CostOptions {
    fn or(self, measured: Costs) -> Costs {
        Costs {
            event: self.event_cost.unwrap_or(measured.event),
            event_without_ack: self.event_without_ack_cost.unwrap_or(measured.event_without_ack),
            request: self.request_cost.unwrap_or(measured.request),
            ping: self.ping_cost.unwrap_or(measured.ping),
            connect: self.connect_cost.unwrap_or(measured.connect),
            resumed_connect: self.resumed_connect_cost.unwrap_or(measured.resumed_connect),
            device: self.device_memory.unwrap_or(measured.device),
            kernel: self.kernel_memory.unwrap_or(measured.kernel),
        }
    }
}

impl Options {
    /// The file with costs, read, if there is one.
    ///
    /// # Errors
    /// If it cannot be read, or was not measured by this version of the tool.
    pub fn measured(&self) -> Result<Option<Measured>, MeasuredError> {
        self.measured.as_deref().map(Measured::read).transpose()
    }

    /// What a plan is made of, with these costs or, without them, with the built-in ones.
    ///
    /// # Errors
    /// If the measured costs are not complete.
    pub fn inputs(&self, measured: Option<&Measured>) -> Result<Inputs, MeasuredError> {
        let connection = if self.tls { Connection::Tls } else { Connection::Plain };
        let costs = match measured {
            Some(measured) => measured.costs(connection)?,
            None => Costs::measured(connection),
        };
        Ok(Inputs {
            fleet: Fleet {
                devices: self.devices,
                connection,
                events: self.events_per_day,
                acknowledged: self.qos_share,
                event_size: self.event_size,
                requests: self.requests_per_day,
                connects: self.connects_per_day,
                ping_period: self.ping_period,
                peak: self.peak,
            },
            host: Host {
                cores: self.cores,
                used: self.cpu_share,
                memory: self.memory_per_gateway,
                reserved: self.reserved_memory,
                open_files: self.open_files,
            },
            sites: Sites { sites: self.sites, spare: self.spare },
            far_ends: FarEnds {
                receivers: self.receivers,
                latency: self.receiver_latency,
                partition_rate: self.partition_rate,
            },
            costs: self.costs.or(costs),
        })
    }
}
