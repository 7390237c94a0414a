//! Whether the brokers can be worked with: the current connection failure, and when it is logged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::log_throttle::LogThrottle;
use crate::connection_failure::ConnectionFailure;

/// The connection failure of the newest client. What older clients report is ignored.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    current: Mutex<Current>,
    /// Whether there is a failure: read for every record that is delivered.
    has_failed: AtomicBool,
}

#[derive(Debug, Default)]
struct Current {
    client: u64,
    failure: Option<ConnectionFailure>,
    throttles: [LogThrottle; ConnectionFailure::ALL.len()],
}

impl ConnectionState {
    /// Counts only this client's reports from now on. Its first failure is logged at once, even if an older client met
    /// the same one just before.
    pub(super) fn follow(&self, client: u64) {
        *self.current.lock() = Current { client, ..Current::default() };
        self.has_failed.store(false, Ordering::Relaxed);
    }

    /// Notes a client's failure. If it is to be logged now: how many were not since the last log line.
    pub(super) fn failed(&self, client: u64, failure: ConnectionFailure, now: Instant) -> Option<u64> {
        let mut current = self.current.lock();
        // That all brokers are down follows from the cause that is already known.
        let is_consequence = failure == ConnectionFailure::Unreachable
            && current.failure.is_some_and(|known| known != failure);
        if client != current.client || is_consequence {
            return None;
        }
        current.failure = Some(failure);
        self.has_failed.store(true, Ordering::Relaxed);
        current.throttles[failure as usize].admit(now)
    }

    /// Notes that a broker has answered a client. Returns the failure that ends with it.
    pub(super) fn reached(&self, client: u64) -> Option<ConnectionFailure> {
        if !self.has_failed.load(Ordering::Relaxed) {
            return None;
        }
        let mut current = self.current.lock();
        if client != current.client {
            return None;
        }
        self.has_failed.store(false, Ordering::Relaxed);
        current.failure.take()
    }

    /// The client whose reports count.
    pub(super) fn client(&self) -> u64 {
        self.current.lock().client
    }

    pub(super) fn failure(&self) -> Option<ConnectionFailure> {
        self.current.lock().failure
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_failure_is_logged_once_a_minute_and_ends_when_a_broker_answers() {
        let state = ConnectionState::default();
        let start = Instant::now();
        assert_eq!(state.failed(0, ConnectionFailure::Credentials, start), Some(0));
        assert_eq!(state.failed(0, ConnectionFailure::Credentials, start), None);
        assert_eq!(state.failed(0, ConnectionFailure::Unreachable, start), None, "it follows from the other");
        assert_eq!(state.failure(), Some(ConnectionFailure::Credentials));
        let later = start + Duration::from_secs(60);
        assert_eq!(state.failed(0, ConnectionFailure::Credentials, later), Some(1));
        assert_eq!(state.reached(0), Some(ConnectionFailure::Credentials));
        assert_eq!((state.reached(0), state.failure()), (None, None));
    }

    #[test]
    fn only_the_newest_clients_reports_count() {
        let state = ConnectionState::default();
        let now = Instant::now();
        state.failed(0, ConnectionFailure::Credentials, now);
        state.follow(1);
        assert_eq!(state.failure(), None);
        assert_eq!(state.failed(0, ConnectionFailure::Credentials, now), None);
        assert_eq!(state.failed(1, ConnectionFailure::Credentials, now), Some(0));
        assert_eq!(state.reached(0), None, "the old one's last answers");
    }
}
