//! Quantiles of a histogram, as `histogram_quantile` of PromQL estimates them: linear inside the bucket that has the quantile.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What the buckets of a histogram have counted, a second; each bucket has all observations up to its bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Buckets(BTreeMap<Bound, f64>);

/// The upper bound of a bucket (`le`); the last one is infinite.
#[derive(Debug, Clone, Copy)]
struct Bound(f64);

impl Buckets {
    /// Adds to the bucket with this bound, as a sum by `le` does.
    pub(crate) fn add(&mut self, bound: f64, count: f64) {
        if !bound.is_nan() {
            *self.0.entry(Bound(bound)).or_default() += count;
        }
    }

    /// Adds all buckets of another histogram with the same bounds.
    pub(crate) fn add_all(&mut self, other: &Self) {
        for (bound, count) in &other.0 {
            self.add(bound.0, *count);
        }
    }

    /// The estimated quantile, with `quantile` from 0 to 1. `None` where PromQL gives NaN: without observations, and without
    /// buckets beside the infinite one, as the pages of the Go Talaria have it.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        let buckets: Vec<(f64, f64)> = self.monotonic().collect();
        let [.., (bound_below_last, _), (last_bound, all)] = buckets[..] else { return None };
        if last_bound != f64::INFINITY || all <= 0.0 {
            return None;
        }
        let rank = quantile * all;
        let at = buckets.iter().position(|(_, count)| *count >= rank)?;
        if at == buckets.len() - 1 {
            return Some(bound_below_last);
        }
        let (end, count) = buckets[at];
        let (start, before) = match at.checked_sub(1) {
            Some(previous) => buckets[previous],
            None if end <= 0.0 => return Some(end),
            None => (0.0, 0.0),
        };
        Some(start + (end - start) * ((rank - before) / (count - before)))
    }

    /// The buckets in the order of their bounds, each with at least as many observations as the one before: buckets that were read
    /// at different moments, or whose counters were reset, can have less (PromQL does the same).
    fn monotonic(&self) -> impl Iterator<Item = (f64, f64)> {
        self.0.iter().scan(0.0_f64, |most, (bound, count)| {
            *most = most.max(*count);
            Some((bound.0, *most))
        })
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(buckets: &[(f64, f64)]) -> Buckets {
        let mut all = Buckets::default();
        for (bound, count) in buckets {
            all.add(*bound, *count);
        }
        all
    }

    const NONE: f64 = f64::INFINITY;

    /// The values of PromQL's own tests (promql/promqltest/testdata/histograms.test): `testhistogram` and `testhistogram2`.
    #[test]
    fn quantiles_are_those_of_promql() {
        let positive = histogram(&[(0.1, 5.0), (0.2, 7.0), (1.0, 11.0), (NONE, 12.0)]);
        for (quantile, expected) in
            [(0.0, 0.0), (0.1, 0.024), (0.2, 0.048), (0.5, 0.15), (0.8, 0.72), (1.0, 1.0)]
        {
            let found = positive.quantile(quantile).unwrap();
            assert!((found - expected).abs() < 1e-9, "{quantile}: {found}, not {expected}");
        }
        let negative = histogram(&[(-0.2, 1.0), (-0.1, 2.0), (0.3, 2.0), (NONE, 3.0)]);
        assert_eq!(negative.quantile(0.1), Some(-0.2), "below the first bound, which is not positive");
        assert_eq!(negative.quantile(1.0), Some(0.3), "in the last bucket: the bound below it");
    }

    #[test]
    fn a_histogram_that_says_nothing_has_no_quantile() {
        assert_eq!(histogram(&[]).quantile(0.5), None);
        assert_eq!(histogram(&[(NONE, 5.0)]).quantile(0.5), None, "as the Go gateway has it");
        assert_eq!(histogram(&[(1.0, 0.0), (NONE, 0.0)]).quantile(0.5), None, "nothing was observed");
        assert_eq!(histogram(&[(1.0, 2.0), (2.0, 3.0)]).quantile(0.5), None, "without the infinite bucket");
        assert_eq!(histogram(&[(f64::NAN, 2.0), (1.0, 2.0), (NONE, 2.0)]).quantile(0.5), Some(0.5));
    }

    #[test]
    fn a_bucket_with_less_than_the_one_before_has_as_much() {
        let torn = histogram(&[(1.0, 4.0), (2.0, 3.0), (4.0, 8.0), (NONE, 8.0)]);
        assert_eq!(torn.quantile(0.75), Some(3.0));
    }

    #[test]
    fn histograms_of_a_fleet_are_added_by_bound() {
        let mut all = histogram(&[(1.0, 1.0), (NONE, 1.0)]);
        all.add_all(&histogram(&[(1.0, 0.0), (NONE, 3.0)]));
        assert_eq!(all, histogram(&[(1.0, 1.0), (NONE, 4.0)]));
    }
}
