//! The command `size`, which prints a plan.

use std::process::ExitCode;

use talaria_sim::size::{Options, Plan};

use super::output::{CommandError, print_line};

pub(super) fn run(options: &Options) -> Result<ExitCode, CommandError> {
    let measured = options.measured()?;
    print_line(&Plan::of(options.inputs(measured.as_ref())?)?)?;
    if let Some(measured) = measured {
        print_line(&format_args!("costs                     of {measured}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
