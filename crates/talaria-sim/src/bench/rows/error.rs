//! Why rows have no results.

use std::io;
use std::path::PathBuf;

use super::baseline::BaselineError;
use crate::bench::error::BenchError;
use crate::bench::load::LoadError;
use crate::testbed::TestbedError;

/// Why rows could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// A row could not be measured.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// A load process of the row `fleet` failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Rows are measured of gateways that are started for them.
    #[error("rows need --spawn: each has a gateway of its own")]
    NoProgram,
    /// The gateway cannot be asked for its version.
    #[error("cannot run {program} --version: {source}", program = .program.display())]
    Version {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The row has no figure that a tool could count.
    #[error("nothing is counted in the row {0}: leave out --count")]
    NothingToCount(&'static str),
    /// The result would not be comparable.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
}

impl From<TestbedError> for RowsError {
    fn from(error: TestbedError) -> Self {
        Self::Bench(error.into())
    }
}
