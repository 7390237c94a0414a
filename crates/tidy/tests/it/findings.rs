//! What a rule found, in the form in which a failing test prints it.

use std::fmt;
use std::io::Write as _;

/// The violations of one rule. A test returns [`Findings::outcome`]; its `Debug` is the list that the reader sees.
pub(crate) struct Findings {
    rule: &'static str,
    lines: Vec<Finding>,
}

/// The file, the line, and what is wrong.
type Finding = (String, usize, String);

impl Findings {
    /// No findings yet.
    pub(crate) fn of(rule: &'static str) -> Self {
        Self { rule, lines: Vec::new() }
    }

    /// `what` says what is wrong and what to do about it.
    pub(crate) fn add(&mut self, file: &str, line: usize, what: impl Into<String>) {
        self.lines.push((file.to_owned(), line, what.into()));
    }

    /// # Errors
    /// All findings, if there are any.
    pub(crate) fn outcome(mut self) -> Result<(), Self> {
        self.lines.sort();
        self.lines.dedup();
        if self.lines.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Debug for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} findings", self.rule, self.lines.len())?;
        for (file, line, what) in &self.lines {
            writeln!(f, "{file}:{line}: {what}")?;
        }
        Ok(())
    }
}

/// Prints a line although the test passes: the test runner would keep what `println!` prints to itself.
pub(crate) fn announce(line: &str) {
    // A closed stderr is no reason for a rule to fail.
    let _ = writeln!(std::io::stderr().lock(), "tidy: {line}");
}
