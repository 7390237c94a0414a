//! Recording of latencies, and their summary for live views, tables and JSON.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The longest latency that is recorded, in microseconds: ten minutes. Longer ones are recorded as this value.
const LONGEST: u64 = 600_000_000;

/// A histogram of durations with three significant digits. Any number of threads can record into it.
#[derive(Debug)]
pub struct Latencies(Mutex<Histograms>);

#[derive(Debug)]
struct Histograms {
    /// The durations since the last call of [`Latencies::recent`] or [`Latencies::total`].
    recent: Histogram<u64>,
    /// All durations before.
    earlier: Histogram<u64>,
}

impl Latencies {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(Histograms { recent: empty(), earlier: empty() }))
    }

    /// Records a duration.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST);
        self.0.lock().recent.saturating_record(micros.min(LONGEST));
    }

    /// Summarizes the durations since the last call of this method or of [`Latencies::total`].
    pub fn recent(&self) -> Summary {
        let mut histograms = self.0.lock();
        let summary = Summary::of(&histograms.recent);
        histograms.merge();
        summary
    }

    /// Summarizes all durations.
    pub fn total(&self) -> Summary {
        let mut histograms = self.0.lock();
        histograms.merge();
        Summary::of(&histograms.earlier)
    }
}

impl Histograms {
    /// Moves the recent durations to the earlier ones.
    fn merge(&mut self) {
        // Both have the same bounds, so this cannot fail.
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

/// A summary of latencies, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The number of latencies.
    pub count: u64,
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
    /// The maximum.
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

/// Converts microseconds to milliseconds, with three decimals.
fn millis(micros: f64) -> f64 {
    micros.round() / 1000.0
}

#[expect(clippy::expect_used, reason = "the bounds are constant, and each test of this module calls this")]
fn empty() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST, 3).expect("hdrhistogram accepts the bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_is_what_was_recorded_since_the_last_call_and_total_is_everything() {
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
    fn without_latencies_the_summary_is_zero() {
        assert_eq!(Latencies::new().total(), Summary::default());
    }

    #[test]
    fn a_latency_above_the_longest_is_recorded_as_the_longest() {
        let latencies = Latencies::new();
        latencies.record(Duration::from_secs(3600));
        assert_eq!(latencies.total().count, 1);
    }
}
