//! The benchmark: what a connect, an idle device, an event and a request cost a gateway.
//!
//! It works with any gateway that keeps to the contract, and measures it from outside: by the CPU clock and the resident memory
//! of its process. The phases follow each other; each ends when all its effects have arrived:
//!
//! 1. a few devices connect and a few events flow, so that costs that occur only once are not counted (*warm-up*);
//! 2. all other devices connect (*connect*) and stay (*idle*);
//! 3. events flow, with a limited number in flight (*event*); an event has arrived when both sinks have it;
//! 4. requests go through the API to devices and back (*request*);
//! 5. all devices disconnect (*disconnect*).
//!
//! The phases are in `phases.rs`. What they run on is a [`testbed`](crate::testbed).

mod costs;
mod error;
mod instrument;
mod load;
mod open_loop;
mod options;
mod pace;
mod phases;
mod report;
mod requests;
mod row;
pub mod rows;

pub use costs::Costs;
pub use error::BenchError;
pub use instrument::{Instrument, InstrumentError};
pub use load::{LoadError, LoadPlace, serve_stdio as serve_load};
pub use options::Options;
pub use report::{Connect, Disconnect, EndResult, Events, Idle, Parameters, Report, Requests};

use crate::testbed::{Requirements, Routes, Testbed};
use pace::Pace;
use phases::Bench;

/// Runs the benchmark.
///
/// # Errors
/// If it cannot be carried out. Losses are not errors: see [`Report::is_clean`].
pub async fn run(options: &Options) -> Result<Report, BenchError> {
    let requirements = Requirements {
        connections: options.testbed.devices,
        window: Some(options.window),
        limits: None,
        routes: Routes::Both,
    };
    let testbed = Box::pin(Testbed::start(&options.testbed, requirements)).await?;
    let bench = Bench { options, testbed: &testbed, pace: Pace::FlatOut };
    let mut report = Box::pin(bench.run()).await?;
    report.exit_code = testbed.stop().await?;
    Ok(report)
}
