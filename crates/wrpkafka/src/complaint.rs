//! Errors that come by the thousand are logged once a minute each.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::ErrorType;

const PERIOD: Duration = Duration::from_secs(60);

/// When each type of error was logged last, and how many were not.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    records: Mutex<[Complaint; ErrorType::ALL.len()]>,
    unreachable: Mutex<Complaint>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Complaint {
    last: Option<Instant>,
    suppressed: u64,
}

impl Complaints {
    /// Whether a record's error of this type is to be logged now; then, how many were not since the last one.
    pub(crate) fn due(&self, error_type: ErrorType, now: Instant) -> Option<u64> {
        self.records.lock()[error_type as usize].due(now)
    }

    /// The same for the client's word that no broker can be reached, which it gives twice a second.
    pub(crate) fn unreachable_due(&self, now: Instant) -> Option<u64> {
        self.unreachable.lock().due(now)
    }
}

impl Complaint {
    fn due(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < PERIOD) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_error_is_logged_once_a_minute() {
        let complaints = Complaints::default();
        let start = Instant::now();
        assert_eq!(complaints.due(ErrorType::Timeout, start), Some(0));
        assert_eq!(complaints.due(ErrorType::Timeout, start), None);
        assert_eq!(complaints.due(ErrorType::Unknown, start), Some(0));
        assert_eq!(complaints.due(ErrorType::Timeout, start + PERIOD), Some(1));
    }
}
