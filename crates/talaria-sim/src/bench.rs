//! The benchmark: what a connect, an idle device, an event and a request cost a gateway.
//!
//! Works on any gateway that keeps to the contract, seen from outside. Phases follow each other, with the gateway's CPU
//! clock and memory read between them, each once all its consequences have arrived:
//!
//! 1. a few devices connect, so that what the gateway needs once is not put down to devices (*warm-up*);
//! 2. all others connect (*connect*) and stay (*idle*);
//! 3. events flow, no more than a window of them on their way (*event*); an event has arrived once both sinks have it;
//! 4. requests go through the API to devices and back (*request*);
//! 5. all devices leave (*disconnect*).

mod certificates;
pub(crate) mod far_ends;
mod options;
mod phases;
mod report;
mod requests;
pub(crate) mod spawn;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use options::Options;
pub use report::{Connect, Disconnect, End, Events, Idle, Parameters, Report, Requests};
pub use requests::{Api, ApiError};
pub use spawn::SpawnError;

use crate::access::AccessError;
use crate::fleet::{self, Fleet, Target};
use crate::kafka::ReaderError;
use crate::ledger::Ledger;
use crate::process::{self, Process};
use crate::run::RunId;
use crate::tls::{Tls, Trust};
use far_ends::FarEnds;
use phases::Bench;
use spawn::{Limits, Spawned, Surroundings};

/// Why there are no findings.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The gateway to be measured does not run.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The topic cannot be read.
    #[error(transparent)]
    Kafka(#[from] ReaderError),
    /// There is no Kafka in memory.
    #[error(transparent)]
    MockKafka(#[from] wrpkafka::mock::MockError),
    /// The receiver does not listen.
    #[error("cannot receive events at {address}: {source}")]
    Receiver {
        /// Where it was told to.
        address: std::net::SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The gateway's process is gone, or not ours to look at.
    #[error("cannot look at the gateway's process {pid}: {source}")]
    Process {
        /// Its id.
        pid: u32,
        /// What the system says.
        source: io::Error,
    },
    /// Too many devices for one process.
    #[error(
        "{devices} devices need about {needed} open files, and the system allows {allowed}; use fewer devices"
    )]
    Files {
        /// Devices wanted.
        devices: usize,
        /// Files they need.
        needed: u64,
        /// Files there may be.
        allowed: u64,
    },
    /// No device is connected.
    #[error("no device is connected to the gateway{}", .0.as_ref().map(|error| format!(": {error}")).unwrap_or_default())]
    NoDevices(Option<String>),
    /// The gateway or the devices lack what they need to show or to believe.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Neither is there a gateway to start, nor the address and process of one that runs.
    #[error("give either --spawn, or --device and --pid")]
    NoGateway,
}

/// The gateway under test.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) target: Target,
    /// How it speaks TLS, if it does.
    pub(crate) tls: Option<Tls>,
    pub(crate) api: Option<Api>,
    pub(crate) process: Process,
    pub(crate) spawned: Option<Spawned>,
}

/// Runs the benchmark.
///
/// # Errors
/// If it cannot be carried out. Losses are no error: see [`Report::is_clean`].
pub async fn run(options: &Options) -> Result<Report, BenchError> {
    check_files(options.devices)?;
    let run = RunId::random();
    let wanted = FarEnds::wanted(options);
    let ledger = Arc::new(Ledger::new(run, wanted).with_window(options.window));
    let far_ends = FarEnds::start(options, &ledger).await?;
    let gateway = Gateway::of(options, run, &far_ends, None).await?;
    let config = fleet::Config {
        connecting: options.connecting,
        reconnect: None,
        headers: options.access.headers()?,
        ..gateway.fleet(options.devices)
    };
    let fleet = Arc::new(Fleet::new(config, Arc::clone(&ledger)));
    let Gateway { process, api, tls, spawned, .. } = gateway;
    let bench = Bench { options, ledger, far_ends, fleet, process, api, tls };
    let mut report = bench.run().await?;
    if let Some(spawned) = spawned {
        let pid = process.pid();
        let status = spawned.stop().await.map_err(|source| BenchError::Process { pid, source })?;
        report.exit_code = Some(status.and_then(|status| status.code()).unwrap_or(-1));
    }
    Ok(report)
}

impl Gateway {
    /// The gateway that the options name, or one of our own, which may have tighter limits than it has by itself.
    pub(crate) async fn of(
        options: &Options,
        run: RunId,
        far_ends: &FarEnds,
        limits: Option<Limits>,
    ) -> Result<Self, BenchError> {
        if let Some(path) = &options.spawn {
            let receiver = far_ends.receiver_url().unwrap_or_default();
            let brokers = far_ends.brokers().unwrap_or_default();
            let Options { tls, topic, auth, .. } = options;
            let surroundings = Surroundings { receiver, brokers, topic, auth, tls: *tls, limits };
            let spawned = Spawned::start(path, run, &surroundings).await?;
            let (mut target, mut api) = (Target::at(spawned.primary()), Api::at(spawned.primary()));
            let tls = match spawned.authority() {
                Some(authority) => {
                    Some(Tls::new(Trust::Authorities(authority), None).map_err(AccessError::from)?)
                }
                None => None,
            };
            if tls.is_some() {
                target.is_tls = true;
                api = api.over_tls();
            }
            let process = spawned.process();
            return Ok(Self { target, tls, api: Some(api), process, spawned: Some(spawned) });
        }
        let (Some(target), Some(pid)) = (options.device.clone(), options.pid) else {
            return Err(BenchError::NoGateway);
        };
        let api = options.api.clone();
        let tls = options.access.tls(target.is_tls || api.as_ref().is_some_and(Api::is_tls))?;
        Ok(Self { target, tls, api, process: Process::new(pid), spawned: None })
    }

    /// So many devices of it.
    pub(crate) fn fleet(&self, devices: usize) -> fleet::Config {
        let tls = self.tls.clone().filter(|_| self.target.is_tls);
        fleet::Config { tls, ..fleet::Config::new(self.target.clone(), devices) }
    }
}

/// Makes room for the devices' sockets, and some hundred besides.
pub(crate) fn check_files(devices: usize) -> Result<(), BenchError> {
    let needed = devices as u64 + 500;
    match process::raise_open_files() {
        Ok(allowed) if allowed < needed => Err(BenchError::Files { devices, needed, allowed }),
        // a system that does not tell may still allow it
        _ => Ok(()),
    }
}

/// How long what follows from a phase may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(15);
