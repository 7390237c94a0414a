//! The results of rows, which are printed as a JSON object and as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::figures::{Figures, RowResult};
use super::machine::{GatewayVersion, Machine, Tool};
use crate::bench::instrument::Instrument;
use crate::bench::options::Options;

/// The results of a measurement of rows, with what they depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowsReport {
    /// Where it was made.
    pub machine: Machine,
    /// What made it.
    pub tool: Tool,
    /// How much of each row was measured.
    pub size: Size,
    /// How often each row was measured.
    pub turns: usize,
    /// The gateway of `--spawn`.
    pub measured: Measured,
    /// That of `--against`.
    pub against: Option<Measured>,
}

/// How much is measured: figures of another size are others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Devices that are connected in each row.
    pub devices: usize,
    /// Events of a row that sends them flat out.
    pub events: u64,
    /// Seconds for which the others send.
    pub seconds: f64,
    /// Requests.
    pub requests: u64,
    /// The length of an event in bytes.
    pub event_bytes: usize,
    /// Events in flight at the same time, flat out.
    pub window: usize,
    /// Gateways of the row `fleet`.
    pub gateways: usize,
    /// Events per second of all devices of the row `fleet`.
    pub fleet_rate: u32,
    /// The tool that counted.
    pub count: Option<Instrument>,
}

/// The results of one gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The gateway.
    pub gateway: GatewayVersion,
    /// By the names of the rows.
    pub rows: BTreeMap<String, RowResult>,
}

/// Why a file has no results of rows to read.
#[derive(Debug, thiserror::Error)]
pub enum ReportFileError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{path} is not a result of `talaria-sim bench` by rows: {source}", path = .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl Measured {
    /// No results yet.
    pub(super) fn nothing_of(gateway: GatewayVersion) -> Self {
        Self { gateway, rows: BTreeMap::new() }
    }
}

impl Size {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            devices: options.testbed.devices,
            events: options.events,
            seconds: options.run_for.as_secs_f64(),
            requests: options.requests,
            event_bytes: options.testbed.size,
            window: options.window,
            gateways: options.gateways(),
            fleet_rate: options.fleet_rate,
            count: options.count,
        }
    }
}

impl RowsReport {
    /// Reads a file that `--json` has written.
    ///
    /// # Errors
    /// If it cannot be read, or is no result of rows.
    pub fn read(path: &Path) -> Result<Self, ReportFileError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ReportFileError::Read { path: path.to_owned(), source })?;
        serde_json::from_str(&text).map_err(|source| ReportFileError::Parse { path: path.to_owned(), source })
    }

    /// Whether all runs of all rows were clean.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let measured = std::iter::once(&self.measured).chain(&self.against);
        measured.flat_map(|measured| measured.rows.values()).all(|row| row.median.is_some())
    }

    /// The results of one row as a table.
    #[must_use]
    pub fn row(&self, name: &str) -> impl fmt::Display {
        let one = |measured: &Measured| {
            let (name, result) = measured.rows.get_key_value(name)?;
            Some(BTreeMap::from([(name.clone(), result.clone())]))
        };
        let rows = one(&self.measured).unwrap_or_default();
        let against = self.against.as_ref().and_then(one);
        fmt::from_fn(move |f| table(f, &rows, against.as_ref()))
    }
}

impl fmt::Display for RowsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { host, cpu, cores, kernel } = &self.machine;
        writeln!(f, "{host}: {cores} x {cpu}, Linux {kernel}; talaria-sim {}", self.tool.sources)?;
        let Size { devices, events, seconds, event_bytes, window, .. } = &self.size;
        writeln!(
            f,
            "{devices} devices; {events} events of {event_bytes} bytes, window {window}, or {seconds} s of them; median of {}",
            self.turns
        )?;
        writeln!(f, "gateway {}", self.measured.gateway)?;
        if let Some(against) = &self.against {
            writeln!(f, "against {}", against.gateway)?;
        }
        let against = self.against.as_ref().map(|against| &against.rows);
        table(f, &self.measured.rows, against)?;
        write!(f, "{}", if self.is_clean() { "all runs were clean" } else { "NOT CLEAN" })
    }
}

impl fmt::Display for GatewayVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.program, self.version, self.commit)
    }
}

/// Prints each figure of each row and, if there is something to compare with, the other one and the ratio.
pub(super) fn table(
    f: &mut fmt::Formatter<'_>,
    rows: &BTreeMap<String, RowResult>,
    against: Option<&BTreeMap<String, RowResult>>,
) -> fmt::Result {
    for (name, row) in rows {
        writeln!(f, "{name}")?;
        let other = against.and_then(|against| against.get(name));
        for fault in row.faults() {
            writeln!(f, "  NOT CLEAN: {fault}")?;
        }
        for fault in other.into_iter().flat_map(RowResult::faults) {
            writeln!(f, "  NOT CLEAN, the other gateway: {fault}")?;
        }
        let Some(Figures(figures)) = &row.median else { continue };
        for (figure, value) in figures {
            let before = other.and_then(|other| other.median.as_ref()?.0.get(figure));
            match before {
                Some(before) if *before != 0.0 => {
                    writeln!(f, "  {figure:24} {value:>12.3} {before:>12.3} {:>8.2}", value / before)?;
                }
                _ => writeln!(f, "  {figure:24} {value:>12.3}")?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::figures::Outcome;
    use super::*;

    fn measured(outcome: Outcome) -> Measured {
        let rows = [("request".to_owned(), RowResult::of(vec![outcome]))];
        Measured { gateway: GatewayVersion::default(), rows: rows.into() }
    }

    fn report(first: Outcome, second: Outcome) -> RowsReport {
        RowsReport {
            machine: Machine::default(),
            tool: Tool::default(),
            size: Size::default(),
            turns: 1,
            measured: measured(first),
            against: Some(measured(second)),
        }
    }

    fn cpu(cpu_us: f64) -> Outcome {
        let mut figures = Figures::default();
        figures.add("cpu_us", cpu_us);
        Outcome::Figures(figures)
    }

    #[test]
    fn the_table_shows_both_gateways_and_their_ratio() {
        let report = report(cpu(30.0), cpu(60.0));
        let table = report.to_string();
        assert!(table.contains("30.000       60.000     0.50"), "{table}");
        assert!(report.is_clean() && table.ends_with("all runs were clean"), "{table}");
    }

    #[test]
    fn a_row_that_was_not_clean_shows_its_fault_and_no_figure() {
        let report = report(Outcome::NotClean("3 requests failed: status 504".to_owned()), cpu(60.0));
        let table = report.to_string();
        assert!(table.contains("NOT CLEAN: 3 requests failed"), "{table}");
        assert!(!report.is_clean() && !table.contains("60.0") && table.ends_with("NOT CLEAN"), "{table}");
    }

    #[test]
    fn the_json_reads_back() {
        let report = report(cpu(30.0), Outcome::NotClean("lost".to_owned()));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json.pointer("/measured/rows/request/median/cpu_us"), Some(&30.0.into()));
        assert_eq!(json.pointer("/against/rows/request/runs/0/not_clean"), Some(&"lost".into()));
        assert_eq!(serde_json::from_value::<RowsReport>(json).unwrap(), report);
    }

    #[test]
    fn a_file_that_is_no_result_is_an_error_that_names_it() {
        let error = RowsReport::read(Path::new("/no/such.json")).unwrap_err();
        assert!(matches!(error, ReportFileError::Read { .. }), "{error}");
        assert!(error.to_string().starts_with("cannot read /no/such.json: "), "{error}");
        let error = RowsReport::read(Path::new("/proc/self/status")).unwrap_err();
        assert!(matches!(error, ReportFileError::Parse { .. }), "{error}");
        assert!(error.to_string().starts_with("/proc/self/status is not a result of "), "{error}");
    }
}
