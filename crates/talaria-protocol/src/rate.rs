//! How much of something may come within a time: a token bucket.
//!
//! A [`Bucket`] is full at first and holds the tokens of a burst; each unit (a message, a byte, a connection) takes one, and
//! they come back at the rate. It is one number, because what it stores is when it will be full again (the generic cell
//! rate algorithm, ITU-T I.371): nothing has to be done while time passes.
//!
//! Deliberately absent: the clock, and what happens to what comes too fast. The caller passes the time since any moment of
//! its own, the same moment each time.

mod messages;

use std::time::Duration;

pub use messages::{MessageBuckets, MessageRate, UsedUp};

/// So much in so long, and so much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u64,
    /// The time in which `count` tokens come back, in nanoseconds.
    period: u64,
    burst: u64,
}

/// What is left of a [`Rate`]: one for each sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When all tokens are back, in nanoseconds.
    full_at: u64,
}

impl Rate {
    /// So many in a second in the long run, and up to `burst` at once; at least one of each.
    #[must_use]
    pub fn per_second(count: u64, burst: u64) -> Self {
        Self { count: count.max(1), period: nanoseconds(Duration::from_secs(1)), burst: burst.max(1) }
    }

    /// So many at once, which come back within `period`.
    #[must_use]
    pub fn within(count: u64, period: Duration) -> Self {
        Self { count: count.max(1), period: nanoseconds(period), burst: count.max(1) }
    }

    /// The time in which so many tokens come back, in nanoseconds.
    fn time_of(&self, tokens: u64) -> u64 {
        let nanoseconds = u128::from(tokens) * u128::from(self.period) / u128::from(self.count);
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }
}

impl Bucket {
    /// How long it takes until there is a token; no time if there is one.
    #[must_use]
    pub fn wait(&self, rate: &Rate, now: Duration) -> Duration {
        let missing = self.full_at.saturating_sub(nanoseconds(now));
        Duration::from_nanos(missing.saturating_sub(rate.time_of(rate.burst - 1)))
    }

    /// Takes so many tokens, also if there are fewer: the rest is owed, and there is no token until it has come back.
    pub fn take(&mut self, rate: &Rate, tokens: u64, now: Duration) {
        self.full_at = self.full_at.max(nanoseconds(now)).saturating_add(rate.time_of(tokens));
    }

    /// Takes one token if there is one. Returns whether there was.
    pub fn try_take(&mut self, rate: &Rate, now: Duration) -> bool {
        let has_token = self.wait(rate, now).is_zero();
        if has_token {
            self.take(rate, 1, now);
        }
        has_token
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_is_taken_at_once_and_then_each_token_when_it_is_back() {
        let (rate, mut bucket) = (Rate::per_second(10, 3), Bucket::default());
        let mut takes = |at| bucket.try_take(&rate, millis(at));
        let times = [0, 0, 0, 0, 99, 100, 100, 200];
        assert_eq!(times.map(&mut takes), [true, true, true, false, false, true, false, true]);
        assert_eq!([10_000; 4].map(takes), [true, true, true, false], "no more than a burst is saved");
    }

    #[test]
    fn more_than_there_is_can_be_taken_and_is_owed() {
        let (rate, mut bucket) = (Rate::per_second(1000, 100), Bucket::default());
        bucket.take(&rate, 2000, millis(0));
        assert_eq!(bucket.wait(&rate, millis(0)), millis(1901));
        assert_eq!(bucket.wait(&rate, millis(1000)), millis(901));
        assert_eq!(bucket.wait(&rate, millis(1901)), Duration::ZERO);
    }

    #[test]
    fn a_count_within_a_period_is_its_burst() {
        let (rate, mut bucket) = (Rate::within(5, Duration::from_secs(60)), Bucket::default());
        let takes = (0..10).filter(|_| bucket.try_take(&rate, millis(1))).count();
        assert_eq!(takes, 5);
        assert!(!bucket.try_take(&rate, millis(12_000)));
        assert!(bucket.try_take(&rate, millis(12_001)));
    }

    #[test]
    fn the_largest_values_neither_overflow_nor_last_for_no_time() {
        let most = Duration::MAX;
        for rate in [Rate::per_second(u64::MAX, u64::MAX), Rate::per_second(0, 0), Rate::within(1, most)] {
            let mut bucket = Bucket::default();
            bucket.take(&rate, u64::MAX, most);
            let _ = bucket.wait(&rate, Duration::ZERO);
        }
        let mut slowest = Bucket::default();
        slowest.take(&Rate::within(1, most), 2, Duration::ZERO);
        assert!(slowest.wait(&Rate::within(1, most), Duration::ZERO) > Duration::from_secs(1 << 30));
    }

    proptest! {
        /// In no stretch of time is more taken than a burst, what the rate gives, and the last one, which may be owed.
        #[test]
        fn no_stretch_of_time_has_more_than_the_rate(
            per_second in 1_u64..5000,
            burst in 1_u64..5000,
            arrivals in prop::collection::vec((0_u64..50_000_000, 1_u64..3000), 1..100),
        ) {
            let (rate, mut bucket) = (Rate::per_second(per_second, burst), Bucket::default());
            let (mut now, mut taken) = (Duration::ZERO, Vec::new());
            for (pause, amount) in arrivals {
                now += Duration::from_nanos(pause);
                if bucket.wait(&rate, now).is_zero() {
                    bucket.take(&rate, amount, now);
                    taken.push((now, amount));
                }
            }
            for from in 0..taken.len() {
                for to in from..taken.len() {
                    let sum: u64 = taken[from..=to].iter().map(|(_, amount)| amount).sum();
                    let time = (taken[to].0 - taken[from].0).as_secs_f64();
                    let most = burst as f64 + time * per_second as f64 + taken[to].1 as f64 + 1.0;
                    prop_assert!(sum as f64 <= most, "{sum} taken in {time} s, at most {most}");
                }
            }
        }

        /// A sender that keeps to the rate never waits.
        #[test]
        fn a_sender_that_keeps_to_the_rate_never_waits(per_second in 1_u64..10_000, burst in 1_u64..100) {
            let (rate, mut bucket) = (Rate::per_second(per_second, burst), Bucket::default());
            for number in 0..500 {
                let now = Duration::from_nanos(number * 1_000_000_000_u64.div_ceil(per_second));
                prop_assert!(bucket.try_take(&rate, now));
            }
        }
    }
}
