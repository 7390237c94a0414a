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
mod kernel;
mod machine;
mod measurement;
mod report;

pub use super::row::{ROWS, Row, RowError};
pub use baseline::{Baseline, BaselineError, Comparison};
pub use error::RowsError;
pub use figures::{Figures, Outcome, RowResult};
pub use machine::{GatewayVersion, Machine, Tool};
pub use report::{Measured, RowsReport, Size};

use std::collections::BTreeMap;
use std::path::Path;

use super::options::Options;
use crate::progress;

/// Measures the rows that the options name, and returns with them the baseline of the options, if there is one.
///
/// # Errors
/// If a row cannot be measured, there is no program to measure, or the baseline cannot be compared with. Losses are not errors: see
/// [`RowsReport::is_clean`].
pub async fn run(options: &Options) -> Result<(RowsReport, Option<Baseline>), RowsError> {
    let program = options.testbed.spawn.as_deref().ok_or(RowsError::NoProgram)?;
    let programs: Vec<&Path> = std::iter::once(program).chain(options.against.as_deref()).collect();
    let baseline = options.baseline.as_deref().map(Baseline::read).transpose()?;
    if let Some(baseline) = &baseline {
        // Before the measurement, which takes its time.
        baseline.check(&Machine::this(), &Tool::this(), &Size::of(options))?;
    }
    let rows = options.rows();
    let turns = options.turns();
    let bar = progress::bar("runs", (rows.len() * programs.len() * turns) as u64);
    let mut outcomes = vec![BTreeMap::<&str, Vec<Outcome>>::new(); programs.len()];
    for turn in 0..turns {
        for row in &rows {
            for position in 0..programs.len() {
                // The one that was first is second in the next turn.
                let which = (position + turn) % programs.len();
                bar.set_message(row.name);
                let outcome = measurement::measure(row, options, programs[which]).await?;
                outcomes[which].entry(row.name).or_default().push(outcome);
                bar.inc(1);
            }
        }
    }
    let mut measured = Vec::new();
    for (program, outcomes) in programs.iter().zip(outcomes) {
        let results = outcomes.into_iter().map(|(row, runs)| (row.to_owned(), RowResult::of(runs)));
        measured.push(Measured { gateway: version(program)?, rows: results.collect() });
    }
    let mut measured = measured.into_iter();
    let report = RowsReport {
        machine: Machine::this(),
        tool: Tool::this(),
        size: Size::of(options),
        turns,
        measured: measured.next().ok_or(RowsError::NoProgram)?,
        against: measured.next(),
    };
    Ok((report, baseline))
}

fn version(program: &Path) -> Result<GatewayVersion, RowsError> {
    GatewayVersion::of(program).map_err(|source| RowsError::Version { program: program.to_owned(), source })
}
