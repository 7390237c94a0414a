//! A share of the CPU for work that comes in bursts, so that everything else always has the rest (contract §2.20).
//!
//! The share is a balance of CPU time: it grows with the clock, what is unused is kept for a moment, and each piece of work
//! takes from it. Work may begin while the balance is positive.
//!
//! The share is configured as a part of all cores, but a neighbour may use them, and what the work causes elsewhere is not part of its
//! cost. So the share also follows what is left: while the tasks of the runtime run late it is lowered down to a quarter, and
//! it rises again while they do not ([`CpuShare::adapt`]).
//!
//! Deliberately absent: what the work is, what it costs, and the line of what waits (`server/handshakes.rs`, `device/ends.rs`).

use std::time::Duration;

use tokio::time::Instant;

use crate::lateness::{self, LATE};

/// How often those that wait for the share are looked at.
const TICK: Duration = Duration::from_millis(2);

/// How much of the unused time is kept: no more than what begins in one tick and the next, since all of it runs before the tasks of
/// others, and since time that passes while the runtime is late is not unused.
const BURST: Duration = Duration::from_millis(4);

/// The part (one of this many) of the configured share that is left at least.
const LEAST: i64 = 4;

/// The part of the share by which it is lowered for each [`LATE`] that the runtime is late, and the most of these at once.
const LOWERED_BY: i64 = 8;
const MOST_LOWERED: i64 = 4;

/// The part of the configured share by which it rises in a tick that is not late.
const RAISED_BY: i64 = 1000;

/// After so long without work nothing is known about the runtime. Then the share is the least, since a storm is noticed only when others
/// are late already.
const FORGOTTEN: Duration = Duration::from_secs(1);

/// Times are in nanoseconds of CPU.
#[derive(Debug)]
pub(crate) struct CpuShare {
    /// What may be spent now; negative if too much was spent.
    balance: i64,
    updated: Instant,
    each_second: i64,
    configured: i64,
}

/// How many threads can compute at the same time.
pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// Waits for the next tick. Returns how late it comes.
pub(crate) async fn tick() -> Duration {
    lateness::sleep(TICK).await
}

/// The CPU time that this thread has used. Unlike the clock it does not count while another thread has the CPU.
#[expect(unsafe_code, reason = "the standard library has no call for the CPU time of a thread")]
pub(crate) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer refers to a live timespec that nothing else uses, which is all that clock_gettime requires.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } != 0;
    if failed { Duration::ZERO } else { Duration::new(time.tv_sec as u64, time.tv_nsec as u32) }
}

impl CpuShare {
    /// So much of so many cores, from 1 to 100 percent.
    pub(crate) fn new(cores: u32, percent: u32) -> Self {
        let each_second = i64::from(cores) * i64::from(percent) * 10_000_000;
        Self { balance: burst(each_second), updated: Instant::now(), each_second, configured: each_second }
    }

    /// So much of so many cores from now on. What it was lowered by stays.
    pub(crate) fn set(&mut self, cores: u32, percent: u32) {
        let configured = i64::from(cores) * i64::from(percent) * 10_000_000;
        let lowered =
            i128::from(self.each_second) * i128::from(configured) / i128::from(self.configured.max(1));
        self.each_second = i64::try_from(lowered).unwrap_or(configured).clamp(configured / LEAST, configured);
        self.configured = configured;
        self.balance = self.balance.min(burst(self.each_second));
    }

    /// Nanoseconds of CPU.
    pub(crate) const fn each_second(&self) -> i64 {
        self.each_second
    }

    /// Adds what was earned since the last time.
    pub(crate) fn earn(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated);
        self.updated = now;
        if elapsed >= FORGOTTEN {
            self.each_second = self.configured / LEAST;
        }
        let earned =
            (self.each_second / 1_000_000).saturating_mul(elapsed.min(BURST).as_nanos() as i64 / 1000);
        self.balance = self.balance.saturating_add(earned).min(burst(self.each_second));
    }

    /// Follows the runtime, whose [`tick`] was so late.
    pub(crate) fn adapt(&mut self, late: Duration) {
        let times =
            i64::try_from(late.as_nanos() / LATE.as_nanos()).unwrap_or(MOST_LOWERED).min(MOST_LOWERED);
        let each_second = if times == 0 {
            self.each_second + self.configured / RAISED_BY
        } else {
            self.each_second - self.each_second / LOWERED_BY * times
        };
        self.each_second = each_second.clamp(self.configured / LEAST, self.configured);
    }

    /// Whether more work may begin.
    pub(crate) const fn is_left(&self) -> bool {
        self.balance > 0
    }

    /// Takes from the balance, or gives back to it what is negative.
    pub(crate) const fn spend(&mut self, time: i64) {
        self.balance = self.balance.saturating_sub(time);
    }
}

/// What is kept at most.
const fn burst(each_second: i64) -> i64 {
    each_second / 1000 * BURST.as_millis() as i64
}

/// As [`CpuShare`] counts.
pub(crate) fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn is_left_after(share: &mut CpuShare, spent: Duration) -> bool {
        share.spend(nanoseconds(spent));
        share.is_left()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_unused_is_kept_for_a_moment_only() {
        let start = Instant::now();
        let mut share = CpuShare::new(2, 50);
        share.earn(start + 900 * MILLISECOND);
        assert!(is_left_after(&mut share, 3 * MILLISECOND));
        assert!(!is_left_after(&mut share, 2 * MILLISECOND), "4 ms of one core");
        share.earn(start + 902 * MILLISECOND);
        assert!(share.is_left());
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_runtime_was_late_is_not_unused() {
        let start = Instant::now();
        let mut share = CpuShare::new(2, 50);
        assert!(!is_left_after(&mut share, 24 * MILLISECOND));
        share.earn(start + 20 * MILLISECOND);
        assert!(!share.is_left(), "of 20 ms it earns 4");
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_is_late_lowers_the_share_to_a_quarter_and_one_that_is_not_raises_it_again() {
        let mut share = CpuShare::new(2, 50);
        let full = share.each_second();
        share.adapt(2 * MILLISECOND);
        assert_eq!(share.each_second(), full, "timers are never exact");
        share.adapt(3 * MILLISECOND);
        assert_eq!(share.each_second(), full / 8 * 7);
        share.adapt(Duration::from_secs(1));
        assert_eq!(share.each_second(), full / 16 * 7, "by half at most");
        (0..20).for_each(|_| share.adapt(5 * MILLISECOND));
        assert_eq!(share.each_second(), full / 4);
        (0..100).for_each(|_| share.adapt(MILLISECOND));
        assert_eq!(share.each_second(), full / 100 * 35);
        (0..650).for_each(|_| share.adapt(MILLISECOND));
        assert_eq!(share.each_second(), full);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_the_share_begins_with_a_quarter() {
        let start = Instant::now();
        let mut share = CpuShare::new(2, 50);
        let full = share.each_second();
        share.earn(start + 900 * MILLISECOND);
        assert_eq!(share.each_second(), full);
        share.earn(start + 2_000 * MILLISECOND);
        assert_eq!(share.each_second(), full / 4);
    }

    #[tokio::test(start_paused = true)]
    async fn another_share_holds_at_once_and_stays_lowered_in_proportion() {
        let mut share = CpuShare::new(2, 50);
        share.adapt(3 * MILLISECOND);
        share.set(2, 25);
        assert_eq!(share.each_second(), 500_000_000 / 8 * 7);
        assert!(!is_left_after(&mut share, 2 * MILLISECOND), "4 ms of its share");
        (0..1000).for_each(|_| share.adapt(MILLISECOND));
        assert_eq!(share.each_second(), 500_000_000);
    }

    #[test]
    fn the_time_of_a_thread_goes_on_while_it_computes() {
        let start = thread_time();
        let mut number = 1_u64;
        while thread_time() - start < MILLISECOND {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert!(start > Duration::ZERO);
    }
}
