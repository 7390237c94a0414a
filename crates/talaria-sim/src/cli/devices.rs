//! The command `devices`: connects a fleet, lets it send events, and prints its counts every second.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use talaria_protocol::go::duration::parse_option;
use talaria_sim::access::Access;
use talaria_sim::fleet::{Backoff, Config, Fleet, Target};
use talaria_sim::ledger::{Ends, Ledger};
use talaria_sim::run::RunId;
use talaria_sim::traffic::{QosMix, Traffic};
use talaria_sim::{process, progress};
use tokio::signal::ctrl_c;
use tokio::time::{interval, sleep};

use super::output::{CommandError, print_error_line, print_line};

/// A time that no run reaches; a timer takes no longer one.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// The time limit for the devices' connections to close at the end.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The gateway's device endpoint
    #[arg(long, value_name = "ws[s]://HOST:PORT/PATH", default_value = "ws://127.0.0.1:8080/api/v2/device")]
    device: Target,

    /// Number of devices
    #[arg(long, default_value_t = 100)]
    devices: usize,

    /// Number of devices that connect at the same time
    #[arg(long, default_value_t = 64)]
    connecting: usize,

    /// Events per second that all devices send together
    #[arg(long, default_value_t = 0.0)]
    rate: f64,

    /// Length of an event in bytes
    #[arg(long, default_value_t = 350)]
    size: usize,

    /// QoS of the events, 0 to 99, or `mix` for one of each level in turn
    #[arg(long, default_value_t = QosMix::Mixed)]
    qos: QosMix,

    /// Add a header to the handshake, such as `Authorization: Bearer …`; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    #[command(flatten)]
    access: Access,

    /// Connect without the header X-Webpa-Convey
    #[arg(long)]
    no_convey: bool,

    /// Do not reconnect when a connection fails or ends
    #[arg(long)]
    no_reconnect: bool,

    /// End after this time; without it, end at Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = parse_option)]
    lasts: Option<Duration>,
}

pub(super) async fn run(options: Options) -> Result<ExitCode, CommandError> {
    let files = process::raise_open_files()?;
    if files < options.devices as u64 + 100 {
        print_error_line(&format_args!(
            "the limit of open files is {files}: not all devices will connect; raise it (ulimit -n)"
        ));
    }
    let ledger = Arc::new(Ledger::new(RunId::random(), Ends::NONE));
    let tls = options.access.tls(options.device.is_tls)?;
    let config = Config {
        target: options.device,
        tls,
        devices: options.devices,
        connecting: options.connecting,
        convey: !options.no_convey,
        headers: [options.headers, options.access.headers()?].concat(),
        reconnect: (!options.no_reconnect).then(Backoff::default),
    };
    let fleet = Arc::new(Fleet::new(config, Arc::clone(&ledger)));
    let bar = progress::bar("connecting", options.devices as u64);
    let connected = fleet.connect(0..options.devices, || bar.inc(1)).await;
    bar.finish_and_clear();
    if let Some(error) = connected.error {
        print_error_line(&format_args!("{} devices did not connect: {error}", connected.failed));
    }
    print_line(&format_args!("run {}, {} devices online", ledger.run(), connected.online))?;

    let traffic = Traffic::new(Arc::clone(&fleet), Arc::clone(&ledger), options.size, options.qos);
    tokio::select! {
        () = traffic.run(options.rate) => {}
        printed = print_counts(&fleet, &ledger) => printed?,
        () = sleep(options.lasts.unwrap_or(FOREVER)) => {}
        signal = ctrl_c() => signal?,
    }
    let cut = fleet.stop(STOP_TIMEOUT).await;
    let (snapshot, counts) = (fleet.snapshot(), ledger.counts());
    print_line(&format_args!("sent {}, acks {:?}, connections cut {cut}", counts.sent, snapshot.acks))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a line with the counts every second.
async fn print_counts(fleet: &Fleet, ledger: &Ledger) -> std::io::Result<()> {
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let (snapshot, counts) = (fleet.snapshot(), ledger.counts());
        print_line(&format_args!(
            "online {}, connects {}, failed {}, sent {}, unsent {}, acks {:?}, pings {}, requests {}",
            snapshot.online,
            snapshot.connects,
            snapshot.refused + snapshot.failed_connects,
            counts.sent,
            snapshot.unsent,
            snapshot.acks,
            snapshot.pings,
            snapshot.requests_answered,
        ))?;
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected `NAME: VALUE`")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || text.chars().any(char::is_control) {
        return Err("expected `NAME: VALUE`, without control characters".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}
