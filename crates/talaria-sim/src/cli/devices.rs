//! `talaria-sim devices`

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use talaria_sim::access::Access;
use talaria_sim::fleet::{Backoff, Config, Fleet, Target};
use talaria_sim::ledger::{Ends, Ledger};
use talaria_sim::run::RunId;
use talaria_sim::traffic::{QosMix, Traffic};
use talaria_sim::{process, progress};
use tokio::signal::ctrl_c;
use tokio::time::{interval, sleep};

use super::{Failure, say, tell};

/// How long devices get to say goodbye.
const STOP_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The gateway's device endpoint
    #[arg(long, value_name = "ws[s]://HOST:PORT/PATH", default_value = "ws://127.0.0.1:8080/api/v2/device")]
    device: Target,

    /// How many devices connect
    #[arg(long, default_value_t = 100)]
    devices: usize,

    /// How many devices may be connecting at a time
    #[arg(long, default_value_t = 64)]
    connecting: usize,

    /// Events a second, from all devices together
    #[arg(long, default_value_t = 0.0)]
    rate: f64,

    /// The length of an event in bytes
    #[arg(long, default_value_t = 350)]
    size: usize,

    /// The QoS of the events, 0 to 99, or `mix` for all levels in turn
    #[arg(long, default_value_t = QosMix::Mixed)]
    qos: QosMix,

    /// A further header of the handshake, such as `Authorization: Bearer …`; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    #[command(flatten)]
    access: Access,

    /// Connect without X-Webpa-Convey
    #[arg(long)]
    no_convey: bool,

    /// Do not come back when a connection ends
    #[arg(long)]
    no_reconnect: bool,

    /// End after so many seconds; without it, at Ctrl-C
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
}

pub(super) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let files = process::raise_open_files()?;
    if files < options.devices as u64 + 100 {
        tell(&format_args!("only {files} files may be open: not all devices will connect"));
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
        tell(&format_args!("{} devices did not connect: {error}", connected.failed));
    }
    say(&format_args!("run {}, {} devices online", ledger.run(), connected.online))?;

    let traffic = Traffic::new(Arc::clone(&fleet), Arc::clone(&ledger), options.size, options.qos);
    tokio::select! {
        () = traffic.run(options.rate) => {}
        told = tell_every_second(&fleet, &ledger) => told?,
        () = sleep(Duration::from_secs(options.seconds.unwrap_or(u64::from(u32::MAX)))) => {}
        signal = ctrl_c() => signal?,
    }
    let cut = fleet.stop(STOP_WITHIN).await;
    let (snapshot, counts) = (fleet.snapshot(), ledger.counts());
    say(&format_args!("sent {}, acks {:?}, connections cut {cut}", counts.sent, snapshot.acks))?;
    Ok(ExitCode::SUCCESS)
}

async fn tell_every_second(fleet: &Fleet, ledger: &Ledger) -> std::io::Result<()> {
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let (snapshot, counts) = (fleet.snapshot(), ledger.counts());
        say(&format_args!(
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
    let (name, value) = text.split_once(':').ok_or("expected `Name: value`")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || text.chars().any(char::is_control) {
        return Err("expected `Name: value`, without line breaks".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}
