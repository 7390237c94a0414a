//! The command line of `talaria-sim`: its commands, what each prints, and its exit codes.
//!
//! The work itself is in the library; each command has a module here that calls it.

mod devices;
mod kafka;
mod measurement;
mod output;
mod receiver;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::print_error_line;

/// Simulated devices, an event receiver, a Kafka cluster in memory, and measurements of device gateways.
///
/// Exit codes: 0 if the command succeeded; 1 if it could not be carried out; 2 if a measurement found losses or harm, or if the
/// command line is wrong.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect simulated devices, which answer requests and can send events
    Devices(devices::Options),
    /// Receive events by HTTP, and from Kafka if wanted, and count them
    Receiver(receiver::Options),
    /// Run a Kafka cluster in memory
    Kafka(kafka::Options),
    /// Measure what a connect, an idle device, an event and a request cost a gateway
    Bench(Box<talaria_sim::bench::Options>),
    /// Attack a gateway while simulated devices work, and measure what they notice
    Attack(Box<talaria_sim::attack::Options>),
}

impl Cli {
    pub(crate) async fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Devices(options) => devices::run(options).await,
            Command::Receiver(options) => receiver::run(options).await,
            Command::Kafka(options) => kafka::run(options).await,
            Command::Bench(options) => measurement::bench(&options).await,
            Command::Attack(options) => measurement::attack(&options).await,
        };
        result.unwrap_or_else(|error| {
            print_error_line(&format_args!("talaria-sim: {error}"));
            ExitCode::FAILURE
        })
    }
}
