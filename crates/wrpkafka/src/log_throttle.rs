//! Lines that come by the thousand are logged once a minute, with the number of those left out.

use std::time::{Duration, Instant};

pub(crate) const PERIOD: Duration = Duration::from_secs(60);

/// When one kind of line was logged last, and how many were left out since.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct LogThrottle {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogThrottle {
    /// If a line is to be logged now: how many were left out since the last one.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < PERIOD) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}
