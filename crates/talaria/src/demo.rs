//! `talaria demo` with this gateway: starts it with its default configuration in front of the demo's Kafka and receiver.
//!
//! Everything else of the demo is the crate `talaria-demo`, which does not know the gateway.

use std::process::ExitCode;

use talaria_demo::{Addresses, FarEnds, GatewayError, Outcome, RunningGateway, Undelivered};
use tokio::sync::oneshot;

use crate::cli::{DemoOptions, EXIT_FAILED, complain};
use crate::config::{self, Config, Sources};
use crate::gateway::{Gateway, Unfinished};
use crate::server::Address;
use crate::telemetry::log::{self, Logging};

/// Runs the demo until its time is up or Ctrl-C ends it. The exit code is 0 if nothing was lost.
#[must_use]
pub fn run(options: DemoOptions) -> ExitCode {
    let DemoOptions { run_for, devices, rate } = options;
    let options = talaria_demo::Options { run_for, devices, rate };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(talaria_demo::run(options, start)) {
        Ok(Outcome::NothingLost) => ExitCode::SUCCESS,
        Ok(Outcome::SomethingLost) => ExitCode::from(EXIT_FAILED),
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    complain(&format!("talaria: {error}\n"));
    ExitCode::from(EXIT_FAILED)
}

/// Starts the gateway in a task of its own.
fn start(far_ends: FarEnds) -> Result<RunningGateway, GatewayError> {
    let mut config = config::load(&Sources::default())?.config;
    config.log.outputs = vec![log::Output::File(far_ends.log.clone())];
    let logging = Logging::start(&config.log)?;
    connect(&mut config, far_ends);
    let bound = Gateway::build(config)?.bind()?;
    let addresses = bound.addresses();
    let (health, metric) = addresses.health.zip(addresses.metric).ok_or("the demo needs both servers")?;
    let addresses = Addresses { primary: addresses.primary, health, metric };
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        // The log is written until the gateway has ended.
        let _logging = logging;
        // Nothing is ever sent: the sender is dropped to stop the gateway.
        let unfinished = Box::pin(bound.run(async { _ = stopped.await })).await?;
        let Unfinished { sessions, http, kafka, acks: _ } = unfinished;
        Ok(Undelivered { sessions, http, kafka })
    });
    Ok(RunningGateway { addresses, stop: Some(stop), task })
}

/// Puts the gateway on free ports, and its sinks in front of the demo's far ends.
fn connect(config: &mut Config, far_ends: FarEnds) {
    let servers = [Some(&mut config.primary), config.health.as_mut(), config.metric.as_mut()];
    for server in servers.into_iter().flatten() {
        server.address = Address::loopback(0);
    }
    config.event.endpoints.insert("default", [far_ends.receiver.as_str()]);
    config.kafka = Some(wrpkafka::Config { brokers: vec![far_ends.brokers], ..wrpkafka::Config::default() });
}
