//! A gateway as a process: its log, its signals, its limits and its exit code (contract §9.10, §9.11).
//!
//! Start reading at [`run`]; what each signal does is in `signals`, and what systemd hears of it in `service_manager`. The order of a stop is not decided here but in `gateway`, and what SIGHUP changes in
//! `reload`.

mod service_manager;
mod signals;

use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tracing::{error, info, warn};

use crate::cli::{EXIT_CONFIG, EXIT_FAILED, complain};
use crate::config::Loaded;
use crate::cpu_scheduling;
use crate::descriptors;
use crate::gateway::{BuildError, Gateway, StartError};
use crate::reload::part::Part;
use crate::reload::{Cause, Reload};
use crate::server::Inherited;
use crate::telemetry::log::{LogMetrics, Logging};
use crate::turn_watch::{Threads, TurnWatch};

use signals::{Request, Signals};

/// How long the process waits at its end for the log to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why the process ends without a signal: the gateway could not start, or failed.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot install the signal handlers: {0}")]
    Signals(std::io::Error),
}

/// Runs a gateway until SIGTERM or SIGINT and returns the exit code.
pub fn run(mut loaded: Loaded) -> ExitCode {
    // Before the first thread is started.
    let scheduled = cpu_scheduling::apply(loaded.config.cpu_scheduling);
    let logging = match Logging::start(&loaded.config.log) {
        Ok(logging) => Arc::new(logging),
        Err(error) => return fail(&error, EXIT_FAILED),
    };
    loaded.log_warnings();
    if let Err(error) = scheduled {
        warn!(%error, "cannot schedule threads by SCHED_BATCH, events cost more CPU");
    }
    if let Some(limit) = descriptors::raise_limit() {
        descriptors::apportion(&mut loaded.config, limit);
    }
    let threads = Threads::new();
    let (entering, leaving) = (Arc::clone(&threads), Arc::clone(&threads));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("talaria")
        .on_thread_start(move || entering.enter())
        .on_thread_stop(move || leaving.leave())
        .build();
    let code = match runtime {
        Ok(runtime) => {
            let code = match runtime.block_on(serve(loaded, &logging, threads)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => error.report(),
            };
            // Tasks that still run had until the end of `shutdownTimeout`.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(&error, EXIT_FAILED),
    };
    logging.stop(LAST_LINES);
    code
}

/// Runs a gateway until SIGTERM or SIGINT and then stops it in order; a second such signal ends the stop at once.
async fn serve(loaded: Loaded, logging: &Arc<Logging>, threads: Arc<Threads>) -> Result<(), RunError> {
    let mut signals = Signals::listen().map_err(RunError::Signals)?;
    let mut inherited = Inherited::of_process();
    let bound =
        Gateway::build(loaded.config.clone())?.inherit_or_bind(&mut inherited).map_err(StartError::Bind)?;
    inherited.close_others();
    let mut parts = bound.parts();
    parts.push(Part::new("zap", Arc::clone(logging), |config| Some(config.log.clone())));
    logging.count_into(LogMetrics::register(bound.gateway().metrics()));
    let _turn_watch = TurnWatch::start(threads, bound.gateway().manager().metrics().stuck_turns.clone());
    let metrics = bound.gateway().reload_metrics().clone();
    let watches = loaded.config.reload.watch;
    let reload = Reload::new(loaded, parts, metrics);
    let bound = bound.with_reload(Arc::clone(&reload));
    // Ends with the first stop.
    let mut watching = pin!(async {
        if watches {
            reload.watch().await;
        }
        std::future::pending::<()>().await;
    });
    let serves = bound.serving();
    let mut serving = pin!(async {
        serves.await;
        service_manager::ready();
        service_manager::keep_alive().await;
    });
    // A change may wait for a key server; what asks for one meanwhile is answered by one more.
    let reload_requested = Notify::new();
    let mut reloading = pin!(async {
        loop {
            reload_requested.notified().await;
            service_manager::reloading();
            // A fault has been logged.
            let _ = reload.again(Cause::Signal).await;
            service_manager::ready();
        }
    });
    let (stop, stopping) = oneshot::channel::<()>();
    let mut running = pin!(bound.run(async {
        // The sender is dropped to request the stop, so the result is always an error.
        let _ = stopping.await;
    }));
    loop {
        tokio::select! {
            ended = &mut running => return Ok(ended.map(drop)?),
            () = &mut watching => {}
            () = &mut serving => {}
            () = &mut reloading => {}
            request = signals.next() => match request {
                Request::Reload => {
                    reopen(logging);
                    reload_requested.notify_one();
                }
                Request::ReopenLogs => reopen(logging),
                Request::Stop(signal) => {
                    info!(signal, "exiting due to signal");
                    break;
                }
            }
        }
    }
    drop(stop);
    service_manager::stopping();
    loop {
        tokio::select! {
            ended = &mut running => return Ok(ended.map(drop)?),
            () = &mut serving => {}
            request = signals.next() => match request {
                Request::Stop(signal) => {
                    error!(signal, "exiting at once due to a second signal, undelivered events are lost");
                    return Ok(());
                }
                Request::Reload | Request::ReopenLogs => reopen(logging),
            }
        }
    }
}

fn reopen(logging: &Logging) {
    logging.reopen();
    info!("log files opened again");
}

impl RunError {
    /// Reports the error in the log and on the standard error, and returns the exit code for it.
    fn report(&self) -> ExitCode {
        error!(error = %self, "the gateway cannot start");
        fail(self, if self.is_configuration() { EXIT_CONFIG } else { EXIT_FAILED })
    }

    /// Whether the cause is the configuration or a file that it names.
    fn is_configuration(&self) -> bool {
        match self {
            Self::Build(_) => true,
            Self::Start(StartError::Kafka(error)) => error.is_configuration(),
            Self::Start(_) | Self::Signals(_) => false,
        }
    }
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    complain(&format!("talaria: {error}\n"));
    ExitCode::from(code)
}
