//! The time that a device waits before it connects again.

use std::time::Duration;

use crate::random::Random;

/// Exponential backoff with jitter: the time doubles with each failure up to a limit, and the actual wait is a random value
/// between half of it and all of it, so that devices that lost their connections together do not reconnect together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The time after the first failure.
    pub first: Duration,
    /// The limit.
    pub longest: Duration,
}

impl Default for Backoff {
    /// 250 ms, up to 30 s.
    fn default() -> Self {
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The time to wait after this many consecutive failures, counted from 1.
    pub fn wait(&self, failures: u32, random: &mut Random) -> Duration {
        let doubled = self.first.saturating_mul(1u32 << failures.saturating_sub(1).min(20));
        doubled.min(self.longest).mul_f64(0.5 + random.unit() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_with_jitter_in_their_upper_half() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(10) };
        let mut random = Random::seeded(3);
        for (failures, full) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (60, 10)] {
            let full = Duration::from_secs(full);
            for _ in 0..50 {
                let wait = backoff.wait(failures, &mut random);
                assert!(full / 2 <= wait && wait <= full, "{failures} failures: {wait:?}");
            }
        }
    }
}
