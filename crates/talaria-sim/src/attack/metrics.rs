//! The gateway's counters, read from its metrics server in Prometheus' text format.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::error::AttackError;
use super::kind::{Counter, Kind};
use super::report::CounterIncrease;
use crate::testbed::{Compression, MetricsPage};

/// The time limit for a response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The series of all metrics and their values at one time.
#[derive(Debug)]
pub(super) struct Scrape(HashMap<String, f64>);

impl Scrape {
    /// Reads the metrics from the server at this address.
    pub(super) async fn of(address: SocketAddr) -> Result<Self, AttackError> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let fetch = async {
            let page = MetricsPage::connect(address).await?.fetch(Compression::None).await?;
            String::from_utf8(page.into()).map_err(io::Error::other)
        };
        let text = timeout(TIMEOUT, fetch).await.map_err(late).and_then(|text| text);
        text.map(|text| Self::parse(&text)).map_err(|source| AttackError::Metrics { address, source })
    }

    fn parse(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let values = series.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(values.collect())
    }

    /// The number of series.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The increases since an earlier scrape.
    pub(super) fn since(mut self, earlier: &Self) -> Self {
        for (series, value) in &mut self.0 {
            *value -= earlier.0.get(series).copied().unwrap_or(0.0);
        }
        self
    }

    /// The counters for this kind of attack.
    pub(super) fn of_kind(&self, kind: Kind, is_tls: bool) -> Vec<CounterIncrease> {
        let counters = kind.counters(is_tls).iter();
        counters
            .map(|counter| CounterIncrease { counter: printed(*counter), count: self.sum(*counter) })
            .collect()
    }

    /// The sum of all series of a counter, with any prefix and any other labels.
    fn sum(&self, (name, reason): Counter) -> u64 {
        let wanted = reason.map(|reason| format!("reason=\"{reason}\""));
        let values = self.0.iter().filter(|(series, _)| {
            let (found, labels) = series.split_once('{').unwrap_or((series, ""));
            let is_named =
                found.strip_suffix(name).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('_'));
            is_named && wanted.as_ref().is_none_or(|wanted| labels.contains(wanted.as_str()))
        });
        values.map(|(_, value)| *value).sum::<f64>() as u64
    }
}

fn printed((name, reason): Counter) -> String {
    reason.map_or_else(|| name.to_owned(), |reason| format!("{name}{{reason=\"{reason}\"}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_increase_of_a_counter_is_the_sum_over_its_series() {
        let before = Scrape::parse("# TYPE x counter\ng_connect_count 5\ng_f{reason=\"a\",server=\"p\"} 1\n");
        let after = "g_connect_count 7\ng_disconnect_count 9\ng_f{reason=\"a\",server=\"p\"} 3\n\
                     g_f{reason=\"a\",server=\"q\"} 1\ng_f{reason=\"b\",server=\"p\"} 8\n";
        let counted = Scrape::parse(after).since(&before);
        assert_eq!(counted.sum(("connect_count", None)), 2);
        assert_eq!(counted.sum(("f", Some("a"))), 3);
        assert_eq!(counted.sum(("f", None)), 11);
        assert_eq!(counted.sum(("missing", None)), 0);
    }
}
