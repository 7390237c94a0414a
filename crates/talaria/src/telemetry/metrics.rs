//! The registry of Prometheus metrics, from which components get typed handles.
//!
//! A component registers its families once, when it is built, and keeps the handles in a struct of its own
//! (`XMetrics::register(&Metrics)`); nothing looks up a metric by its name afterwards, and there is no global registry.
//! Contract §10.3 lists which families have the prefix `<namespace>_<subsystem>_` and which have none ("bare"). The
//! names are not here but with the components. Start reading at [`Metrics`].

mod exemplars;
mod open_metrics;
mod page;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use tokio::sync::Semaphore;

use super::process::ProcessCollector;

pub use exemplars::{Latency, LatencyVec};
pub use page::{PageEncoding, PageFormat};

use exemplars::Exemplars;

/// The prefixes of metric names (`metric.metricsOptions` and `touchstone` of the configuration).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// `metric.metricsOptions.namespace`, `talaria` if not set.
    pub namespace: String,
    /// `metric.metricsOptions.subsystem`, `talaria` if not set.
    pub subsystem: String,
    /// `touchstone.defaultNamespace`, a prefix for the bare families. Empty: no prefix.
    pub bare_namespace: String,
    /// `touchstone.defaultSubsystem`, a prefix for the bare families. Empty: no prefix.
    pub bare_subsystem: String,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            namespace: "talaria".to_owned(),
            subsystem: "talaria".to_owned(),
            bare_namespace: String::new(),
            bare_subsystem: String::new(),
        }
    }
}

/// The metrics of one gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    prefix: String,
    bare_prefix: String,
    registered: Mutex<HashMap<String, Registered>>,
    /// Those of the families of latencies, by their names.
    exemplars: Mutex<HashMap<String, Arc<Exemplars>>>,
    /// Held while a page is being made.
    page_turn: Arc<Semaphore>,
}

/// Registers metrics under one of the two prefixes.
///
/// Names and labels have to be constants that Prometheus accepts. Registering a name again with the same kind returns
/// the existing handle.
#[derive(Clone, Copy, Debug)]
pub struct Family<'a> {
    metrics: &'a Metrics,
    prefix: &'a str,
}

#[derive(Clone, Debug)]
enum Registered {
    Counter(IntCounter),
    CounterVec(IntCounterVec),
    Gauge(IntGauge),
    GaugeVec(IntGaugeVec),
    FloatGauge(Gauge),
    Histogram(Histogram),
    HistogramVec(HistogramVec),
}

impl Metrics {
    /// A registry that holds only the metrics of the process.
    ///
    /// Characters of the prefixes that metric names may not contain are replaced by `_`.
    pub fn new(config: &MetricsConfig) -> Self {
        let registry = Registry::new();
        let process = ProcessCollector::new(&prefix(&config.namespace, ""));
        if let Err(error) = registry.register(Box::new(process)) {
            tracing::warn!(%error, "cannot register the process metrics, they are missing from the metrics page");
        }
        Self {
            registry,
            prefix: prefix(&config.namespace, &config.subsystem),
            bare_prefix: prefix(&config.bare_namespace, &config.bare_subsystem),
            registered: Mutex::default(),
            exemplars: Mutex::default(),
            page_turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// The families named `<namespace>_<subsystem>_…`.
    pub fn prefixed(&self) -> Family<'_> {
        Family { metrics: self, prefix: &self.prefix }
    }

    /// The families without a prefix, unless `touchstone` gives them one.
    pub fn bare(&self) -> Family<'_> {
        Family { metrics: self, prefix: &self.bare_prefix }
    }

    /// All metrics in the OpenMetrics format, with exemplars ([`PageFormat::OpenMetrics`]).
    pub fn gather_open_metrics(&self) -> Vec<u8> {
        open_metrics::encode(&self.registry.gather(), &self.exemplars.lock()).into_bytes()
    }

    /// All metrics in the text exposition format ([`PageFormat::Text`]).
    pub fn gather_text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(16 * 1024);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::warn!(%error, "cannot encode all metrics, the metrics page is incomplete");
        }
        text
    }

    fn exemplars(&self, name: String, labels: &[&str], buckets: &[f64]) -> Arc<Exemplars> {
        let new = || Arc::new(Exemplars::new(labels, buckets));
        Arc::clone(self.exemplars.lock().entry(name).or_insert_with(new))
    }

    fn get_or_register(&self, name: String, make: impl FnOnce(&str) -> Registered) -> Registered {
        let mut registered = self.registered.lock();
        if let Some(existing) = registered.get(&name) {
            return existing.clone();
        }
        let made = make(&name);
        if let Err(error) = self.registry.register(made.collector()) {
            tracing::warn!(metric = name, %error, "cannot register a metric, it is missing from the metrics page");
        }
        registered.insert(name, made.clone());
        made
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(&MetricsConfig::default())
    }
}

/// The body of a registering method: returns the handle of the metric, which is created if it does not exist.
macro_rules! register {
    ($self:ident, $name:ident, $kind:ident, $make:expr) => {{
        let full_name = format!("{}{}", $self.prefix, $name);
        match $self
            .metrics
            .get_or_register(full_name, |full_name| Registered::$kind(constant($make(full_name))))
        {
            Registered::$kind(metric) => metric,
            other => {
                tracing::warn!(metric = $name, kind = stringify!($kind), ?other, "metric registered twice with different kinds, the second is missing from the metrics page");
                constant($make($name))
            }
        }
    }};
}

impl Family<'_> {
    /// A counter without labels.
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        register!(self, name, Counter, |full: &str| IntCounter::new(full, help))
    }

    /// A counter for every combination of `labels`; a series appears when it is first used.
    pub fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        register!(self, name, CounterVec, |full: &str| IntCounterVec::new(Opts::new(full, help), labels))
    }

    /// A gauge of whole numbers.
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        register!(self, name, Gauge, |full: &str| IntGauge::new(full, help))
    }

    /// A gauge of whole numbers for every combination of `labels`.
    pub fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        register!(self, name, GaugeVec, |full: &str| IntGaugeVec::new(Opts::new(full, help), labels))
    }

    /// A gauge of floating-point numbers.
    pub fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        register!(self, name, FloatGauge, |full: &str| Gauge::new(full, help))
    }

    /// A histogram with these upper bounds; `+Inf` is added, an empty list means `+Inf` alone.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        register!(self, name, Histogram, |full: &str| Histogram::with_opts(histogram_opts(
            full, help, buckets
        )))
    }

    /// A histogram for every combination of `labels`.
    pub fn histogram_vec(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        register!(self, name, HistogramVec, |full: &str| HistogramVec::new(
            histogram_opts(full, help, buckets),
            labels
        ))
    }

    /// A histogram of latencies in seconds, with exemplars.
    #[must_use]
    pub fn latency(&self, name: &str, help: &str, buckets: &[f64]) -> Latency {
        let exemplars = self.metrics.exemplars(format!("{}{name}", self.prefix), &[], buckets);
        Latency::new(self.histogram(name, help, buckets), exemplars)
    }

    /// A histogram of latencies in seconds for every combination of `labels`, with exemplars.
    #[must_use]
    pub fn latency_vec(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> LatencyVec {
        let exemplars = self.metrics.exemplars(format!("{}{name}", self.prefix), labels, buckets);
        LatencyVec::new(self.histogram_vec(name, help, labels, buckets), exemplars)
    }
}

impl Registered {
    fn collector(&self) -> Box<dyn Collector> {
        match self {
            Self::Counter(metric) => Box::new(metric.clone()),
            Self::CounterVec(metric) => Box::new(metric.clone()),
            Self::Gauge(metric) => Box::new(metric.clone()),
            Self::GaugeVec(metric) => Box::new(metric.clone()),
            Self::FloatGauge(metric) => Box::new(metric.clone()),
            Self::Histogram(metric) => Box::new(metric.clone()),
            Self::HistogramVec(metric) => Box::new(metric.clone()),
        }
    }
}

/// The prometheus crate takes an empty list for its default buckets, so `+Inf` has to be given.
fn histogram_opts(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    let buckets = if buckets.is_empty() { vec![f64::INFINITY] } else { buckets.to_vec() };
    HistogramOpts::new(name, help).buckets(buckets)
}

#[expect(
    clippy::expect_used,
    reason = "fails only for an invalid name, help text or label, and these are constants"
)]
fn constant<T>(made: prometheus::Result<T>) -> T {
    made.expect("a metric with a valid name, a help text and valid labels")
}

fn prefix(namespace: &str, subsystem: &str) -> String {
    let mut prefix = String::new();
    for part in [namespace, subsystem] {
        if part.is_empty() {
            continue;
        }
        if prefix.is_empty() && part.starts_with(|first: char| first.is_ascii_digit()) {
            prefix.push('_');
        }
        prefix.extend(part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
        prefix.push('_');
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.gather_text()).unwrap()
    }

    fn config() -> MetricsConfig {
        MetricsConfig { namespace: "xmidt".to_owned(), ..MetricsConfig::default() }
    }

    #[test]
    fn prefixed_families_carry_namespace_and_subsystem_and_bare_ones_nothing() {
        let metrics = Metrics::new(&config());
        metrics.prefixed().gauge("device_count", "device_count").set(3);
        metrics.bare().counter("outbound_retries", "retries").inc();
        let text = text(&metrics);
        assert!(text.contains("\nxmidt_talaria_device_count 3\n"), "{text}");
        assert!(text.contains("\noutbound_retries 1\n"), "{text}");
    }

    #[test]
    fn touchstone_gives_the_bare_families_a_prefix() {
        let bare_namespace = "ts".to_owned();
        let metrics =
            Metrics::new(&MetricsConfig { bare_namespace, bare_subsystem: "sub".to_owned(), ..config() });
        metrics.bare().counter("outbound_retries", "retries").inc();
        assert!(text(&metrics).contains("\nts_sub_outbound_retries 1\n"));
    }

    #[test]
    fn a_name_registered_twice_is_one_metric() {
        let metrics = Metrics::default();
        let first = metrics.bare().counter_vec("drops", "drops", &["code", "reason"]);
        let second = metrics.bare().counter_vec("drops", "drops", &["code", "reason"]);
        first.with_label_values(&["200", "a"]).inc();
        second.with_label_values(&["200", "a"]).inc();
        assert!(text(&metrics).contains("drops{code=\"200\",reason=\"a\"} 2\n"));
    }

    #[test]
    fn a_name_registered_as_two_kinds_leaves_the_first_one_shown() {
        let metrics = Metrics::default();
        metrics.bare().counter("odd", "odd").inc();
        metrics.bare().gauge("odd", "odd").set(7);
        assert!(text(&metrics).contains("\nodd 1\n"));
    }

    #[test]
    fn a_series_appears_when_it_is_first_used() {
        let metrics = Metrics::default();
        let requests = metrics.bare().counter_vec("requests", "requests", &["code"]);
        assert!(!text(&metrics).contains("requests"));
        requests.with_label_values(&["200"]).inc();
        assert!(text(&metrics).contains("requests{code=\"200\"} 1\n"));
    }

    #[test]
    fn a_histogram_without_buckets_has_infinity_only() {
        let metrics = Metrics::default();
        metrics.bare().histogram("latency", "latency", &[]).observe(0.5);
        let text = text(&metrics);
        let buckets: Vec<&str> = text.lines().filter(|line| line.starts_with("latency_bucket")).collect();
        assert_eq!(buckets, ["latency_bucket{le=\"+Inf\"} 1"]);
    }

    #[test]
    fn characters_that_metric_names_may_not_contain_are_replaced_in_the_prefix() {
        let metrics = Metrics::new(&MetricsConfig { namespace: "9 x-midt".to_owned(), ..config() });
        metrics.prefixed().counter("connect_count", "connect_count").inc();
        assert!(text(&metrics).contains("\n_9_x_midt_talaria_connect_count 1\n"));
    }
}
