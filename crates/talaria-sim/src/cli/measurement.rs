//! The commands `bench` and `attack`, which print a report as JSON and as a table.

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use talaria_sim::bench::rows::RowsReport;
use talaria_sim::{attack, bench};

use super::output::{CommandError, print_error_line, print_line};

/// The exit code if a measurement found losses or harm.
const NOT_CLEAN: u8 = 2;

pub(super) async fn bench(options: &bench::Options) -> Result<ExitCode, CommandError> {
    if options.is_by_rows() {
        return rows(options).await;
    }
    let report = Box::pin(bench::run(options)).await?;
    print_report(&report, options.json())?;
    Ok(exit_code(report.is_clean()))
}

async fn rows(options: &bench::Options) -> Result<ExitCode, CommandError> {
    let mut written = Ok(());
    let done = |row: &str, report: &RowsReport| {
        // The whole takes an hour, and may be interrupted.
        print_error_line(&format_args!("{}", report.row(row)));
        if let (Ok(()), Some(file)) = (&written, options.json()) {
            written = serde_json::to_string_pretty(report)
                .map_err(CommandError::from)
                .and_then(|json| write(file, json));
        }
    };
    let (report, baseline) = bench::rows::run(options, done).await?;
    written?;
    print_report(&report, options.json())?;
    if let Some(baseline) = baseline {
        let comparison = baseline.compare(&report);
        if options.json().is_some() { print_line(&comparison)? } else { print_error_line(&comparison) }
    }
    Ok(exit_code(report.is_clean()))
}

pub(super) async fn attack(options: &attack::Options) -> Result<ExitCode, CommandError> {
    let report = attack::run(options).await?;
    print_report(&report, options.json())?;
    Ok(exit_code(report.is_clean()))
}

/// Writes the JSON to `file` and the table to stdout; without a file the JSON goes to stdout and the table to stderr.
fn print_report(report: &(impl Serialize + Display), file: Option<&Path>) -> Result<(), CommandError> {
    let json = serde_json::to_string_pretty(report)?;
    if let Some(path) = file {
        write(path, json)?;
        print_line(report)?;
    } else {
        print_line(&json)?;
        print_error_line(report);
    }
    Ok(())
}

fn write(file: &Path, json: String) -> Result<(), CommandError> {
    fs::write(file, json + "\n").map_err(|error| format!("cannot write {}: {error}", file.display()).into())
}

fn exit_code(is_clean: bool) -> ExitCode {
    ExitCode::from(if is_clean { 0 } else { NOT_CLEAN })
}
