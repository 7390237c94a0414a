//! A gateway as a process: its log, its signals, its limits and its exit code.

use std::{pin::pin, process::ExitCode, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use tracing::{error, info, warn};

use crate::{
    cli::{EXIT_CONFIG, EXIT_FAILED, complain},
    config::{Config, Loaded},
    descriptors,
    gateway::{BuildError, Gateway, StartError},
    telemetry::log::Logging,
};

/// How long the last lines of the log may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why the process ends without a signal.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
}

/// Runs a gateway until a signal ends it.
pub fn run(loaded: Loaded) -> ExitCode {
    let mut logging = match Logging::start(&loaded.config.log) {
        Ok(logging) => logging,
        Err(error) => return fail(&error, EXIT_FAILED),
    };
    for warning in &loaded.warnings {
        warn!(%warning, "the configuration is odd");
    }
    descriptors::raise_limit();
    let code = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("talaria").build() {
        Ok(runtime) => {
            let code = match runtime.block_on(serve(loaded.config)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => failure.tell(),
            };
            // What is still running has had its time.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(&error, EXIT_FAILED),
    };
    logging.stop(LAST_LINES);
    code
}

/// Runs a gateway until the first signal, and stops it in order, which a second signal cuts short.
async fn serve(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(Failure::Signals)?;
    let bound = Gateway::build(config)?.bind().map_err(StartError::Bind)?;
    let (stop, stopping) = oneshot::channel::<()>();
    let mut running = pin!(bound.run(async {
        // An error would mean that nobody is left who could stop it.
        let _ = stopping.await;
    }));
    tokio::select! {
        ended = &mut running => return Ok(ended.map(drop)?),
        signal = signals.next() => info!(signal, "exiting due to signal"),
    }
    drop(stop);
    tokio::select! {
        ended = running => ended.map(drop)?,
        signal = signals.next() => error!(signal, "exiting at once due to another signal, what is undelivered is lost"),
    }
    Ok(())
}

/// The signals that end a gateway.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

impl Failure {
    fn tell(&self) -> ExitCode {
        error!(error = %self, "the gateway cannot start");
        fail(self, if matches!(self, Failure::Build(_)) { EXIT_CONFIG } else { EXIT_FAILED })
    }
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    complain(&format!("talaria: {error}\n"));
    ExitCode::from(code)
}
