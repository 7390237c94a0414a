//! `talaria demo`: a gateway with all that belongs around it, in one process and with nothing to install.
//!
//! Real sockets throughout: simulated devices connect to the gateway as they would over the Internet, an event receiver
//! takes its events by HTTP, and a Kafka cluster in memory takes them as records, which an independent consumer reads.
//! Every event is followed to both, so the summary says exactly what was lost.
//!
//! This crate does not know the gateway: [`run`] gets a function that starts one, as the `talaria` program does behind
//! its feature `demo`. A program that is built without that feature carries no simulator and no mock cluster.
//! Start reading at [`run`]; `setup` is what runs in a demo.

mod gateway;
mod guide;
mod sample;
mod setup;
mod summary;
mod view;

use std::io::{self, Write};
use std::time::Duration;

use talaria_sim::progress;
use talaria_sim::traffic::{QosMix, Traffic};
use tokio::signal::ctrl_c;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

pub use gateway::{Addresses, FarEnds, GatewayError, RunningGateway, Undelivered};
pub use setup::SetupError;

use guide::Guide;
use sample::Sample;
use setup::Setup;
use summary::Summary;
use view::View;

/// The length of an event in bytes.
const EVENT_SIZE: usize = 350;

/// How often the view shows the flow.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// How long the last events may take to arrive once the devices have stopped sending.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// The pause between two checks of whether everything has arrived.
const CHECK_EVERY: Duration = Duration::from_millis(10);

/// What the demo does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// When it ends; without it, Ctrl-C ends the demo.
    pub run_for: Option<Duration>,
    /// How many devices connect.
    pub devices: usize,
    /// How many events a second all devices send together.
    pub rate: f64,
}

/// Whether a demo that ran to its end lost anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every event arrived at both sinks, and every acknowledgement at its device.
    NothingLost,
    /// The summary says what did not arrive.
    SomethingLost,
}

/// Why the demo could not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A part of it did not start.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The gateway failed while it ran.
    #[error("the gateway: {0}")]
    Gateway(#[source] GatewayError),
    /// The gateway accepted no device; with what the first device got to see, if anything.
    #[error("no device could connect{}", .0.as_ref().map(|error| format!(": {error}")).unwrap_or_default())]
    NoDevices(Option<String>),
    /// Nothing can be shown, or Ctrl-C cannot be noticed.
    #[error("cannot write to the standard output or listen to signals: {0}")]
    Io(#[from] io::Error),
}

/// Runs the demo until its time is up or Ctrl-C ends it, and prints what happened. `start` starts the gateway.
///
/// # Errors
/// [`DemoError`].
pub async fn run(
    options: Options,
    start: impl FnOnce(FarEnds) -> Result<RunningGateway, GatewayError>,
) -> Result<Outcome, DemoError> {
    let setup = Box::pin(Setup::start(options.devices, start)).await?;
    connect(&setup, options.devices).await?;
    print(&Guide(&setup))?;
    let last = flow(&setup, options).await?;
    drain(&setup).await;
    let summary = stop(setup, last).await?;
    print(&summary)?;
    Ok(if summary.nothing_lost() { Outcome::NothingLost } else { Outcome::SomethingLost })
}

async fn connect(setup: &Setup, devices: usize) -> Result<(), DemoError> {
    let bar = progress::bar("connecting", devices as u64);
    let connected = setup.fleet.connect(0..devices, || bar.inc(1)).await;
    bar.finish_and_clear();
    if connected.online == 0 {
        return Err(DemoError::NoDevices(connected.error));
    }
    if let Some(error) = connected.error {
        let _ = writeln!(io::stderr(), "{} devices did not connect at once: {error}", connected.failed);
    }
    Ok(())
}

/// Has the devices send, and shows it, until the time is up or Ctrl-C. Returns the last sample shown.
async fn flow(setup: &Setup, options: Options) -> Result<Sample, DemoError> {
    let mut view = View::of_stdout();
    let started = Instant::now();
    let mut ticks = interval(SHOW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, when there is nothing to see.
    ticks.tick().await;
    let mut last = Sample::default();
    let show = async {
        loop {
            ticks.tick().await;
            last = setup.sample(started.elapsed(), &last);
            view.show(&last)?;
        }
    };
    let time_up = async {
        match options.run_for {
            Some(time) => sleep_until(started + time).await,
            None => std::future::pending().await,
        }
    };
    let traffic = Traffic::new(setup.fleet.clone(), setup.ledger.clone(), EVENT_SIZE, QosMix::Mixed);
    let ended: io::Result<()> = tokio::select! {
        () = traffic.run(options.rate) => Ok(()),
        shown = show => shown,
        () = time_up => Ok(()),
        signal = ctrl_c() => signal,
    };
    ended?;
    Ok(last)
}

/// Waits until everything that was sent has arrived and is acknowledged.
async fn drain(setup: &Setup) {
    until(DRAIN_TIMEOUT, || {
        let counts = setup.ledger.counts();
        counts.http.lost == 0 && counts.kafka.lost == 0 && counts.ack.lost_assured() == 0
    })
    .await;
}

/// Disconnects the devices, stops the gateway, and sums up.
async fn stop(mut setup: Setup, last: Sample) -> Result<Summary, DemoError> {
    let spinner = progress::spinner("the devices leave, the gateway delivers what is left");
    setup.fleet.stop(DRAIN_TIMEOUT).await;
    let undelivered = setup.gateway.stop().await.map_err(DemoError::Gateway)?;
    // What the gateway has delivered may not have been read yet.
    let all_offline_events_arrived = || {
        let disconnects = setup.fleet.snapshot().disconnects;
        [&setup.http, &setup.kafka].iter().all(|sink| sink.counts().offline >= disconnects)
    };
    until(DRAIN_TIMEOUT, all_offline_events_arrived).await;
    spinner.finish_and_clear();
    let summary = Summary {
        http: setup.http.latency().total(),
        kafka: setup.kafka.latency().total(),
        acks: setup.fleet.ack_latency(),
        last: setup.sample(last.elapsed, &last),
        undelivered,
    };
    if summary.nothing_lost() {
        // Of no more use; if it cannot be removed, it is in the system's folder for temporary files.
        let _ = std::fs::remove_file(&setup.log);
    }
    Ok(summary)
}

async fn until(timeout: Duration, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + timeout;
    while !holds() && Instant::now() < deadline {
        sleep(CHECK_EVERY).await;
    }
}

fn print(text: &dyn std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}
