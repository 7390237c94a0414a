//! Metrics in the OpenMetrics text format, version 1.0
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), with exemplars (contract §10.20).
//!
//! Samples have the names and labels that they have in Prometheus' text format, but for the bounds of buckets, which the
//! format wants as `1.0`. It wants counters to end in `_total`; those that do not are of the type `unknown`, as Prometheus'
//! Go library has them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::exemplars::{Exemplar, Exemplars};

/// How the format wants the names of counters to end.
const TOTAL: &str = "_total";

/// The page of these families.
pub(super) fn encode(families: &[MetricFamily], exemplars: &HashMap<String, Arc<Exemplars>>) -> String {
    let mut page = String::with_capacity(16 * 1024);
    for family in families {
        let name = family.name();
        let kind = family.get_field_type();
        let (described, kind_name) = match kind {
            MetricType::COUNTER => {
                name.strip_suffix(TOTAL).map_or((name, "unknown"), |name| (name, "counter"))
            }
            MetricType::HISTOGRAM => (name, "histogram"),
            MetricType::GAUGE => (name, "gauge"),
            MetricType::SUMMARY | MetricType::UNTYPED => (name, "unknown"),
        };
        // Writing to a String cannot fail.
        let _ = write!(page, "# HELP {described} ");
        escape(&mut page, family.help());
        let _ = writeln!(page, "\n# TYPE {described} {kind_name}");
        let exemplars = exemplars.get(name);
        for metric in family.get_metric() {
            match kind {
                MetricType::COUNTER => {
                    sample(&mut page, name, "", metric, None, metric.get_counter().get_value());
                }
                MetricType::GAUGE => {
                    sample(&mut page, name, "", metric, None, metric.get_gauge().get_value());
                }
                MetricType::HISTOGRAM => histogram(&mut page, name, metric, exemplars),
                MetricType::SUMMARY | MetricType::UNTYPED => {}
            }
        }
    }
    page.push_str("# EOF\n");
    page
}

fn histogram(page: &mut String, name: &str, metric: &Metric, exemplars: Option<&Arc<Exemplars>>) {
    let histogram = metric.get_histogram();
    let buckets = exemplars.and_then(|exemplars| exemplars.of(&values(&exemplars.labels, metric)));
    let exemplar = |at: usize| buckets.as_ref().and_then(|buckets| *buckets.get(at)?);
    let bounded = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
    let mut count = 0;
    for (at, bucket) in bounded.enumerate() {
        bucket_sample(page, name, metric, bucket.upper_bound(), bucket.cumulative_count(), exemplar(at));
        count = at + 1;
    }
    let all = histogram.get_sample_count();
    bucket_sample(page, name, metric, f64::INFINITY, all, exemplar(count));
    sample(page, name, "_sum", metric, None, histogram.get_sample_sum());
    sample(page, name, "_count", metric, None, all as f64);
}

fn bucket_sample(
    page: &mut String,
    name: &str,
    metric: &Metric,
    bound: f64,
    count: u64,
    exemplar: Option<Exemplar>,
) {
    let bound = canonical(bound);
    sample(page, name, "_bucket", metric, Some(&bound), count as f64);
    if let Some(Exemplar { trace, value, at }) = exemplar {
        page.pop();
        let at = at.as_millisecond();
        let (seconds, milliseconds) = (at.div_euclid(1000), at.rem_euclid(1000));
        let _ = writeln!(page, " # {{trace_id=\"{trace}\"}} {value} {seconds}.{milliseconds:03}");
    }
}

/// A bound as the format has it in a label: `1.0`, `1e+06`, `+Inf`.
fn canonical(bound: f64) -> String {
    if bound.is_infinite() {
        return "+Inf".to_owned();
    }
    let text = format!("{bound:e}");
    match text.split_once('e').and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?))) {
        Some((digits, exponent)) if exponent >= 6 => format!("{digits}e+{exponent:02}"),
        Some((digits, exponent)) if exponent < -4 => format!("{digits}e-{:02}", -exponent),
        _ => format!("{bound:?}"),
    }
}

/// One line.
fn sample(page: &mut String, name: &str, suffix: &str, metric: &Metric, bound: Option<&str>, value: f64) {
    page.push_str(name);
    page.push_str(suffix);
    let labels = metric.get_label().iter().map(|label| (label.name(), label.value()));
    let mut before = '{';
    for (name, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        page.push(before);
        before = ',';
        page.push_str(name);
        page.push_str("=\"");
        escape(page, value);
        page.push('"');
    }
    if before == ',' {
        page.push('}');
    }
    let _ = writeln!(page, " {value}");
}

/// The values of the labels of these names.
fn values<'a>(names: &[Box<str>], metric: &'a Metric) -> Vec<&'a str> {
    let find = |name: &str| metric.get_label().iter().find(|label| label.name() == name);
    names.iter().map(|name| find(name).map_or("", LabelPair::value)).collect()
}

fn escape(page: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            other => page.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use talaria_protocol::trace_context::TraceId;

    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn bounds_are_written_as_the_format_has_them() {
        for (bound, expected) in [
            (0.0, "0.0"),
            (0.0625, "0.0625"),
            (0.00001, "1e-05"),
            (1.0, "1.0"),
            (1500.0, "1500.0"),
            (1_000_000.0, "1e+06"),
            (2_500_000.0, "2.5e+06"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(canonical(bound), expected);
        }
    }

    #[test]
    fn a_page_has_the_names_of_the_text_format_and_exemplars() {
        let metrics = Metrics::default();
        metrics
            .bare()
            .counter_vec("asked_total", "asked, by \"who\"", &["who"])
            .with_label_values(&["a\n\"b\\"])
            .inc();
        metrics.bare().counter("retries", "retries").inc_by(3);
        let latency = metrics.bare().latency_vec("took_seconds", "took", &["b", "a"], &[0.5, 1.0]);
        latency.observe(&["1", "2"], Duration::from_millis(250), None);
        latency.observe(&["1", "2"], Duration::from_millis(750), TraceId::new(0xabc));
        let page = String::from_utf8(metrics.gather_open_metrics()).unwrap();
        let bare: String =
            page.lines().filter(|line| !line.contains("talaria_")).map(|line| format!("{line}\n")).collect();
        let at = bare.split(" 0.75 ").nth(1).unwrap().lines().next().unwrap().to_owned();
        let expected = r#"# HELP asked asked, by \"who\"
# TYPE asked counter
asked_total{who="a\n\"b\\"} 1
# HELP retries retries
# TYPE retries unknown
retries 3
# HELP took_seconds took
# TYPE took_seconds histogram
took_seconds_bucket{a="2",b="1",le="0.5"} 1
took_seconds_bucket{a="2",b="1",le="1.0"} 2 # {trace_id="00000000000000000000000000000abc"} 0.75 AT
took_seconds_bucket{a="2",b="1",le="+Inf"} 2
took_seconds_sum{a="2",b="1"} 1
took_seconds_count{a="2",b="1"} 2
# EOF
"#;
        assert_eq!(bare, expected.replace("AT", &at));
        assert!(at.parse::<f64>().unwrap() > 1.7e9, "{at}");
    }
}
