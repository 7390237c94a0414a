//! `talaria demo`: a gateway with all that belongs around it, in one process and out of the box.
//!
//! Real sockets throughout: simulated devices connect to the gateway as they would over the Internet, an event receiver
//! takes its events by HTTP, and a Kafka cluster in memory takes them as records, which an independent consumer reads.
//! Every event is followed to both, so that the last word, lost or not, is exact.

mod guide;
mod moment;
mod stage;
mod summary;
mod view;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use talaria_sim::progress;
use talaria_sim::traffic::{QosMix, Traffic};
use tokio::signal::ctrl_c;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::cli::{DemoOptions, EXIT_FAILED, complain};
use guide::Guide;
use moment::Moment;
use stage::{Stage, StageError};
use summary::Summary;
use view::View;

/// The length of an event in bytes.
const EVENT_SIZE: usize = 350;

/// How often the view shows the flow.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// How long what is on its way may take once nothing more is sent.
const DRAINS_WITHIN: Duration = Duration::from_secs(20);

/// How often to look whether all has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("no device could connect{}", .0.as_ref().map(|error| format!(": {error}")).unwrap_or_default())]
    NoDevices(Option<String>),
    #[error("cannot write to the standard output or listen to signals: {0}")]
    Io(#[from] io::Error),
}

/// Runs the demo until its time is up or Ctrl-C ends it. The exit code is 0 if nothing was lost.
#[must_use]
pub fn run(options: DemoOptions) -> ExitCode {
    let played = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(play(options)),
        Err(error) => Err(error.into()),
    };
    match played {
        Ok(summary) if summary.nothing_lost() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(EXIT_FAILED),
        Err(error) => {
            complain(&format!("talaria: {error}\n"));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

async fn play(options: DemoOptions) -> Result<Summary, DemoError> {
    let stage = Box::pin(Stage::set(options.devices)).await?;
    connect(&stage, options.devices).await?;
    say(&Guide(&stage))?;
    let last = flow(&stage, options).await?;
    drain(&stage).await;
    let summary = leave(stage, last).await?;
    say(&summary)?;
    Ok(summary)
}

async fn connect(stage: &Stage, devices: usize) -> Result<(), DemoError> {
    let bar = progress::bar("connecting", devices as u64);
    let connected = stage.fleet.connect(0..devices, || bar.inc(1)).await;
    bar.finish_and_clear();
    if connected.online == 0 {
        return Err(DemoError::NoDevices(connected.error));
    }
    if let Some(error) = connected.error {
        complain(&format!("{} devices did not connect at once: {error}\n", connected.failed));
    }
    Ok(())
}

/// Has the devices send, and shows it, until the time is up or Ctrl-C. Returns the last moment shown.
async fn flow(stage: &Stage, options: DemoOptions) -> Result<Moment, DemoError> {
    let mut view = View::of_stdout();
    let begun = Instant::now();
    let mut ticks = interval(SHOW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // the first tick comes at once, when there is nothing to see
    ticks.tick().await;
    let mut last = Moment::default();
    let show = async {
        loop {
            ticks.tick().await;
            last = stage.look(begun.elapsed(), &last);
            view.show(&last)?;
        }
    };
    let time_up = async {
        match options.run_for {
            Some(time) => sleep_until(begun + time).await,
            None => std::future::pending().await,
        }
    };
    let traffic = Traffic::new(stage.fleet.clone(), stage.ledger.clone(), EVENT_SIZE, QosMix::Mixed);
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
async fn drain(stage: &Stage) {
    until(DRAINS_WITHIN, || {
        let counts = stage.ledger.counts();
        counts.http.lost == 0 && counts.kafka.lost == 0 && counts.ack.lost_assured() == 0
    })
    .await;
}

/// Has the devices leave, stops the gateway, and sums up.
async fn leave(mut stage: Stage, last: Moment) -> Result<Summary, DemoError> {
    let spinner = progress::spinner("the devices leave, the gateway delivers what is left");
    stage.fleet.stop(DRAINS_WITHIN).await;
    let left = stage.gateway.stop().await?;
    // what the gateway has delivered may not have been read yet
    let told = || {
        let disconnects = stage.fleet.snapshot().disconnects;
        [&stage.http, &stage.kafka].iter().all(|sink| sink.counts().offline >= disconnects)
    };
    until(DRAINS_WITHIN, told).await;
    spinner.finish_and_clear();
    let summary = Summary {
        http: stage.http.latency().total(),
        kafka: stage.kafka.latency().total(),
        acks: stage.fleet.ack_latency(),
        last: stage.look(last.elapsed, &last),
        left,
    };
    if summary.nothing_lost() {
        // of no more use; if it cannot be removed, it is in the system's place for such files
        let _ = std::fs::remove_file(&stage.gateway.log);
    }
    Ok(summary)
}

async fn until(within: Duration, enough: impl Fn() -> bool) {
    let deadline = Instant::now() + within;
    while !enough() && Instant::now() < deadline {
        sleep(LOOK_EVERY).await;
    }
}

fn say(text: &dyn std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}
