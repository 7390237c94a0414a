//! The command line.
//!
//! `talaria` runs the gateway; its options are the Go gateway's. `talaria config` shows and checks a configuration,
//! `talaria demo` runs a gateway with everything around it. Exit codes: 0 after a signal, 1 if the gateway cannot
//! start, 64 (`EX_USAGE`) for a wrong command line, 78 (`EX_CONFIG`) for a wrong configuration.

#[cfg(feature = "demo")]
mod demo;

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::config::{self, LoadError, Loaded, Sources};
#[cfg(feature = "demo")]
pub use demo::DemoOptions;

/// The gateway could not start, or failed.
pub const EXIT_FAILED: u8 = 1;
/// The command line is wrong (`EX_USAGE` of sysexits.h).
pub const EXIT_USAGE: u8 = 64;
/// The configuration is wrong (`EX_CONFIG` of sysexits.h).
pub const EXIT_CONFIG: u8 = 78;

/// The XMiDT device gateway: one WebSocket per device, its events to HTTP and Kafka, requests to it by REST.
#[derive(Debug, Clone, Parser)]
#[command(name = "talaria", disable_version_flag = true, max_term_width = 110)]
pub struct Cli {
    /// The configuration: a path, or a name searched for in /etc/talaria, $HOME/.talaria and the working directory
    #[arg(short, long, global = true, value_name = "NAME")]
    pub file: Option<String>,
    /// Print the version and leave
    #[arg(short, long)]
    pub version: bool,
    /// Taken for the Go gateway's sake, and ignored
    #[arg(short, long, hide = true, value_name = "FILE")]
    pub cpuprofile: Option<String>,
    /// Taken for the Go gateway's sake, and ignored
    #[arg(short, long, hide = true, value_name = "FILE")]
    pub memprofile: Option<String>,
    /// What to do instead of running the gateway
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be done instead of running the gateway.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Show or check the configuration that the gateway would start with
    Config(ConfigOptions),
    #[cfg(feature = "demo")]
    /// Run a gateway with an in-process Kafka, an event receiver and simulated devices, and watch them
    Demo(DemoOptions),
}

/// Options of `talaria config`.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = false)]
pub struct ConfigOptions {
    /// Print the configuration in effect, with comments, where its values come from, and without its secrets
    #[arg(long)]
    pub print: bool,
    /// Tell what is wrong with the configuration, one line each, and leave with 78 if anything is
    #[arg(long)]
    pub check: bool,
}

impl Cli {
    /// Reads the process's command line. Help, and what is wrong with the command line, is printed at once.
    ///
    /// # Errors
    /// The code to leave with.
    pub fn of_process() -> Result<Self, ExitCode> {
        Cli::try_parse().map_err(|error| {
            // Nobody is left to tell if that fails.
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
        })
    }
}

/// The version, in the Go gateway's form.
pub fn version() -> String {
    let or_undefined = |value: Option<&'static str>| value.unwrap_or("undefined");
    format!(
        "talaria:\n  version: \t{}\n  rust version: \t{}\n  built time: \t{}\n  git commit: \t{}\n  os/arch: \t{}/{}\n",
        env!("CARGO_PKG_VERSION"),
        or_undefined(option_env!("BUILD_RUSTC")),
        or_undefined(option_env!("BUILD_TIME")),
        or_undefined(option_env!("BUILD_COMMIT")),
        std::env::consts::OS,
        go_architecture(std::env::consts::ARCH),
    )
}

/// Loads the configuration, or says on the standard error why it can't be used: one line a fault, all of them.
///
/// # Errors
/// The code to leave with.
pub fn load(file: Option<String>) -> Result<Loaded, ExitCode> {
    config::load(&Sources::of_process(file)).map_err(|error| {
        let mut lines = String::new();
        if let LoadError::Faults(report) = &error {
            for warning in &report.warnings {
                let _ = writeln!(lines, "talaria: warning: {warning}");
            }
        }
        for line in error.to_string().lines() {
            let _ = writeln!(lines, "talaria: {line}");
        }
        complain(&lines);
        ExitCode::from(EXIT_CONFIG)
    })
}

/// Runs `talaria config`.
pub fn show_config(file: Option<String>, options: ConfigOptions) -> ExitCode {
    let loaded = match load(file) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    for warning in &loaded.warnings {
        complain(&format!("talaria: warning: {warning}\n"));
    }
    if options.print { print(&config::print(&loaded.tree)) } else { print("the configuration is valid\n") }
}

/// Writes to the standard output. A reader that left (`| head`) is no failure.
pub fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(EXIT_FAILED),
        _ => ExitCode::SUCCESS,
    }
}

/// Writes to the standard error; nobody is left to tell if that fails.
pub fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Go's name of an architecture.
fn go_architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_go_gateways_options_are_taken() {
        let cli = Cli::try_parse_from(["talaria", "-f", "x", "-c", "cpu", "-m", "mem", "-v"]).unwrap();
        assert_eq!((cli.file.as_deref(), cli.version), (Some("x"), true));
        assert_eq!(Cli::try_parse_from(["talaria", "--file=x"]).unwrap().file.as_deref(), Some("x"));
    }

    #[test]
    fn the_version_is_printed_as_the_go_gateway_prints_it() {
        let text = version();
        assert!(text.starts_with("talaria:\n  version: \t0.1.0\n"), "{text}");
        assert!(text.contains("\n  git commit: \t") && text.contains("\n  os/arch: \tlinux/"), "{text}");
    }
}
