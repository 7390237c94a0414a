//! Errors that come by the thousand are logged once a minute each.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::dead_letter::DeadLetterReason;
use crate::error::{ErrorType, PublishError};

const PERIOD: Duration = Duration::from_secs(60);

/// When each kind of error was logged last, and how many were not.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    /// By [`kind`]: those that make no dead letter by their type, the others by their reason.
    records: Mutex<[Complaint; KINDS]>,
    lost_letters: Mutex<Complaint>,
}

/// Reasons, rather than types, where there is one: a topic that is unknown must not hide a record that is too large.
const KINDS: usize = ErrorType::ALL.len() + DeadLetterReason::ALL.len();

fn kind(error: &PublishError) -> usize {
    match error.dead_letter_reason() {
        None => error.error_type() as usize,
        Some(reason) => ErrorType::ALL.len() + reason as usize,
    }
}

/// One thing that is complained of.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Complaint {
    last: Option<Instant>,
    suppressed: u64,
}

impl Complaints {
    /// Whether a record's error is to be logged now; then, how many of its kind were not since the last one.
    pub(crate) fn due(&self, error: &PublishError, now: Instant) -> Option<u64> {
        self.records.lock()[kind(error)].due(now)
    }

    /// The same for dead letters that are lost.
    pub(crate) fn lost_letter_due(&self, now: Instant) -> Option<u64> {
        self.lost_letters.lock().due(now)
    }
}

impl Complaint {
    /// Whether it is to be told now; then, how often it was not since the last time.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u64> {
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
    fn each_kind_of_error_is_logged_once_a_minute() {
        let complaints = Complaints::default();
        let start = Instant::now();
        assert_eq!(complaints.due(&PublishError::Timeout, start), Some(0));
        assert_eq!(complaints.due(&PublishError::Timeout, start), None);
        assert_eq!(complaints.due(&PublishError::EmptyTopic, start), Some(0));
        assert_eq!(complaints.due(&PublishError::Timeout, start + PERIOD), Some(1));
    }

    #[test]
    fn what_a_broker_refuses_is_logged_by_its_reason_not_by_its_type() {
        let complaints = Complaints::default();
        let start = Instant::now();
        let broker = |code: &str| PublishError::Broker { code: code.into(), reason: "".into() };
        for (code, due) in [
            ("TopicAuthorizationFailed", Some(0)),
            ("UnknownTopic", Some(0)),
            ("UnknownTopicOrPartition", None),
            ("MessageSizeTooLarge", Some(0)),
        ] {
            assert_eq!(complaints.due(&broker(code), start), due, "{code}");
        }
    }
}
