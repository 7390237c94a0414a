//! Whether and when an event is posted again after a failed attempt (contract §5.6).
//!
//! The wait is a random part of an interval that doubles with each attempt ("full jitter"), so that the events that failed
//! together do not come back together. A `Retry-After` takes its place. A kept connection that was closed says nothing about the
//! receiver, so that event does not wait; but only once, since all connections that were kept to a receiver that has
//! restarted are closed, and would use up the event's attempts in a moment.
//!
//! Deliberately absent: the event's deadline, which bounds every wait, and where it waits (`retries.rs`).

use std::time::Duration;

use super::exchange::Answer;
use super::post_error::PostError;
use crate::event::config::{RetryConfig, RetryOn};
use crate::event::reason::DropReason;

/// During a stop, an event waits for at most this part of the time that is left.
const STOP_PARTS: u32 = 10;

pub(super) struct RetryPolicy(RetryConfig);

impl RetryPolicy {
    pub(super) fn new(config: RetryConfig) -> Self {
        Self(config)
    }

    /// Whether another attempt may succeed.
    pub(super) fn is_retryable(&self, posted: &Result<Answer, PostError>) -> bool {
        let RetryOn { connect, reset, statuses } = &self.0.on;
        match posted {
            Ok(answer) => statuses.contains(&answer.status),
            Err(error) if error.is_temporary() => true,
            Err(
                PostError::Lookup(_) | PostError::Connect(_) | PostError::Tls(_) | PostError::ConnectTimeout,
            ) => *connect,
            Err(error @ (PostError::Closed | PostError::Broken(_) | PostError::Exchange(_))) => {
                // An answer that is not HTTP is not better the next time.
                *reset && error.reason() != DropReason::UnknownNetwork
            }
            Err(_) => false,
        }
    }

    /// Whether an event with so many attempts may have another one.
    pub(super) const fn allows(&self, attempts: u32) -> bool {
        attempts <= self.0.retries
    }

    /// How long an event with so many attempts waits for the next one. `random` is from 0 to 1; `stop` is the time that is left
    /// if the gateway stops.
    pub(super) fn wait(
        &self,
        attempts: u32,
        posted: &Result<Answer, PostError>,
        random: f64,
        stop: Option<Duration>,
    ) -> Duration {
        let wait = match posted {
            Err(PostError::KeptClosed(_)) if attempts == 1 => Duration::ZERO,
            Ok(Answer { retry_after: Some(wait), .. }) => *wait,
            _ => self.interval(attempts).mul_f64(random),
        };
        stop.map_or(wait, |left| wait.min(left / STOP_PARTS))
    }

    fn interval(&self, attempts: u32) -> Duration {
        let RetryConfig { interval, max_interval, .. } = self.0;
        let doubled = 2u32.saturating_pow(attempts.saturating_sub(1));
        interval.saturating_mul(doubled).min(max_interval.max(interval))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use ::http::StatusCode;

    use super::*;

    fn answer(status: u16) -> Result<Answer, PostError> {
        Ok(Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None })
    }

    fn refused() -> Result<Answer, PostError> {
        Err(PostError::Connect(io::ErrorKind::ConnectionRefused.into()))
    }

    #[test]
    fn what_a_restart_causes_is_tried_again_and_what_is_final_is_not() {
        let policy = RetryPolicy::new(RetryConfig::default());
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(policy.is_retryable(&answer(status)), "{status}");
        }
        for status in [200, 201, 204, 302, 400, 401, 403, 404, 413, 501] {
            assert!(!policy.is_retryable(&answer(status)), "{status}");
        }
        assert!(policy.is_retryable(&refused()) && policy.is_retryable(&Err(PostError::Closed)));
        assert!(!policy.is_retryable(&Err(PostError::DeadlineExceeded)));
        let named = RetryPolicy::new(RetryConfig::default().for_named_hosts());
        assert!(named.allows(1) && !named.allows(2));
        assert!(!named.is_retryable(&refused()) && !named.is_retryable(&answer(503)));
        assert!(named.is_retryable(&answer(429)));
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_a_random_part_of_that() {
        let policy = RetryPolicy::new(RetryConfig::default());
        let wait = |attempts, random| policy.wait(attempts, &answer(503), random, None).as_secs_f64();
        let longest: Vec<f64> = (1..=7).map(|attempts| wait(attempts, 1.0)).collect();
        assert_eq!(longest, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!((wait(3, 0.0), wait(3, 0.25), wait(u32::MAX, 1.0)), (0.0, 1.0, 30.0));
    }

    #[test]
    fn after_a_kept_connection_that_was_closed_only_the_second_attempt_is_made_at_once() {
        let policy = RetryPolicy::new(RetryConfig::default());
        let wait = |attempts| {
            policy.wait(attempts, &Err(PostError::KeptClosed(Box::new(PostError::Closed))), 1.0, None)
        };
        assert_eq!([1, 2, 3].map(|attempts| wait(attempts).as_secs()), [0, 2, 4]);
    }

    #[test]
    fn an_interval_above_the_longest_one_is_kept() {
        let config = RetryConfig { interval: Duration::from_secs(60), ..RetryConfig::default() };
        let policy = RetryPolicy::new(config);
        assert_eq!(policy.wait(4, &refused(), 1.0, None).as_secs(), 60);
    }

    #[test]
    fn retry_after_takes_the_place_of_the_wait_and_a_stop_cuts_every_wait() {
        let policy = RetryPolicy::new(RetryConfig::default());
        let asked = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            Ok(Answer { status: StatusCode::TOO_MANY_REQUESTS, retry_after })
        };
        assert_eq!(policy.wait(1, &asked(7), 0.5, None).as_secs(), 7);
        assert_eq!(policy.wait(9, &asked(0), 0.5, None), Duration::ZERO);
        let left = Some(Duration::from_secs(20));
        assert_eq!(policy.wait(1, &asked(u64::MAX), 0.5, left).as_secs(), 2);
    }
}
