//! Attackers on a gateway, while honest devices work: what do the honest ones feel?
//!
//! A fleet connects and sends events at a steady rate, first in peace and then under attack. What must hold: no device
//! is lost, no event is lost, the events' 99th percentile at most doubles, the gateway's memory grows no further than it
//! may, and the gateway counts every kind of attack under its own name.
//!
//! Attackers are few and paced: the question is what a gateway makes of hostile bytes, not whether a network can be
//! flooded. Only a gateway on this machine is attacked, unless told otherwise.

mod attacker;
mod attempt;
mod kind;
mod metrics;
mod options;
mod report;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

pub use kind::Kind;
pub use options::Options;
pub use report::{Counted, Deeds, Done, Memory, Report, Times};

use crate::bench::far_ends::FarEnds;
use crate::bench::spawn::Limits;
use crate::bench::{self, BenchError, Gateway};
use crate::fleet::{self, Fleet};
use crate::ledger::Ledger;
use crate::process::Process;
use crate::run::RunId;
use crate::tls::Tls;
use crate::traffic::Traffic;
use attacker::{Attacker, Tally};
use metrics::Scrape;

/// The longest message that a gateway of our own takes, and what all unfinished ones together may be.
const LONGEST_MESSAGE: usize = 4 * 1024 * 1024;
const UNFINISHED: usize = 32 * 1024 * 1024;

/// How long events flow before their latency counts.
const WARM_UP: Duration = Duration::from_secs(2);

/// How often the gateway's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long the devices may take to say goodbye.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Why there are no findings.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// There is no gateway, no fleet, or nowhere for its events to arrive.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The gateway is on another machine.
    #[error("{0} is not on this machine; to attack a gateway that you may attack, add --elsewhere")]
    Elsewhere(std::net::SocketAddr),
    /// Some devices of the fleet did not connect.
    #[error("{failed} of {devices} devices did not connect: {error}")]
    Fleet {
        /// Devices that did not.
        failed: usize,
        /// Devices in all.
        devices: usize,
        /// What the first of them ran into.
        error: String,
    },
    /// The gateway's metrics cannot be read.
    #[error("cannot read the gateway's metrics at {address}: {source}")]
    Metrics {
        /// Where they ought to be.
        address: std::net::SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The address of a running gateway's metrics is not known.
    #[error("give --metrics with --device")]
    NoMetrics,
}

/// Runs the drill.
///
/// # Errors
/// If it cannot be carried out. What the gateway did not endure is no error: see [`Report::is_clean`].
pub async fn run(options: &Options) -> Result<Report, AttackError> {
    let bench = &options.bench;
    bench::check_files(bench.devices + options.attackers)?;
    let run = RunId::random();
    let ledger = Arc::new(Ledger::new(run, FarEnds::wanted(bench)));
    let far_ends = FarEnds::start(bench, &ledger).await?;
    let limits = Limits { patience: options.patience, message: LONGEST_MESSAGE, unfinished: UNFINISHED };
    let gateway = Gateway::of(bench, run, &far_ends, Some(limits)).await?;
    if !gateway.target.address.ip().is_loopback() && !options.elsewhere {
        return Err(AttackError::Elsewhere(gateway.target.address));
    }
    let metrics = gateway.spawned.as_ref().map(|spawned| spawned.metric()).or(options.metrics);
    let drill = Drill {
        metrics: metrics.ok_or(AttackError::NoMetrics)?,
        fleet: Arc::new(Fleet::new(
            fleet::Config {
                connecting: bench.connecting,
                reconnect: None,
                headers: bench.access.headers().map_err(BenchError::from)?,
                ..gateway.fleet(bench.devices)
            },
            Arc::clone(&ledger),
        )),
        options,
        ledger,
        far_ends,
        process: gateway.process,
        target: gateway.target,
        tls: gateway.tls,
    };
    let mut report = drill.run().await?;
    if let Some(spawned) = gateway.spawned {
        let pid = gateway.process.pid();
        let status = spawned.stop().await.map_err(|source| BenchError::Process { pid, source })?;
        report.exit_code = Some(status.and_then(|status| status.code()).unwrap_or(-1));
    }
    Ok(report)
}

struct Drill<'a> {
    options: &'a Options,
    ledger: Arc<Ledger>,
    far_ends: FarEnds,
    fleet: Arc<Fleet>,
    process: Process,
    target: fleet::Target,
    tls: Option<Tls>,
    metrics: std::net::SocketAddr,
}

impl Drill<'_> {
    async fn run(&self) -> Result<Report, AttackError> {
        let devices = self.options.bench.devices;
        let connected = self.fleet.connect(0..devices, || ()).await;
        if connected.failed > 0 {
            let error = connected.error.unwrap_or_default();
            return Err(AttackError::Fleet { failed: connected.failed, devices, error });
        }
        let mut traffic = JoinSet::new();
        traffic.spawn(self.traffic().run(self.options.rate));

        sleep(WARM_UP).await;
        self.times();
        sleep(self.options.lasts).await;
        let calm = self.times();
        let before = Scrape::of(self.metrics).await?;

        let mut memory =
            Memory { before: self.resident()?, allowed: self.options.may_grow << 20, ..Memory::default() };
        let deeds = self.attack(&mut memory).await?;
        let attacked = self.times();
        let disconnects = self.fleet.snapshot().disconnects;
        let counted = Scrape::of(self.metrics).await?.since(&before);

        traffic.shutdown().await;
        self.arrive().await;
        let counts = self.ledger.counts();
        memory.after = self.resident()?;
        self.fleet.stop(STOP_WITHIN).await;
        let is_tls = self.target.is_tls;
        Ok(Report {
            devices,
            lost_devices: disconnects,
            attackers: self.options.attackers,
            seconds: self.options.lasts.as_secs_f64(),
            events: counts.sent,
            lost_events: counts.expired,
            calm,
            attacked,
            memory,
            deeds: Kind::ALL
                .into_iter()
                .map(|kind| Deeds { kind, done: deeds.of(kind), counted: counted.of_kind(kind, is_tls) })
                .collect(),
            exit_code: None,
        })
    }

    fn traffic(&self) -> Traffic {
        let bench = &self.options.bench;
        Traffic::new(Arc::clone(&self.fleet), Arc::clone(&self.ledger), bench.size, bench.qos)
    }

    /// Has the attackers do their worst, and watches the gateway's memory meanwhile.
    async fn attack(&self, memory: &mut Memory) -> Result<Arc<Tally>, AttackError> {
        let tally = Arc::new(Tally::default());
        let mut attackers = JoinSet::new();
        let run = RunId::random();
        for index in 0..self.options.attackers {
            let attacker = Attacker {
                kind: Kind::ALL[index % Kind::ALL.len()],
                target: self.target.clone(),
                tls: self.tls.clone().filter(|_| self.target.is_tls),
                auth: self.options.bench.auth.clone(),
                id: run.device_id(index),
                pause: self.options.pause,
                tally: Arc::clone(&tally),
            };
            attackers.spawn(attacker.run());
        }
        let until = Instant::now() + self.options.lasts;
        let mut looks = interval(LOOK_EVERY);
        while Instant::now() < until {
            looks.tick().await;
            memory.peak = memory.peak.max(self.resident()?);
        }
        attackers.shutdown().await;
        Ok(tally)
    }

    /// Waits for the last events, but not longer than they are worth waiting for.
    async fn arrive(&self) {
        let all = async {
            loop {
                let counts = self.ledger.counts();
                if counts.done >= counts.sent {
                    return;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        // what is missing then is counted as lost
        let _ = timeout(self.options.bench.give_up, all).await;
        self.ledger.expire(Duration::ZERO);
    }

    /// The latencies since the last call.
    fn times(&self) -> Times {
        let recent = |sink: Option<&crate::sink::Sink>| sink.map(|sink| sink.latency().recent());
        Times { http: recent(self.far_ends.http()), kafka: recent(self.far_ends.kafka()) }
    }

    fn resident(&self) -> Result<u64, BenchError> {
        let pid = self.process.pid();
        self.process.resident().map_err(|source| BenchError::Process { pid, source })
    }
}
