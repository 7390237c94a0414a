//! Printing lines, completions and manual pages; and the error of a command, which is only printed.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

/// Why a command could not be carried out. It is printed to the user and not examined.
pub(super) type CommandError = Box<dyn Error + Send + Sync>;

/// Prints a line to stdout.
pub(super) fn print_line(line: &dyn Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Prints a line to stderr. A failure to do so cannot be reported, so it is ignored.
pub(super) fn print_error_line(line: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints the completions of the command line for a shell.
pub(super) fn print_completions(mut command: Command, shell: Shell) -> Result<ExitCode, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "talaria-sim", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the manual pages to a directory.
pub(super) fn write_manual(command: Command, directory: &Path) -> Result<ExitCode, CommandError> {
    clap_mangen::generate_to(command, directory)
        .map_err(|error| format!("cannot write the manual pages to {}: {error}", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}
