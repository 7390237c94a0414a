//! `talaria`: reads the command line, starts what it asks for, and leaves with the right code.

use std::process::ExitCode;

use talaria::cli::{self, Cli, Command};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli.command {
        _ if cli.version => cli::print(&cli::version()),
        Some(Command::Config(options)) => cli::show_config(cli.file, options),
        Some(Command::Demo(_)) | None => ExitCode::from(cli::EXIT_FAILED),
    }
}
