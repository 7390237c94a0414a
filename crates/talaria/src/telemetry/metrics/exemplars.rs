//! Exemplars: of each bucket of a histogram of latencies, the last observation that belongs to a recorded trace, with the id
//! of the trace. A metrics page in the OpenMetrics format shows them (contract §10.20).
//!
//! An observation without a trace costs a branch; the first one with a trace makes the room of its series. The memory is
//! bounded by [`MAX_SERIES`] of each family.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{Histogram, HistogramVec};
use talaria_protocol::trace_context::TraceId;

/// How many series of one family have exemplars. Further ones have none.
const MAX_SERIES: usize = 1024;

/// An observation and its trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace: TraceId,
    pub(super) value: f64,
    pub(super) at: Timestamp,
}

/// The exemplars of one series by bucket, the last of which is that of all observations beyond the others.
pub(super) type Buckets = Box<[Option<Exemplar>]>;

/// The values of a series' labels, in the order of [`Exemplars::labels`].
type Values = Box<[Box<str>]>;

/// The exemplars of one family.
#[derive(Debug)]
pub(super) struct Exemplars {
    /// The names of the labels.
    pub(super) labels: Box<[Box<str>]>,
    bounds: Box<[f64]>,
    series: Mutex<HashMap<Values, Buckets>>,
}

/// A histogram of latencies for every combination of labels.
#[derive(Clone, Debug)]
pub struct LatencyVec {
    histograms: HistogramVec,
    exemplars: Arc<Exemplars>,
}

/// A histogram of latencies.
#[derive(Clone, Debug)]
pub struct Latency {
    histogram: Histogram,
    values: Values,
    exemplars: Arc<Exemplars>,
}

impl LatencyVec {
    pub(super) fn new(histograms: HistogramVec, exemplars: Arc<Exemplars>) -> Self {
        Self { histograms, exemplars }
    }

    /// The series with these values of the labels.
    #[must_use]
    pub fn with_label_values(&self, values: &[&str]) -> Latency {
        let histogram = self.histograms.with_label_values(values);
        Latency { histogram, values: owned(values), exemplars: Arc::clone(&self.exemplars) }
    }

    /// Adds an observation, of this trace if it is recorded.
    pub fn observe(&self, values: &[&str], took: Duration, trace: Option<TraceId>) {
        let seconds = took.as_secs_f64();
        self.histograms.with_label_values(values).observe(seconds);
        if let Some(trace) = trace {
            self.exemplars.put(owned(values), trace, seconds);
        }
    }

    /// Removes a series, if there is one.
    pub fn remove(&self, values: &[&str]) {
        // An error says that there is no such series.
        let _ = self.histograms.remove_label_values(values);
        self.exemplars.series.lock().remove(&owned(values));
    }
}

impl Latency {
    pub(super) fn new(histogram: Histogram, exemplars: Arc<Exemplars>) -> Self {
        Self { histogram, values: Values::default(), exemplars }
    }

    /// Adds an observation, of this trace if it is recorded.
    #[inline]
    pub fn observe(&self, took: Duration, trace: Option<TraceId>) {
        let seconds = took.as_secs_f64();
        self.histogram.observe(seconds);
        if let Some(trace) = trace {
            self.exemplars.put(self.values.clone(), trace, seconds);
        }
    }
}

impl Exemplars {
    pub(super) fn new(labels: &[&str], bounds: &[f64]) -> Self {
        Self { labels: owned(labels), bounds: bounds.into(), series: Mutex::default() }
    }

    /// The exemplars of the series with these values of the labels.
    pub(super) fn of(&self, values: &[&str]) -> Option<Buckets> {
        self.series.lock().get(&owned(values)).cloned()
    }

    fn put(&self, values: Values, trace: TraceId, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        let mut series = self.series.lock();
        if series.len() >= MAX_SERIES && !series.contains_key(&values) {
            return;
        }
        let buckets = series.entry(values).or_insert_with(|| vec![None; self.bounds.len() + 1].into());
        if let Some(place) = buckets.get_mut(bucket) {
            *place = Some(Exemplar { trace, value, at: Timestamp::now() });
        }
    }
}

fn owned(values: &[&str]) -> Values {
    values.iter().map(|value| Box::from(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: &[&str] = &["code"];

    fn trace(id: u128) -> TraceId {
        TraceId::new(id).unwrap()
    }

    #[test]
    fn of_each_bucket_the_last_observation_with_a_trace_is_kept() {
        let exemplars = Exemplars::new(LABELS, &[1.0, 5.0]);
        for (id, value) in [(1, 0.5), (2, 1.0), (3, 1.5), (4, 70.0)] {
            exemplars.put(owned(&["200"]), trace(id), value);
        }
        let kept = exemplars.of(&["200"]).unwrap();
        let kept: Vec<_> = kept.iter().map(|kept| kept.map(|kept| (kept.trace, kept.value))).collect();
        assert_eq!(kept, [Some((trace(2), 1.0)), Some((trace(3), 1.5)), Some((trace(4), 70.0))]);
        assert_eq!(exemplars.of(&["404"]), None);
    }

    #[test]
    fn no_more_series_have_exemplars_than_the_bound() {
        let exemplars = Exemplars::new(LABELS, &[1.0]);
        for number in 0..MAX_SERIES + 10 {
            exemplars.put(owned(&[&number.to_string()]), trace(1), 0.5);
        }
        assert_eq!(exemplars.series.lock().len(), MAX_SERIES);
        exemplars.put(owned(&["0"]), trace(2), 0.5);
        assert_eq!(exemplars.of(&["0"]).unwrap()[0].unwrap().trace, trace(2), "those that are there go on");
    }
}
