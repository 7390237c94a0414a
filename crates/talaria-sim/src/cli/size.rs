//! The command `size`, which prints a plan.

use std::process::ExitCode;

use talaria_sim::size::{Options, Plan};

use super::output::{CommandError, print_line};

pub(super) fn run(options: Options) -> Result<ExitCode, CommandError> {
    print_line(&Plan::of(options.into())?)?;
    Ok(ExitCode::SUCCESS)
}
