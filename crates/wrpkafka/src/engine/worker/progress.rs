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
    /// Since when the client has had records and none was delivered; `delivered` is how many were so far.
    pub(super) fn unacknowledged_since(
        &mut self,
        delivered: u64,
        has_records: bool,
        now: Instant,
    ) -> Option<Instant> {
        if !has_records || delivered != self.delivered {
            self.delivered = delivered;
            self.since = None;
        }
        if has_records {
            self.since.get_or_insert(now);
        }
        self.since
    }

    /// Whether that is too long, for a client that waits so long for a fuller batch.
    pub(super) fn is_stalled(&self, linger: Duration, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE + linger)
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
        assert_eq!(progress.unacknowledged_since(0, true, start), Some(start));
        assert!(!progress.is_stalled(linger, late - Duration::from_millis(1)));
        assert_eq!(progress.unacknowledged_since(0, true, late), Some(start));
        assert!(progress.is_stalled(linger, late));
        assert_eq!(progress.unacknowledged_since(1, true, late), Some(late), "one was acknowledged");
        assert!(!progress.is_stalled(linger, late));
        assert_eq!(progress.unacknowledged_since(1, false, late), None, "nothing is left");
        let later = late + PATIENCE;
        assert_eq!(progress.unacknowledged_since(1, true, later), Some(later), "the first of new ones");
    }
}
