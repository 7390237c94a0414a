//! `talaria top` in this process: takes the options of the command line, the terminal and the environment together.
//!
//! Everything else is the crate `talaria-top`, which does not know the gateway.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use talaria_top::{Colours, Options, Outcome, Output, Target};

use crate::cli::{EXIT_FAILED, EXIT_USAGE, TopOptions, complain};

/// Watches gateways until the operator ends it. Lines have the exit code 1 if no gateway has ever answered; a screen has said so.
#[must_use]
pub fn run(options: TopOptions) -> ExitCode {
    let TopOptions { urls, interval, plain, run_for, ca } = options;
    let mut targets = Vec::with_capacity(urls.len());
    for url in &urls {
        match Target::parse(url) {
            Ok(target) => targets.push(target),
            Err(error) => {
                complain(&format!("talaria: {}: {error}\n", without_credentials(url)));
                return ExitCode::from(EXIT_USAGE);
            }
        }
    }
    let output = if plain || !can_be_drawn_on() { Output::Lines } else { Output::Screen(colours()) };
    match talaria_top::run(Options { targets, interval, run_for, output, authorities: ca }) {
        Ok(Outcome::Unreached) if output == Output::Lines => {
            complain("talaria: no gateway was reached\n");
            ExitCode::from(EXIT_FAILED)
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("talaria: {error}\n"));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Whether the standard output is a terminal that understands more than lines.
fn can_be_drawn_on() -> bool {
    io::stdout().is_terminal() && variable("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// <https://no-color.org>: any value but an empty one.
fn colours() -> Colours {
    if variable("NO_COLOR").is_some_and(|value| !value.is_empty()) { Colours::Unused } else { Colours::Used }
}

#[expect(clippy::disallowed_methods, reason = "these two are of the terminal, not of the configuration")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// An argument as it may be printed.
fn without_credentials(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("...@{host}"),
        None => url.to_owned(),
    }
}
