//! The command line (contract §9.2) and the exit codes (contract §9.10).
//!
//! `talaria` runs the gateway and accepts the options of the Go gateway. `talaria config` shows or checks a configuration,
//! `talaria demo` runs a gateway with devices, an event receiver and a Kafka. This module parses the command line and
//! prints; `process` and `demo` do the work.

#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "top")]
mod top;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{self, LoadError, Loaded, Sources};
use crate::gateway::parts;
use crate::reload::difference::differences;
use crate::reload::part;
#[cfg(feature = "demo")]
pub use demo::DemoOptions;
#[cfg(feature = "top")]
pub use top::TopOptions;

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
    #[arg(short, visible_short_alias = 'V', long)]
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
    #[cfg(feature = "top")]
    /// Show the figures of running gateways in the terminal, from their metrics pages
    Top(TopOptions),
    /// Print the completions of the command line for a shell
    Completions {
        /// The shell that will read them
        shell: Shell,
    },
    /// Write the manual pages, talaria.1 and one for each command
    Man {
        /// The directory to write them to; it must exist
        directory: PathBuf,
    },
}

/// Options of `talaria config`.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line, and only one of them is set"
)]
pub struct ConfigOptions {
    /// Print every key with its value, where the value was set, and a comment; secrets are masked
    #[arg(long)]
    pub print: bool,
    /// Print every fault and warning, one line each; exit with 78 if there is a fault
    #[arg(long)]
    pub check: bool,
    /// Print every key that has another value in this file, and whether a reload would take it up at once
    #[arg(long, value_name = "FILE")]
    pub diff: Option<String>,
    /// Print a JSON Schema of the configuration, for editors
    #[arg(long)]
    pub schema: bool,
    /// Print the reference page of the configuration in Markdown
    #[arg(long)]
    pub docs: bool,
}

impl Cli {
    /// Parses the command line of the process. Prints help or the errors of the command line itself.
    ///
    /// # Errors
    /// The exit code if there is nothing to run: help was printed, or the command line is wrong.
    pub fn of_process() -> Result<Self, ExitCode> {
        Self::try_parse().and_then(Self::without_idle_file).map_err(|error| {
            // If printing fails there is no other place to report it.
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
        })
    }

    /// Refuses `--file` where nothing would read the file.
    fn without_idle_file(self) -> Result<Self, clap::Error> {
        let command = match &self.command {
            _ if self.file.is_none() || self.version => return Ok(self),
            None => return Ok(self),
            Some(Command::Config(options)) if options.schema => "config --schema",
            Some(Command::Config(options)) if options.docs => "config --docs",
            Some(Command::Config(_)) => return Ok(self),
            #[cfg(feature = "demo")]
            Some(Command::Demo(_)) => "demo",
            #[cfg(feature = "top")]
            Some(Command::Top(_)) => "top",
            Some(Command::Completions { .. }) => "completions",
            Some(Command::Man { .. }) => "man",
        };
        let problem = format!("talaria {command} reads no configuration file: leave --file out");
        Err(Self::command().error(ErrorKind::ArgumentConflict, problem))
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

/// Prints the completions of the command line for a shell.
#[must_use]
pub fn show_completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "talaria", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes the manual pages to a directory.
#[must_use]
pub fn write_manual(directory: &Path) -> ExitCode {
    match clap_mangen::generate_to(Cli::command(), directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!(
                "talaria: cannot write the manual pages to {}: {error}\n",
                directory.display()
            ));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Runs `talaria config` and returns its exit code.
#[must_use]
pub fn show_config(file: Option<String>, options: &ConfigOptions) -> ExitCode {
    if options.schema {
        return print(&format!("{:#}\n", config::schema::schema()));
    }
    if options.docs {
        return reference().map_or(ExitCode::from(EXIT_FAILED), |page| print(&page));
    }
    let loaded = match load_and_warn(file) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    match &options.diff {
        Some(other) => match load_and_warn(Some(other.clone())) {
            Ok(other) => print(&difference(&loaded, &other)),
            Err(code) => code,
        },
        None if options.print => print(&config::print(&loaded.tree)),
        None => print("the configuration is valid\n"),
    }
}

/// The reference page of the configuration. `None` only if the defaults have a fault.
#[must_use]
pub fn reference() -> Option<String> {
    // Of all servers: the keys of one without an address are those of the others.
    let servers = ["ALTERNATE", "CONTROL"].into_iter().zip(1..);
    let address = |(server, port): (&str, u16)| (format!("TALARIA_{server}_ADDRESS"), format!(":{port}"));
    let sources = Sources { variables: servers.map(address).collect(), ..Sources::default() };
    let keys = parts::keys(&config::load(&sources).ok()?.config);
    Some(config::reference::reference(&|path| part::takes_effect(&keys, path)))
}

/// What a change from one configuration to another would change, one line for each key.
fn difference(before: &Loaded, after: &Loaded) -> String {
    let keys = parts::keys(&before.config);
    let differences = differences(&before.tree, &after.tree, &keys);
    if differences.is_empty() {
        return "no key has another value\n".to_owned();
    }
    differences.iter().map(|difference| format!("{difference}\n")).collect()
}

fn load_and_warn(file: Option<String>) -> Result<Loaded, ExitCode> {
    let loaded = load(file)?;
    for warning in &loaded.warnings {
        complain(&format!("talaria: warning: {warning}\n"));
    }
    Ok(loaded)
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
    fn a_file_that_nothing_would_read_is_refused() {
        let parse = |arguments: &[&str]| {
            let line = ["talaria"].iter().chain(arguments);
            Cli::try_parse_from(line).and_then(Cli::without_idle_file)
        };
        for command in
            [&["config", "--schema"][..], &["config", "--docs"], &["completions", "bash"], &["man", "."]]
        {
            assert!(parse(command).is_ok(), "{command:?}");
            let error = parse(&[&["-f", "x"], command].concat()).unwrap_err();
            assert!(error.to_string().contains("reads no configuration file: leave --file out"), "{error}");
        }
        for command in [&[][..], &["config", "--check"], &["config", "--diff", "y"]] {
            assert!(parse(&[&["-f", "x"], command].concat()).is_ok(), "{command:?}");
        }
    }

    #[test]
    fn the_version_is_printed_as_the_go_gateway_prints_it() {
        let text = version();
        assert!(text.starts_with("talaria:\n  version: \t0.1.0\n"), "{text}");
        assert!(text.contains("\n  git commit: \t") && text.contains("\n  os/arch: \tlinux/"), "{text}");
    }

    /// `docs/configuration.md` is made by `talaria config --docs`; `UPDATE=1` writes it.
    #[test]
    fn the_reference_page_is_up_to_date() {
        let page = reference().unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        #[expect(clippy::disallowed_methods, reason = "a developer asks the test to write the page")]
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page, "docs/configuration.md differs: run this test with UPDATE=1");
    }
}
