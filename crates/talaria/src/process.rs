//! A gateway as a process: its log, its signals, its limits and its exit code.

use std::{pin::pin, process::ExitCode, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use tracing::{error, info, warn};

use crate::{
    cli::{EXIT_CONFIG, EXIT_FAILED, complain},
    config::Loaded,
    descriptors,
    gateway::{BuildError, Gateway, StartError},
    reload::Reload,
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
            let code = match runtime.block_on(serve(loaded)) {
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

/// Runs a gateway until the first signal that ends it, and stops it in order, which a second one cuts short.
async fn serve(loaded: Loaded) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(Failure::Signals)?;
    let convey_keys = loaded.config.device.convey_keys.clone();
    let gateway = Gateway::build(loaded.config)?;
    let mut reload = Reload::new(loaded.sources, loaded.tree, convey_keys, gateway.publisher().clone());
    let bound = gateway.bind().map_err(StartError::Bind)?;
    let (stop, stopping) = oneshot::channel::<()>();
    let mut running = pin!(bound.run(async {
        // An error would mean that nobody is left who could stop it.
        let _ = stopping.await;
    }));
    loop {
        tokio::select! {
            ended = &mut running => return Ok(ended.map(drop)?),
            wish = signals.next() => match wish {
                // The gateway's tasks go on meanwhile.
                Wish::Reload => reload.again().await,
                Wish::End(signal) => {
                    info!(signal, "exiting due to signal");
                    break;
                }
            }
        }
    }
    drop(stop);
    loop {
        tokio::select! {
            ended = &mut running => return Ok(ended.map(drop)?),
            wish = signals.next() => if let Wish::End(signal) = wish {
                error!(signal, "exiting at once due to another signal, what is undelivered is lost");
                return Ok(());
            }
        }
    }
}

/// The signals that a gateway listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
enum Wish {
    /// To read the configuration again.
    Reload,
    /// To stop, by the signal of this name.
    End(&'static str),
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End("SIGTERM"),
            _ = self.interrupt.recv() => Wish::End("SIGINT"),
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }
}

impl Failure {
    fn tell(&self) -> ExitCode {
        error!(error = %self, "the gateway cannot start");
        fail(self, if self.is_configuration() { EXIT_CONFIG } else { EXIT_FAILED })
    }

    /// Whether the configuration is at fault, or a file that it names.
    fn is_configuration(&self) -> bool {
        match self {
            Failure::Build(_) => true,
            Failure::Start(StartError::Kafka(error)) => error.is_configuration(),
            Failure::Start(_) | Failure::Signals(_) => false,
        }
    }
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    complain(&format!("talaria: {error}\n"));
    ExitCode::from(code)
}
