//! The clock of the program: how long it has run, and the time of day for ages of what pages give as times.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that reads clocks; there is no tokio here whose time could be paused"
)]

use std::time::{Duration, Instant, SystemTime};

/// Started with the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has run.
    pub(crate) fn running(self) -> Duration {
        self.0.elapsed()
    }

    /// Seconds since 1970.
    pub(crate) fn unix_seconds() -> f64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64())
    }
}
