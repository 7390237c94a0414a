//! `talaria`: reads the command line, starts what it asks for, and leaves with the right code.

use std::process::ExitCode;

use talaria::{
    cli::{self, Cli, Command},
    process,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What jemalloc is told at its start. A gateway holds very many small things for very long, and gives back what a
/// storm of connections took: unused pages go back to the system after a second, by a thread that no request waits for.
#[expect(unsafe_code, reason = "jemalloc looks for its options under this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8; 60] = b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli.command {
        _ if cli.version => cli::print(&cli::version()),
        Some(Command::Config(options)) => cli::show_config(cli.file, options),
        #[cfg(feature = "demo")]
        Some(Command::Demo(options)) => talaria::demo::run(options),
        None => match cli::load(cli.file) {
            Ok(loaded) => process::run(loaded),
            Err(code) => code,
        },
    }
}
