//! Latencies: recorded by many, summed up for a live view, a table or JSON.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The longest latency told apart, in microseconds: ten minutes. Longer ones count as this long.
const LONGEST: u64 = 600_000_000;

/// A histogram of durations, three significant digits wide, that many threads record into.
#[derive(Debug)]
pub struct Latencies(Mutex<Histograms>);

#[derive(Debug)]
struct Histograms {
    /// Since the last look at [`Latencies::recent`]: the only one that recording touches.
    recent: Histogram<u64>,
    /// Everything before that.
    earlier: Histogram<u64>,
}

impl Latencies {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(Histograms { recent: empty(), earlier: empty() }))
    }

    /// Counts one duration.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST);
        self.0.lock().recent.saturating_record(micros.min(LONGEST));
    }

    /// Sums up what was recorded since the last call (or since the beginning).
    pub fn recent(&self) -> Summary {
        let mut histograms = self.0.lock();
        let summary = Summary::of(&histograms.recent);
        histograms.turn_over();
        summary
    }

    /// Sums up everything.
    pub fn total(&self) -> Summary {
        let mut histograms = self.0.lock();
        histograms.turn_over();
        Summary::of(&histograms.earlier)
    }
}

impl Histograms {
    fn turn_over(&mut self) {
        // same bounds on both sides, so that adding cannot fail
        if self.earlier.add(&self.recent).is_ok() {
            self.recent.reset();
        }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

/// What a set of latencies comes to. All values but the count are milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many were recorded.
    pub count: u64,
    /// The average.
    pub mean: f64,
    /// Half took no longer than this.
    pub p50: f64,
    /// Nine of ten took no longer.
    pub p90: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// 999 of 1000 took no longer.
    pub p999: f64,
    /// The longest of all.
    pub max: f64,
}

impl Summary {
    fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |quantile| millis(histogram.value_at_quantile(quantile) as f64);
        Self {
            count: histogram.len(),
            mean: millis(histogram.mean()),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: millis(histogram.max() as f64),
        }
    }
}

impl fmt::Display for Summary {
    /// `p50 0.41 ms, p99 2.30 ms, max 7.01 ms`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, p50, p99, max, .. } = self;
        match count {
            0 => f.write_str("none"),
            _ => write!(f, "p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms"),
        }
    }
}

/// Microseconds as milliseconds, to the microsecond.
fn millis(micros: f64) -> f64 {
    micros.round() / 1000.0
}

#[expect(
    clippy::expect_used,
    reason = "constant bounds that hdrhistogram takes; every test of this module runs it"
)]
fn empty() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST, 3).expect("the bounds are within hdrhistogram's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_forgets_and_total_does_not() {
        let latencies = Latencies::new();
        for n in 1..=100 {
            latencies.record(Duration::from_millis(n));
        }
        assert_eq!(latencies.recent().count, 100);
        latencies.record(Duration::from_millis(1000));
        let recent = latencies.recent();
        assert_eq!((recent.count, recent.p50.round()), (1, 1000.0));
        let total = latencies.total();
        assert_eq!((total.count, total.p50.round(), total.max.round()), (101, 51.0, 1000.0));
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        assert_eq!(Latencies::new().total(), Summary::default());
    }

    #[test]
    fn a_latency_beyond_the_longest_counts_as_the_longest() {
        let latencies = Latencies::new();
        latencies.record(Duration::from_secs(3600));
        assert_eq!(latencies.total().count, 1);
    }
}
