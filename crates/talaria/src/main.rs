//! The binary: reads the command line, runs the command, and exits with its code. Everything else is in the library.

use std::process::ExitCode;

use talaria::cli::{self, Cli, Command};
use talaria::process;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The options that jemalloc reads at its start. A gateway holds very many small allocations for a long time and should
/// return the memory that a burst of connections needed: a background thread, for which no request waits, gives unused
/// pages back to the system after a second.
#[expect(unsafe_code, reason = "jemalloc reads its options from the symbol of this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8; 60] = b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli.command {
        _ if cli.version => cli::print(&cli::version()),
        Some(Command::Config(options)) => cli::show_config(cli.file, &options),
        #[cfg(feature = "demo")]
        Some(Command::Demo(options)) => talaria::demo::run(options),
        #[cfg(feature = "top")]
        Some(Command::Top(options)) => talaria::top::run(options),
        Some(Command::Completions { shell }) => cli::show_completions(shell),
        Some(Command::Man { directory }) => cli::write_manual(&directory),
        None => match cli::load(cli.file) {
            Ok(loaded) => process::run(loaded),
            Err(code) => code,
        },
    }
}
