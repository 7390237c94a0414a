//! A share of the CPU for work that comes in bursts, so that everything else always has the rest (contract §2.20).
//!
//! The share is a balance of CPU time: it grows with the clock, what is unused is kept for a short burst, and each piece of work
//! takes from it. Work may begin while the balance is positive.
//!
//! Deliberately absent: what the work is, what it costs, and the line of what waits (`server/handshakes.rs`, `device/ends.rs`).

use std::time::Duration;

use tokio::time::Instant;

/// How much of the unused time is kept for a burst.
const BURST: Duration = Duration::from_millis(20);

/// How often those that wait for the share are looked at.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// Times are in nanoseconds of CPU.
#[derive(Debug)]
pub(crate) struct CpuShare {
    /// What may be spent now; negative if too much was spent.
    balance: i64,
    updated: Instant,
    each_second: i64,
}

/// How many threads can compute at the same time.
pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

impl CpuShare {
    /// So much of so many cores, from 1 to 100 percent.
    pub(crate) fn new(cores: u32, percent: u32) -> Self {
        let each_second = i64::from(cores) * i64::from(percent) * 10_000_000;
        Self { balance: burst(each_second), updated: Instant::now(), each_second }
    }

    /// Nanoseconds of CPU.
    pub(crate) const fn each_second(&self) -> i64 {
        self.each_second
    }

    /// Adds what was earned since the last time.
    pub(crate) fn earn(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated).min(Duration::from_secs(60));
        self.updated = now;
        let earned = (self.each_second / 1_000_000).saturating_mul(elapsed.as_nanos() as i64 / 1000);
        self.balance = self.balance.saturating_add(earned).min(burst(self.each_second));
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

    #[tokio::test(start_paused = true)]
    async fn what_is_unused_is_kept_for_a_short_burst_only() {
        let start = Instant::now();
        let mut share = CpuShare::new(2, 25);
        share.earn(start + Duration::from_secs(30));
        share.spend(nanoseconds(Duration::from_millis(9)));
        assert!(share.is_left());
        share.spend(nanoseconds(Duration::from_millis(2)));
        assert!(!share.is_left(), "20 ms of half a core");
        share.earn(start + Duration::from_secs(30) + Duration::from_millis(3));
        assert!(share.is_left());
    }
}
