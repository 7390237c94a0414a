//! Spreads the closes of many devices over a time, so that they do not all connect to the other gateways in the same moment
//! (contract §2.20).

use std::time::Duration;

use tokio::time::Instant;

use crate::random;

/// Few devices need less than the whole time: at least so many are closed in a second.
const LEAST_PER_SECOND: u32 = 100;

/// When each of many devices is to be closed: evenly over a time, each at a random moment of its part.
#[derive(Debug)]
pub struct Spread {
    start: Instant,
    /// The part of each device.
    step: Duration,
    next: u32,
}

impl Spread {
    /// From now on, over this time or less.
    #[must_use]
    pub fn over(time: Duration, devices: usize) -> Self {
        let devices = u32::try_from(devices).unwrap_or(u32::MAX).max(1);
        let step = (time / devices).min(Duration::from_secs(1) / LEAST_PER_SECOND);
        Self { start: Instant::now(), step, next: 0 }
    }

    /// From now on, so many devices in a second.
    #[must_use]
    pub fn at_rate(per_second: u32) -> Self {
        Self { start: Instant::now(), step: Duration::from_secs(1) / per_second.max(1), next: 0 }
    }

    /// When the next device is to be closed.
    pub fn next_close(&mut self) -> Instant {
        let jitter = self.step.mul_f64(random::fraction());
        let close = self.start + self.step.saturating_mul(self.next) + jitter;
        self.next = self.next.saturating_add(1);
        close
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closes(time: Duration, devices: usize) -> Vec<Duration> {
        let mut spread = Spread::over(time, devices);
        (0..devices).map(|_| spread.next_close() - spread.start).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn many_devices_are_closed_evenly_over_the_time_with_jitter() {
        let closes = closes(Duration::from_secs(10), 10_000);
        for (number, close) in (0..).zip(&closes) {
            let part = Duration::from_millis(1);
            assert!((part * number..part * (number + 1)).contains(close), "{number}: {close:?}");
        }
        let odd: std::collections::HashSet<_> =
            closes.iter().map(|close| close.subsec_nanos() % 1_000_000).collect();
        assert!(odd.len() > 500, "{}", odd.len());
    }

    #[tokio::test(start_paused = true)]
    async fn few_devices_are_closed_at_a_hundred_a_second() {
        let last = *closes(Duration::from_secs(10), 300).last().unwrap();
        assert!((2.98..3.0).contains(&last.as_secs_f64()), "{last:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn with_a_rate_the_time_follows_from_the_number() {
        let mut spread = Spread::at_rate(50);
        let last = (0..200).map(|_| spread.next_close() - spread.start).last().unwrap();
        assert!((3.98..4.0).contains(&last.as_secs_f64()), "{last:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_time_all_are_closed_at_once() {
        assert_eq!(closes(Duration::ZERO, 1000), vec![Duration::ZERO; 1000]);
    }
}
