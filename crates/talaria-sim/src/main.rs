//! The program `talaria-sim`; its commands are in `cli.rs`.

mod cli;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::Cli::of_process() {
        Ok(cli) => Box::pin(cli.run()).await,
        Err(code) => code,
    }
}
