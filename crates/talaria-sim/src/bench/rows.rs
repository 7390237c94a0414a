//! The rows of the table of costs: each is one kind of work, which gets a run of the gateway of its own.
//!
//! [`ROWS`] lists them. With a second program, both are measured in turns, so that what the machine does
//! meanwhile happens to both; the results are medians and ratios. A run in which an event was lost, duplicated or late has no
//! figures. Start at [`run`]; how one row is measured is in `measurement.rs`.
//!
//! The whole benchmark in one run is [`bench::run`](super::run).

mod baseline;
mod error;
mod figures;
mod fleet;
mod kernel;
mod machine;
mod measurement;
mod report;

pub use super::row::{ROWS, Row, RowError};
pub use baseline::{Baseline, BaselineError, Comparison};
pub use error::RowsError;
pub use figures::{Figures, Outcome, RowResult};
pub use machine::{GatewayVersion, Machine, Tool};
pub use report::{Measured, ReportFileError, RowsReport, Size};

use std::path::Path;

use super::options::Options;
use crate::progress;

/// Measures the rows that the options name, and returns with them the baseline of the options, if there is one. After each row `done`
/// gets its name and the results up to then. A row that cannot be measured does not keep the others from it.
///
/// # Errors
/// If there is no program to measure, nothing to count, or the baseline cannot be compared with. Losses and rows that could not be
/// measured are not errors: see [`RowsReport::is_clean`].
pub async fn run(
    options: &Options,
    mut done: impl FnMut(&str, &RowsReport),
) -> Result<(RowsReport, Option<Baseline>), RowsError> {
    let program = options.testbed.spawn.as_deref().ok_or(RowsError::NoProgram)?;
    let programs: Vec<&Path> = std::iter::once(program).chain(options.against.as_deref()).collect();
    let rows = options.rows();
    if let Some(row) = rows.iter().find(|row| options.count.is_some() && !row.can_be_counted()) {
        return Err(RowsError::NothingToCount(row.name));
    }
    let baseline = options.baseline.as_deref().map(Baseline::read).transpose()?;
    if let Some(baseline) = &baseline {
        // Before the measurement, which takes its time.
        baseline.check(&Machine::this(), &Tool::this(), &Size::of(options))?;
    }
    let turns = options.turns();
    let mut report = RowsReport {
        machine: Machine::this(),
        tool: Tool::this(),
        size: Size::of(options),
        turns,
        measured: Measured::nothing_of(version(program)?),
        against: options.against.as_deref().map(version).transpose()?.map(Measured::nothing_of),
    };
    let bar = progress::bar("runs", (rows.len() * programs.len() * turns) as u64);
    for row in &rows {
        bar.set_message(row.name);
        let mut outcomes = vec![Vec::new(); programs.len()];
        for turn in 0..turns {
            for position in 0..programs.len() {
                // The one that was first is second in the next turn.
                let which = (position + turn) % programs.len();
                let outcome = measurement::measure(row, options, programs[which]).await;
                outcomes[which].push(
                    outcome.unwrap_or_else(|error| {
                        Outcome::NotClean(format!("it could not be measured: {error}"))
                    }),
                );
                bar.inc(1);
            }
        }
        let measured = std::iter::once(&mut report.measured).chain(&mut report.against);
        for (measured, runs) in measured.zip(outcomes) {
            measured.rows.insert(row.name.to_owned(), RowResult::of(runs));
        }
        bar.suspend(|| done(row.name, &report));
    }
    Ok((report, baseline))
}

fn version(program: &Path) -> Result<GatewayVersion, RowsError> {
    GatewayVersion::of(program).map_err(|source| RowsError::Version { program: program.to_owned(), source })
}
