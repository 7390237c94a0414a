//! The command line.

mod attack;
mod bench;
mod devices;
mod kafka;
mod receiver;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Simulated devices, an event receiver, a Kafka cluster in memory, and a benchmark of device gateways.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect simulated devices, which answer requests and may send events
    Devices(devices::Options),
    /// Receive events by HTTP and count them
    Receiver(receiver::Options),
    /// Run a Kafka cluster in memory
    Kafka(kafka::Options),
    /// Measure what a connect, an idle device, an event and a request cost a gateway
    Bench(Box<talaria_sim::bench::Options>),
    /// Attack a gateway while simulated devices work, and tell what they feel of it
    Attack(Box<talaria_sim::attack::Options>),
}

impl Cli {
    /// Does what the command line says. Exit codes: 0 all well, 1 it could not be done, 2 it was done and something was
    /// lost.
    pub(crate) async fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Devices(options) => devices::run(options).await,
            Command::Receiver(options) => receiver::run(options).await,
            Command::Kafka(options) => kafka::run(options).await,
            Command::Bench(options) => bench::run(&options).await,
            Command::Attack(options) => attack::run(&options).await,
        };
        done.unwrap_or_else(|error| {
            tell(&format_args!("talaria-sim: {error}"));
            ExitCode::FAILURE
        })
    }
}

/// Why a command could not be done: shown to the user and nobody else.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Writes a line to stdout.
fn say(line: &dyn Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Writes a line to stderr, where a failure to do so cannot be told either.
fn tell(line: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
