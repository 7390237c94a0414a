//! How long to wait after one failure after the other: twice as long each time, a random part of it.

use std::time::Duration;

use tokio::time::sleep;

use crate::random;

/// The longest wait before the second attempt.
const FIRST: Duration = Duration::from_millis(200);

/// The longest wait of all.
const LONGEST: Duration = Duration::from_secs(10);

/// The wait before the next attempt.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// Waits, at least half of the longest wait for this attempt.
    pub(super) async fn wait(&mut self) {
        let wait = self.next.mul_f64(0.5 + random::fraction() / 2.0);
        self.next = (self.next * 2).min(LONGEST);
        sleep(wait).await;
    }

    /// An attempt went well.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
