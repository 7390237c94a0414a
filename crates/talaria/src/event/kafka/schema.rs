//! The metrics of the schema registry and of dead letters.

use parking_lot::Mutex;
use prometheus::{IntCounter, IntCounterVec, IntGauge};
use wrpkafka::{DeadLetterOutcome, DeadLetterReason, SchemaStats};

use crate::telemetry::metrics::Metrics;

/// A counter and the number that it counts.
type Counted = (IntCounter, fn(&SchemaStats) -> u64);

/// The handles of the families `kafka_schema_*` and `kafka_dead_letters_total`. Like those of records, their names have no
/// prefix.
#[derive(Debug)]
pub(super) struct SchemaMetrics {
    counters: [Counted; 6],
    unknown_subjects: IntGauge,
    dead_letters: IntCounterVec,
    last: Mutex<SchemaStats>,
}

impl SchemaMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let bare = metrics.bare();
        let requests = bare.counter_vec(
            "kafka_schema_requests_total",
            "Requests to the schema registry: answered, refused or failed",
            &["outcome"],
        );
        let records = bare.counter_vec(
            "kafka_schema_records_total",
            "Records framed with the id of a schema, sent raw without one, or held until one is known",
            &["form"],
        );
        let request = |outcome: &str| requests.with_label_values(&[outcome]);
        let record = |form: &str| records.with_label_values(&[form]);
        Self {
            counters: [
                (request("answered"), |stats| stats.answers),
                (request("refused"), |stats| stats.refusals),
                (request("failed"), |stats| stats.failures),
                (record("framed"), |stats| stats.framed),
                (record("raw"), |stats| stats.raw),
                (record("held"), |stats| stats.held),
            ],
            unknown_subjects: bare.gauge(
                "kafka_schema_unknown_subjects",
                "Subjects whose schema id is not known yet: their records wait, or what else is configured",
            ),
            dead_letters: bare.counter_vec(
                "kafka_dead_letters_total",
                "Records that could never be delivered, and the outcome of their dead letters",
                &["reason", "outcome"],
            ),
            last: Mutex::default(),
        }
    }

    /// Adds the growth since the last report.
    pub(super) fn show(&self, stats: &SchemaStats) {
        let mut last = self.last.lock();
        for (counter, count) in &self.counters {
            counter.inc_by(count(stats).saturating_sub(count(&last)));
        }
        self.unknown_subjects.set(i64::try_from(stats.unknown_subjects).unwrap_or(i64::MAX));
        *last = *stats;
    }

    pub(super) fn dead_letter(&self, reason: DeadLetterReason, outcome: DeadLetterOutcome) {
        self.dead_letters.with_label_values(&[reason.as_str(), outcome.as_str()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_counted_once_and_dead_letters_by_reason_and_outcome() {
        let metrics = Metrics::default();
        let schemas = SchemaMetrics::register(&metrics);
        let stats = |framed, unknown_subjects| SchemaStats {
            answers: 1,
            framed,
            unknown_subjects,
            ..SchemaStats::default()
        };
        for stats in [stats(5, 2), stats(5, 1), stats(9, 0)] {
            schemas.show(&stats);
        }
        schemas.dead_letter(DeadLetterReason::TooLarge, DeadLetterOutcome::Delivered);
        let text = String::from_utf8(metrics.gather_text()).unwrap();
        for line in [
            r#"kafka_schema_requests_total{outcome="answered"} 1"#,
            r#"kafka_schema_records_total{form="framed"} 9"#,
            r#"kafka_schema_records_total{form="held"} 0"#,
            "kafka_schema_unknown_subjects 0",
            r#"kafka_dead_letters_total{outcome="delivered",reason="too_large"} 1"#,
        ] {
            assert!(text.lines().any(|there| there == line), "no {line} in\n{text}");
        }
    }
}
