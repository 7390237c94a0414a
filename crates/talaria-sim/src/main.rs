//! `talaria-sim`: simulated devices, an event receiver, a Kafka cluster in memory and a benchmark.

mod cli;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    cli::Cli::parse().run().await
}
