//! Errors that come by the thousand are logged once a minute each, with the number of lines left out.

use std::time::Instant;

use parking_lot::Mutex;

use crate::dead_letter::DeadLetterReason;
use crate::error::{ErrorType, PublishError};
use crate::log_throttle::LogThrottle;

/// A throttle for each kind of record error, and one for lost dead letters.
#[derive(Debug, Default)]
pub(super) struct RecordErrorThrottle {
    /// By [`kind`].
    errors: Mutex<[LogThrottle; KINDS]>,
    lost_dead_letters: Mutex<LogThrottle>,
}

/// Errors that make a dead letter have one throttle for each of its reasons: an unknown topic must not hide a record that
/// is too large. The other errors have one for each type.
const KINDS: usize = ErrorType::ALL.len() + DeadLetterReason::ALL.len();

fn kind(error: &PublishError) -> usize {
    match error.dead_letter_reason() {
        None => error.error_type() as usize,
        Some(reason) => ErrorType::ALL.len() + reason as usize,
    }
}

impl RecordErrorThrottle {
    /// If a record's error is to be logged now: how many of its kind were left out since the last one.
    pub(super) fn admit(&self, error: &PublishError, now: Instant) -> Option<u64> {
        self.errors.lock()[kind(error)].admit(now)
    }

    /// The same for a dead letter that is lost.
    pub(super) fn admit_lost_dead_letter(&self, now: Instant) -> Option<u64> {
        self.lost_dead_letters.lock().admit(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_throttle::PERIOD;

    #[test]
    fn each_kind_of_error_is_logged_once_a_minute() {
        let throttle = RecordErrorThrottle::default();
        let start = Instant::now();
        assert_eq!(throttle.admit(&PublishError::Timeout, start), Some(0));
        assert_eq!(throttle.admit(&PublishError::Timeout, start), None);
        assert_eq!(throttle.admit(&PublishError::EmptyTopic, start), Some(0));
        assert_eq!(throttle.admit(&PublishError::Timeout, start + PERIOD), Some(1));
    }

    #[test]
    fn a_brokers_rejection_is_logged_by_its_reason_not_by_its_type() {
        let throttle = RecordErrorThrottle::default();
        let start = Instant::now();
        let broker = |code: &str| PublishError::Broker { code: code.into(), reason: "".into() };
        for (code, admitted) in [
            ("TopicAuthorizationFailed", Some(0)),
            ("UnknownTopic", Some(0)),
            ("UnknownTopicOrPartition", None),
            ("MessageSizeTooLarge", Some(0)),
        ] {
            assert_eq!(throttle.admit(&broker(code), start), admitted, "{code}");
        }
    }
}
