//! The comparison with an earlier result, which must be of the same machine, tool and size.

use std::fmt;
use std::path::{Path, PathBuf};

use super::machine::{Machine, Tool};
use super::report::{ReportFileError, RowsReport, Size, table};

/// An earlier result, with which another one is compared.
#[derive(Debug)]
pub struct Baseline {
    path: PathBuf,
    report: RowsReport,
}

/// Why results are not compared.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The file has no results.
    #[error(transparent)]
    File(#[from] ReportFileError),
    /// It was made elsewhere.
    #[error(
        "the baseline is of another machine ({theirs:?}, this is {ours:?}): measure both here, with --against"
    )]
    Machine {
        /// That of the baseline.
        theirs: Box<Machine>,
        /// This one.
        ours: Box<Machine>,
    },
    /// It was made by other code.
    #[error(
        "the baseline was measured by another version of this tool ({theirs:?}, this is {ours:?}): measure both with one, by \
         --against"
    )]
    Tool {
        /// That of the baseline.
        theirs: Tool,
        /// This one.
        ours: Tool,
    },
    /// It measured more or less of each row.
    #[error("the baseline has another size ({theirs:?}, this is {ours:?}): give the same options")]
    Size {
        /// That of the baseline.
        theirs: Box<Size>,
        /// This one.
        ours: Box<Size>,
    },
}

/// A result beside its baseline.
#[derive(Debug)]
pub struct Comparison<'a> {
    baseline: &'a Baseline,
    report: &'a RowsReport,
}

impl Baseline {
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read, or is no result of rows.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        Ok(Self { path: path.to_owned(), report: RowsReport::read(path)? })
    }

    /// Checks whether results of this machine, tool and size can be compared with it.
    ///
    /// # Errors
    /// If they cannot.
    pub fn check(&self, machine: &Machine, tool: &Tool, size: &Size) -> Result<(), BaselineError> {
        let RowsReport { machine: their_machine, tool: their_tool, size: their_size, .. } = &self.report;
        if machine != their_machine {
            let (theirs, ours) = (Box::new(their_machine.clone()), Box::new(machine.clone()));
            return Err(BaselineError::Machine { theirs, ours });
        }
        if tool != their_tool {
            return Err(BaselineError::Tool { theirs: their_tool.clone(), ours: tool.clone() });
        }
        if size != their_size {
            let (theirs, ours) = (Box::new(their_size.clone()), Box::new(size.clone()));
            return Err(BaselineError::Size { theirs, ours });
        }
        Ok(())
    }

    /// A result beside this.
    #[must_use]
    pub fn compare<'a>(&'a self, report: &'a RowsReport) -> Comparison<'a> {
        Comparison { baseline: self, report }
    }
}

impl fmt::Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Baseline { path, report: baseline } = self.baseline;
        writeln!(f, "against {}: {}", path.display(), baseline.measured.gateway)?;
        table(f, &self.report.measured.rows, Some(&baseline.measured.rows))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::machine::GatewayVersion;
    use super::super::report::Measured;
    use super::*;

    fn baseline() -> Baseline {
        let measured = Measured { gateway: GatewayVersion::default(), rows: BTreeMap::new() };
        let report = RowsReport {
            machine: Machine::this(),
            tool: Tool::this(),
            size: Size::default(),
            turns: 1,
            measured,
            against: None,
        };
        Baseline { path: PathBuf::from("before.json"), report }
    }

    #[test]
    fn a_baseline_of_another_machine_tool_or_size_is_refused() {
        let (machine, tool, size) = (Machine::this(), Tool::this(), Size::default());
        assert!(baseline().check(&machine, &tool, &size).is_ok());
        let other = Machine { kernel: "7.0".to_owned(), ..Machine::this() };
        let error = baseline().check(&other, &tool, &size).unwrap_err();
        assert!(matches!(error, BaselineError::Machine { .. }), "{error}");
        let other = Tool { sources: "0".to_owned(), ..Tool::this() };
        let error = baseline().check(&machine, &other, &size).unwrap_err();
        assert!(matches!(error, BaselineError::Tool { .. }), "{error}");
        let other = Size { devices: 1, ..Size::default() };
        let error = baseline().check(&machine, &tool, &other).unwrap_err();
        assert!(matches!(error, BaselineError::Size { .. }), "{error}");
    }
}
