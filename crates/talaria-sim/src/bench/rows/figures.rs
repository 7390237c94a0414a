//! The figures of a row: of one run, and of several.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bench::costs::Costs;
use crate::latency::Summary;

/// Figures by their names, which end in their units: `cpu_us`, `bytes`, `http_p99_ms`. A name without a unit is a count. All are
/// per device, event, request or scrape.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Figures(pub BTreeMap<String, f64>);

/// What one run of a row gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything arrived once and in time.
    Figures(Figures),
    /// Why the figures of this run would mean nothing.
    NotClean(String),
}

/// What all runs of a row gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowResult {
    /// The medians; absent if a run was not clean.
    pub median: Option<Figures>,
    /// Each run.
    pub runs: Vec<Outcome>,
}

impl Figures {
    pub(super) fn add(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), round(value));
    }

    /// Adds the costs or, if a tool has counted, its counts.
    pub(super) fn add_costs(&mut self, costs: &Costs) {
        if !costs.counts.is_empty() {
            costs.counts.iter().for_each(|(name, count)| self.add(name, *count));
            return;
        }
        self.add("cpu_us", costs.cpu_us);
        self.add("voluntary_switches", costs.voluntary_switches);
        self.add("involuntary_switches", costs.involuntary_switches);
        for (thread, cpu_us) in &costs.cpu_us_by_thread {
            self.add(&format!("cpu_us.{thread}"), *cpu_us);
        }
    }

    /// The median and the 99th percentile of latencies.
    pub(super) fn add_latency(&mut self, name: &str, latency: &Summary) {
        self.add(&format!("{name}_p50_ms"), latency.p50);
        self.add(&format!("{name}_p99_ms"), latency.p99);
    }

    /// The median of each figure that all runs have.
    fn median(runs: &[&Self]) -> Self {
        let first = runs.first().map(|figures| &figures.0);
        let names = first.into_iter().flat_map(BTreeMap::keys);
        let values = |name: &String| runs.iter().map(|run| run.0.get(name).copied()).collect();
        let medians = names.filter_map(|name| Some((name.clone(), median(values(name))?)));
        Self(medians.collect())
    }
}

impl RowResult {
    pub(super) fn of(runs: Vec<Outcome>) -> Self {
        let clean = runs.iter().map(|run| match run {
            Outcome::Figures(figures) => Some(figures),
            Outcome::NotClean(_) => None,
        });
        let median = clean.collect::<Option<Vec<_>>>().map(|runs| Figures::median(&runs));
        Self { median, runs }
    }

    /// The reasons why runs were not clean.
    pub(super) fn faults(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().filter_map(|run| match run {
            Outcome::Figures(_) => None,
            Outcome::NotClean(reason) => Some(reason.as_str()),
        })
    }
}

fn median(values: Option<Vec<f64>>) -> Option<f64> {
    let mut values = values?;
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

/// Three decimals.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(cpu_us: f64) -> Outcome {
        let mut figures = Figures::default();
        figures.add("cpu_us", cpu_us);
        Outcome::Figures(figures)
    }

    #[test]
    fn the_result_of_several_runs_is_their_median() {
        let median = |values: &[f64]| {
            let result = RowResult::of(values.iter().copied().map(run).collect());
            result.median.unwrap().0["cpu_us"]
        };
        assert_eq!((median(&[3.0]), median(&[9.0, 1.0, 3.0]), median(&[1.0, 4.0])), (3.0, 3.0, 2.5));
    }

    #[test]
    fn one_run_that_was_not_clean_leaves_the_row_without_figures() {
        let result = RowResult::of(vec![run(1.0), Outcome::NotClean("2 events were lost".to_owned())]);
        assert_eq!(result.median, None);
        assert_eq!(result.faults().collect::<Vec<_>>(), ["2 events were lost"]);
    }

    #[test]
    fn a_figure_that_a_run_lacks_has_no_median() {
        let Outcome::Figures(mut with) = run(1.0) else { unreachable!() };
        with.add("cpu_us.rdk:main", 1.0);
        let result = RowResult::of(vec![Outcome::Figures(with), run(1.0)]);
        assert_eq!(result.median.unwrap().0.len(), 1);
    }
}
