//! Printing lines, and the error of a command, which is only printed.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};

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
