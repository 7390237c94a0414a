//! The times that ages on the screen are counted from.

use std::time::Duration;

use crate::number::age;

/// The time of a screen, by two clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Since the program started.
    pub running: Duration,
    /// Seconds since 1970.
    pub unix_seconds: f64,
}

impl Now {
    /// How long ago a time of day was; `-` if it is not known.
    pub(super) fn since(self, unix_seconds: Option<f64>) -> String {
        let passed = unix_seconds.and_then(|time| Duration::try_from_secs_f64(self.unix_seconds - time).ok());
        passed.map_or_else(|| "-".to_owned(), age)
    }

    /// How long it is until a time of day; `None` if it has passed.
    pub(super) fn until(self, unix_seconds: f64) -> Option<Duration> {
        Duration::try_from_secs_f64(unix_seconds - self.unix_seconds).ok()
    }

    /// Why a gateway is not reached, and since when.
    pub(super) fn unreached(self, error: &str, since: Duration) -> String {
        format!("not reached for {}: {error}", age(self.running.saturating_sub(since)))
    }
}
