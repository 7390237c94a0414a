//! Limits a log line that could come thousands of times a second to one a second or a minute, with the number of
//! suppressed lines.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two lines, unless another one is given.
const PERIOD: Duration = Duration::from_secs(1);

/// The state of one throttled log line.
#[derive(Debug)]
pub(crate) struct Throttle {
    start: Instant,
    period: Duration,
    /// When the next line may be written, in milliseconds from `start`.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self::every(PERIOD)
    }

    /// A throttle with this time between two lines.
    pub(crate) fn every(period: Duration) -> Self {
        Self { start: Instant::now(), period, next: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// `None` if the line must be suppressed; otherwise the number of lines that were suppressed since the last one.
    pub(crate) fn admit(&self) -> Option<u64> {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Relaxed);
        let period = u64::try_from(self.period.as_millis()).unwrap_or(u64::MAX);
        if now < next
            || self.next.compare_exchange(next, now.saturating_add(period), Relaxed, Relaxed).is_err()
        {
            self.suppressed.fetch_add(1, Relaxed);
            return None;
        }
        Some(self.suppressed.swap(0, Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_a_second_is_admitted_with_the_number_of_suppressed_ones() {
        let throttle = Throttle::new();
        assert_eq!(throttle.admit(), Some(0));
        assert_eq!((throttle.admit(), throttle.admit()), (None, None));
        tokio::time::advance(PERIOD).await;
        assert_eq!(throttle.admit(), Some(2));
        assert_eq!(throttle.admit(), None);
    }
}
