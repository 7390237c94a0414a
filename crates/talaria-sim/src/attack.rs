//! The attack drill: attackers misuse a gateway while honest devices work, and the report says what the devices notice.
//!
//! A fleet connects and sends events at a steady rate, first without and then with attackers. The drill passes if no device
//! loses its connection, no event is lost, the 99th percentile of the events' latency at most doubles, the gateway's memory
//! grows by no more than allowed, its metrics page too, and the gateway counts each kind of attack in the counter that is meant for it.
//!
//! This is not a flood: there are few attackers, and they pause between attempts. The drill tests how a gateway handles hostile
//! bytes, not how much traffic a network can carry. A gateway on another machine is attacked only with `--elsewhere`.
//!
//! The drill is in `drill.rs`, the attacks are in `attempt.rs`, their bytes in `attempt/bytes.rs`.

mod attacker;
mod attempt;
mod counts;
mod drill;
mod error;
mod kind;
mod limits;
mod metrics;
mod options;
mod report;
mod silent_host;

pub use counts::AttemptCounts;
pub use error::AttackError;
pub use kind::Kind;
pub use options::Options;
pub use report::{CounterIncrease, EventLatency, KindResult, Memory, Report, Series};

use crate::testbed::{Limits, Requirements, Routes, Testbed};
use drill::Drill;
use limits::{LONGEST_MESSAGE, UNFINISHED_MESSAGES};

/// Runs the drill.
///
/// # Errors
/// If it cannot be carried out. Harm to the honest devices is not an error: see [`Report::is_clean`].
pub async fn run(options: &Options) -> Result<Report, AttackError> {
    let limits = Limits {
        request_timeout: options.patience,
        message: LONGEST_MESSAGE,
        unfinished: UNFINISHED_MESSAGES,
    };
    let requirements = Requirements {
        connections: options.testbed.devices + options.attackers,
        window: None,
        limits: Some(limits),
        routes: Routes::Both,
    };
    let testbed = Testbed::start(&options.testbed, requirements).await?;
    let address = testbed.gateway.target.address;
    if !address.ip().is_loopback() && !options.elsewhere {
        return Err(AttackError::Elsewhere(address));
    }
    let metrics = testbed.gateway.spawned.as_ref().map(|spawned| spawned.metric()).or(options.metrics);
    let metrics = metrics.ok_or(AttackError::NoMetrics)?;
    let mut report = Drill { options, testbed: &testbed, metrics }.run().await?;
    report.exit_code = testbed.stop().await?;
    Ok(report)
}
