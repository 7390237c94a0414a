//! The command `load`, which `bench` starts for the devices of a gateway. It is not for users.

use std::process::ExitCode;

use super::output::CommandError;

pub(super) async fn run() -> Result<ExitCode, CommandError> {
    talaria_sim::bench::serve_load().await?;
    Ok(ExitCode::SUCCESS)
}
