//! Whether records come so fast that it pays to gather them.
//!
//! Gathering delays records, which does not matter to senders that wait for nothing. Those that wait for one acknowledgement
//! before they send again would be slowed down by it: if fewer records come once they are gathered, they go at once again for a
//! while.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Records are gathered when so many come …
const MANY: u64 = 32;
/// … within this time: 1,600 a second.
const FAST: Duration = Duration::from_millis(20);
/// They are gathered no longer when fewer than half as many come in this time.
const WINDOW: Duration = Duration::from_millis(20);
/// For how long records that gathering has slowed down are not gathered again.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Pace {
    epoch: Instant,
    is_fast: AtomicBool,
    /// The records that were not gathered.
    passed: AtomicU64,
    /// When the latest [`MANY`] of them began, in microseconds since `epoch`. Guards nothing.
    began: AtomicU64,
    /// How long they took. Guards nothing.
    took: AtomicU64,
    /// No records are gathered before, in microseconds since `epoch`. Guards nothing.
    paused_until: AtomicU64,
    window: Mutex<Option<Window>>,
}

/// The latest ticks.
struct Window {
    began: Instant,
    records: usize,
    /// Whether records came as fast as before in an earlier window.
    is_proven: bool,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            is_fast: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            began: AtomicU64::new(0),
            took: AtomicU64::new(0),
            paused_until: AtomicU64::new(0),
            window: Mutex::new(None),
        }
    }

    pub(super) fn is_fast(&self) -> bool {
        self.is_fast.load(Ordering::Relaxed)
    }

    /// Counts a record that is not gathered. Returns whether records have just become fast. Its time is that of its submission,
    /// so that no caller reads a clock.
    pub(super) fn count(&self, submitted: Instant) -> bool {
        if self.passed.fetch_add(1, Ordering::Relaxed) % MANY != MANY - 1 {
            return false;
        }
        let now = self.micros(submitted);
        let took = now.saturating_sub(self.began.swap(now, Ordering::Relaxed));
        if took >= micros(FAST) || now < self.paused_until.load(Ordering::Relaxed) {
            return false;
        }
        self.took.store(took, Ordering::Relaxed);
        !self.is_fast.swap(true, Ordering::Relaxed)
    }

    /// Notes the records of a tick. Returns whether records should still be gathered. For the thread that polls.
    pub(super) fn tick(&self, records: usize, now: Instant) -> bool {
        let mut latest = self.window.lock();
        let window = latest.get_or_insert(Window { began: now, records: 0, is_proven: false });
        window.records += records;
        let lasted = now.saturating_duration_since(window.began);
        if lasted < WINDOW {
            return true;
        }
        let rate = window.records as u64 * micros(Duration::from_secs(1)) / micros(lasted);
        let before = MANY * micros(Duration::from_secs(1)) / self.took.load(Ordering::Relaxed).max(1);
        let is_slowed_down = !window.is_proven && rate < before / 2;
        let is_slow = rate < MANY * micros(Duration::from_secs(1)) / micros(FAST) / 2;
        if is_slowed_down {
            self.paused_until.store(self.micros(now + PAUSE), Ordering::Relaxed);
        }
        if is_slowed_down || is_slow {
            *latest = None;
            self.is_fast.store(false, Ordering::Relaxed);
            return false;
        }
        *window = Window { began: now, records: 0, is_proven: true };
        true
    }

    fn micros(&self, time: Instant) -> u64 {
        micros(time.saturating_duration_since(self.epoch))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "only the first time is the clock's")]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(2);

    /// Counts this many records, one after this much time. Returns whether they became fast.
    fn pass(pace: &Pace, now: &mut Instant, records: u64, apart: Duration) -> bool {
        let became_fast = (0..records).filter(|_| {
            *now += apart;
            pace.count(*now)
        });
        became_fast.count() > 0
    }

    /// Whether records are still gathered after as many of each tick.
    fn gather(pace: &Pace, now: &mut Instant, ticks: u32, records: usize) -> bool {
        (0..ticks).all(|_| {
            *now += TICK;
            pace.tick(records, *now)
        })
    }

    #[test]
    fn records_become_fast_and_slow() {
        let mut now = Instant::now();
        let pace = Pace::new(now);
        assert!(!pass(&pace, &mut now, 100, Duration::from_millis(1)), "1,000 a second");
        assert!(pass(&pace, &mut now, 100, Duration::from_micros(333)), "3,000 a second");
        assert!(gather(&pace, &mut now, 100, 6), "3,000 a second");
        assert!(gather(&pace, &mut now, 100, 2), "1,000 a second");
        assert!(!gather(&pace, &mut now, 100, 1), "500 a second");
        assert!(!pace.is_fast());
        assert!(
            pass(&pace, &mut now, 100, Duration::from_micros(333)),
            "at once, as they were not slowed down"
        );
    }

    #[test]
    fn senders_that_gathering_slows_down_are_left_alone_for_a_second() {
        let mut now = Instant::now();
        let pace = Pace::new(now);
        // Ten devices that wait for their acknowledgements.
        assert!(pass(&pace, &mut now, 100, Duration::from_micros(20)));
        assert!(!gather(&pace, &mut now, 20, 10));
        assert!(!pass(&pace, &mut now, 40_000, Duration::from_micros(20)), "for 0.8 s");
        assert!(pass(&pace, &mut now, 20_000, Duration::from_micros(20)), "then it is tried again");
    }
}
