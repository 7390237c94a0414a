//! The command line of `talaria-sim`: its commands, what each prints, and its exit codes.
//!
//! The work itself is in the library; each command has a module here that calls it.

mod devices;
mod kafka;
mod load;
mod measurement;
mod output;
mod receiver;
mod size;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use output::print_error_line;

/// Simulated devices, an event receiver, a Kafka cluster in memory, and measurements of device gateways.
///
/// Exit codes: 0 if the command succeeded; 1 if it could not be carried out; 2 if a measurement found losses or harm; 64 if the
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
    /// Run the devices of one gateway for `bench`, which starts this and writes orders to its stdin
    #[command(hide = true)]
    Load,
    /// Attack a gateway while simulated devices work, and measure what they notice
    Attack(Box<talaria_sim::attack::Options>),
    /// Calculate how many gateways, how much memory, how many cores and connections a fleet takes
    ///
    /// From measured costs, which docs/scaling.md lists with their conditions, and from assumptions about the fleet, which are
    /// the defaults of these options.
    Size(Box<talaria_sim::size::Options>),
    /// Print the completions of the command line for a shell
    Completions {
        /// The shell that will read them
        shell: Shell,
    },
    /// Write the manual pages, talaria-sim.1 and one for each command
    Man {
        /// The directory to write them to; it must exist
        directory: PathBuf,
    },
}

/// The exit code for a wrong command line (`EX_USAGE` of sysexits.h), as the gateway's.
const EXIT_USAGE: u8 = 64;

impl Cli {
    /// Parses the command line of the process. Prints help, the version or the errors of the command line itself.
    ///
    /// # Errors
    /// The exit code if there is nothing to run.
    pub(crate) fn of_process() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            // If printing fails there is no other place to report it.
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
        })
    }

    pub(crate) async fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Devices(options) => devices::run(options).await,
            Command::Receiver(options) => receiver::run(options).await,
            Command::Kafka(options) => kafka::run(options).await,
            Command::Bench(options) => measurement::bench(&options).await,
            Command::Load => load::run().await,
            Command::Attack(options) => measurement::attack(&options).await,
            Command::Size(options) => size::run(&options),
            Command::Completions { shell } => output::print_completions(Self::command(), shell),
            Command::Man { directory } => output::write_manual(Self::command(), &directory),
        };
        result.unwrap_or_else(|error| {
            print_error_line(&format_args!("talaria-sim: {error}"));
            ExitCode::FAILURE
        })
    }
}
