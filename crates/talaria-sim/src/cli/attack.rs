//! `talaria-sim attack`

use std::fs;
use std::process::ExitCode;

use talaria_sim::attack::{self, Options};

use super::{Failure, say, tell};

pub(super) async fn run(options: &Options) -> Result<ExitCode, Failure> {
    let report = attack::run(options).await?;
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(path) = options.json() {
        fs::write(path, json + "\n").map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        say(&report)?;
    } else {
        say(&json)?;
        tell(&report);
    }
    Ok(ExitCode::from(if report.is_clean() { 0 } else { 2 }))
}
