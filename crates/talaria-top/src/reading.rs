//! What one metrics page says of a gateway, and what has changed since another one.
//!
//! A counter's series are kept one by one, since each is reset by itself: some begin at 0 again when a device with their labels comes
//! back (contract §10.2), all do when the gateway is started again.

use std::collections::{BTreeMap, HashMap};

use crate::exposition::{ExpositionError, Labels, samples};
use crate::family::{Family, Names};

/// How much of a page is kept.
#[derive(Debug, Clone, Copy)]
struct Limits {
    series: usize,
    /// Of the labels of all series together.
    label_bytes: usize,
}

/// A gateway has some hundred of the series that are shown; with 256 partners of devices some ten thousand (contract §10.2).
const LIMITS: Limits = Limits { series: 250_000, label_bytes: 32 << 20 };

/// The values of a page that are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    families: BTreeMap<Family, HashMap<Box<str>, f64>>,
}

/// A page that is not that of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PageError {
    /// It is no text in Prometheus' format.
    #[error("the page is not in Prometheus' text format: {0}")]
    Format(#[from] ExpositionError),
    /// It is one, of another program.
    #[error("the page has no metrics of a gateway")]
    NotAGateway,
    /// It has more series than a gateway.
    #[error("the page has too many series")]
    TooManySeries,
}

impl Reading {
    /// Reads a page.
    ///
    /// # Errors
    /// [`PageError`]
    pub(crate) fn of(page: &str) -> Result<Self, PageError> {
        Self::within(LIMITS, page)
    }

    fn within(limits: Limits, page: &str) -> Result<Self, PageError> {
        let names = page.lines().map(|line| line.split(['{', ' ', '\t']).next().unwrap_or_default());
        let names = Names::on_page(names);
        let mut reading = Self::default();
        let (mut series, mut bytes) = (0_usize, 0_usize);
        for sample in samples(page) {
            let sample = sample?;
            let Some(family) = names.as_ref().and_then(|names| names.family(sample.name)) else { continue };
            let labels = sample.labels.as_str();
            series += 1;
            bytes += labels.len();
            if series > limits.series || bytes > limits.label_bytes {
                return Err(PageError::TooManySeries);
            }
            reading.families.entry(family).or_default().insert(labels.into(), sample.value);
        }
        names.map(|_| reading).ok_or(PageError::NotAGateway)
    }

    /// The sum of a family; `None` if the page does not have it.
    pub(crate) fn sum(&self, family: Family) -> Option<f64> {
        self.values(family).map(|(_, value)| value).reduce(|sum, value| sum + value)
    }

    /// The largest value of a family; `None` if the page does not have it.
    pub(crate) fn largest(&self, family: Family) -> Option<f64> {
        self.values(family).map(|(_, value)| value).reduce(f64::max)
    }

    /// The smallest value of a family; `None` if the page does not have it.
    pub(crate) fn smallest(&self, family: Family) -> Option<f64> {
        self.values(family).map(|(_, value)| value).reduce(f64::min)
    }

    /// The series of a family.
    pub(crate) fn values(&self, family: Family) -> impl Iterator<Item = (Labels<'_>, f64)> {
        let series = self.families.get(&family).into_iter().flatten();
        series.map(|(labels, value)| (Labels::kept(labels), *value))
    }

    /// By how much each counter of a family has grown since an earlier page of the same gateway. One that has less than before began
    /// at 0 again; one that was not there began at 0, since most appear when they are first touched (contract §10.2).
    pub(crate) fn increases(
        &self,
        earlier: &Self,
        family: Family,
    ) -> impl Iterator<Item = (Labels<'_>, f64)> {
        let before = (!self.has_restarted_since(earlier)).then(|| earlier.families.get(&family)).flatten();
        self.values(family).filter(|(_, now)| now.is_finite()).map(move |(labels, now)| {
            let before = before.and_then(|series| series.get(labels.as_str())).copied().unwrap_or(0.0);
            (labels, if now >= before { now - before } else { now })
        })
    }

    fn has_restarted_since(&self, earlier: &Self) -> bool {
        let started = |reading: &Self| reading.largest(Family::StartTime);
        started(self).zip(started(earlier)).is_some_and(|(now, before)| now > before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: &str = "x_max_device_count 0\n";

    fn reading(lines: &str) -> Reading {
        Reading::of(&format!("{GATEWAY}process_start_time_seconds 100\n{lines}")).unwrap()
    }

    fn increase(before: &Reading, now: &Reading) -> f64 {
        now.increases(before, Family::HttpDropped).map(|(_, increase)| increase).sum()
    }

    #[test]
    fn each_counter_is_reset_by_itself() {
        let before = reading(
            "outbound_dropped_messages{reason=\"a\"} 1000\noutbound_dropped_messages{reason=\"b\"} 5\n",
        );
        let now =
            reading("outbound_dropped_messages{reason=\"a\"} 3\noutbound_dropped_messages{reason=\"b\"} 7\n");
        assert_eq!(increase(&before, &now), 3.0 + 2.0);
    }

    #[test]
    fn a_counter_that_appears_began_at_zero_and_one_that_disappears_is_not_counted() {
        let before = reading("outbound_dropped_messages{reason=\"a\"} 1\n");
        let now = reading("outbound_dropped_messages{reason=\"b\"} 4\n");
        assert_eq!(increase(&before, &now), 4.0);
    }

    #[test]
    fn after_a_restart_all_counters_begin_at_zero() {
        let before = reading("outbound_dropped_messages 5\n");
        let now = format!("{GATEWAY}process_start_time_seconds 200\noutbound_dropped_messages 6\n");
        assert_eq!(increase(&before, &Reading::of(&now).unwrap()), 6.0, "not 1");
    }

    #[test]
    fn a_page_of_another_program_or_in_another_format_is_refused() {
        assert_eq!(Reading::of("go_goroutines 5\n").unwrap_err(), PageError::NotAGateway);
        assert_eq!(Reading::of("").unwrap_err(), PageError::NotAGateway);
        let error = Reading::of("<html><body>").unwrap_err().to_string();
        assert_eq!(error, "the page is not in Prometheus' text format: line 1 has no name of a metric");
    }

    #[test]
    fn a_page_with_more_series_than_a_gateway_has_is_refused() {
        let limits = Limits { series: 3, label_bytes: 100 };
        let page = |series: usize, label: &str| {
            let lines =
                (1..series).map(|n| format!("outbound_dropped_messages{{reason=\"{label}{n}\"}} 1\n"));
            let other = "other_program 1\n".repeat(10);
            GATEWAY.to_owned() + &other + &lines.collect::<String>()
        };
        assert!(Reading::within(limits, &page(3, "")).is_ok());
        assert_eq!(Reading::within(limits, &page(4, "")).unwrap_err(), PageError::TooManySeries);
        let long = "x".repeat(50);
        assert_eq!(Reading::within(limits, &page(3, &long)).unwrap_err(), PageError::TooManySeries);
    }
}
