//! The command line (contract §9.2) and the exit codes (contract §9.10).
//!
//! `talaria` runs the gateway and accepts the options of the Go gateway. `talaria config` shows or checks a configuration,
//! `talaria demo` runs a gateway with devices, an event receiver and a Kafka. This module parses the command line and
//! prints; `process` and `demo` do the work.

#[cfg(feature = "demo")]
mod demo;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, LoadError, Loaded, Sources};
#[cfg(feature = "demo")]
pub use demo::DemoOptions;

/// The exit code if the gateway cannot start or fails.
pub const EXIT_FAILED: u8 = 1;
/// The exit code for a wrong command line (`EX_USAGE` of sysexits.h).
pub const EXIT_USAGE: u8 = 64;
/// The exit code for a wrong configuration (`EX_CONFIG` of sysexits.h).
pub const EXIT_CONFIG: u8 = 78;

/// The XMiDT device gateway: holds one WebSocket per device, publishes its events by HTTP and to Kafka, and sends it
/// requests that come over REST.
#[derive(Debug, Clone, Parser)]
#[command(name = "talaria", disable_version_flag = true, max_term_width = 110)]
pub struct Cli {
    /// The configuration file: a path, or a name that is searched in /etc/talaria, $HOME/.talaria and the working
    /// directory
    #[arg(short, long, global = true, value_name = "NAME")]
    pub file: Option<String>,
    /// Print the version and exit
    #[arg(short, long)]
    pub version: bool,
    /// Accepted for compatibility with the Go gateway, and ignored
    #[arg(short, long, hide = true, value_name = "FILE")]
    pub cpuprofile: Option<String>,
    /// Accepted for compatibility with the Go gateway, and ignored
    #[arg(short, long, hide = true, value_name = "FILE")]
    pub memprofile: Option<String>,
    /// A command to run instead of the gateway
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Print or check the configuration that the gateway would start with
    Config(ConfigOptions),
    #[cfg(feature = "demo")]
    /// Run a gateway with simulated devices, an event receiver and a Kafka in one process, and show the flow
    Demo(DemoOptions),
}

/// Options of `talaria config`.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = false)]
pub struct ConfigOptions {
    /// Print every key with its value, where the value was set, and a comment; secrets are masked
    #[arg(long)]
    pub print: bool,
    /// Print every fault and warning, one line each; exit with 78 if there is a fault
    #[arg(long)]
    pub check: bool,
}

impl Cli {
    /// Parses the command line of the process. Prints help or the errors of the command line itself.
    ///
    /// # Errors
    /// The exit code if there is nothing to run: help was printed, or the command line is wrong.
    pub fn of_process() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            // If printing fails there is no other place to report it.
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
        })
    }
}

/// The text of `--version`, in the form of the Go gateway (contract §9.2).
#[must_use]
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

/// Loads the configuration. Prints every fault to the standard error, one line each.
///
/// # Errors
/// The exit code, [`EXIT_CONFIG`].
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

/// Runs `talaria config` and returns its exit code.
#[must_use]
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

/// Prints to the standard output and returns the exit code. A pipe that its reader has closed (`| head`) is a success.
#[must_use]
pub fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(EXIT_FAILED),
        _ => ExitCode::SUCCESS,
    }
}

/// Prints to the standard error. A failure is ignored: there is no other place to report it.
pub fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Go's name of an architecture, as `--version` prints it.
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
    fn the_options_of_the_go_gateway_are_accepted() {
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
