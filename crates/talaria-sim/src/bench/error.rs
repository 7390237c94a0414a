//! Why a benchmark has no report.

use super::instrument::InstrumentError;
use crate::testbed::TestbedError;

/// Why the benchmark could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The testbed failed.
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    /// No device could connect, or all of them lost their connections.
    #[error("no device is connected to the gateway{}", .0.as_ref().map(|error| format!(": {error}")).unwrap_or_default())]
    NoDevices(Option<String>),
    /// A tool that counts is missing or failed.
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
}
