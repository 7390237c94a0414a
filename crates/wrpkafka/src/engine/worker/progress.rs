//! Whether records that the client holds are acknowledged at all.
//!
//! A broker that hangs keeps its connections, and one without enough replicas in sync refuses each attempt, which the client
//! repeats: neither is an error of the client for as long as it lasts. So the acknowledgements are watched.

use std::time::{Duration, Instant};

/// Without an acknowledgement for this long, brokers do not work.
const PATIENCE: Duration = Duration::from_secs(5);

/// The acknowledgements so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    delivered: u64,
    /// Since when the client has had records and none was delivered.
    since: Option<Instant>,
}

impl Progress {
    /// Whether the client's records have been waiting too long for an acknowledgement. `delivered` is how many records
    /// were so far; `linger` is how long the client waits for a fuller batch.
    pub(super) fn is_stalled(
        &mut self,
        delivered: u64,
        has_records: bool,
        linger: Duration,
        now: Instant,
    ) -> bool {
        if !has_records || delivered != self.delivered {
            self.delivered = delivered;
            self.since = has_records.then_some(now);
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now.saturating_duration_since(since) >= PATIENCE + linger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_without_an_acknowledgement_for_too_long_are_noticed() {
        let mut progress = Progress::default();
        let (start, linger) = (Instant::now(), Duration::from_secs(1));
        let late = start + PATIENCE + linger;
        assert!(!progress.is_stalled(0, true, linger, start));
        assert!(!progress.is_stalled(0, true, linger, late - Duration::from_millis(1)));
        assert!(progress.is_stalled(0, true, linger, late));
        assert!(!progress.is_stalled(1, true, linger, late), "one was acknowledged");
        assert!(!progress.is_stalled(1, false, linger, late + PATIENCE), "nothing is left");
        assert!(!progress.is_stalled(1, true, linger, late + 2 * PATIENCE), "the first of new ones");
    }
}
