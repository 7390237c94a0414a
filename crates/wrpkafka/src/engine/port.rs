//! The way back from a client to the engine.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use rdkafka::statistics::Statistics;

use super::Engine;
use crate::client::Failure;
use crate::delivery::DeliveryContext;
use crate::delivery::Record;
use crate::problem::ConnectionProblem;
use crate::routing::Target;

/// Where a client reports to. Weak, because the engine owns the client.
#[derive(Clone)]
pub(crate) struct Port {
    engine: Weak<Engine>,
    /// Which of the engine's clients reports.
    number: u64,
}

impl Port {
    pub(crate) fn new(engine: &Arc<Engine>, number: u64) -> Port {
        Port { engine: Arc::downgrade(engine), number }
    }

    /// The client is done with a record.
    pub(crate) fn delivered(
        &self,
        context: Box<DeliveryContext>,
        fate: Result<(), Failure>,
        record: impl FnOnce(Arc<Target>) -> Record,
    ) {
        // Without an engine nobody listens any more, and the dropped context tells its receipt.
        let Some(engine) = self.engine.upgrade() else { return };
        match &fate {
            Ok(()) => self.reached(&engine),
            Err(Failure::Gone) => self.ask_for_replacement(&engine),
            Err(Failure::Doubtful) => {
                engine.doubtful.fetch_add(1, Ordering::Relaxed);
                self.ask_for_replacement(&engine);
            }
            Err(Failure::Final(_) | Failure::Transient(_)) => {}
        }
        engine.delivered(context, fate, record);
    }

    /// The client has counted.
    pub(crate) fn statistics(&self, report: &Statistics) {
        let Some(engine) = self.engine.upgrade() else { return };
        let stats = {
            let mut stats = engine.stats.lock();
            stats.add(self.number, report, &engine.limits.seeds);
            stats.snapshot()
        };
        if report.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP") {
            self.problem_is_over(&engine);
        }
        engine.listeners.on_client_stats(&stats);
    }

    /// The client met an error that is no record's.
    pub(crate) fn error(&self, error: &str, reason: &str, kind: ClientError) {
        let Some(engine) = self.engine.upgrade() else { return };
        match kind {
            ClientError::Fatal => {
                tracing::warn!(error, reason, "kafka client is beyond use, another takes over its records");
                self.ask_for_replacement(&engine);
            }
            ClientError::AllBrokersDown => self.problem(ConnectionProblem::Unreachable, reason),
            ClientError::Other => {
                // The client's own log line says it already.
                tracing::debug!(error, reason, "kafka client error");
                if let Some(broker) = failed_connection(reason) {
                    engine.stats.lock().connect_error(self.number, broker, &engine.limits.seeds);
                }
            }
        }
    }

    /// The client does not get to its brokers; `reason` is in its own words, which never hold a secret.
    pub(crate) fn problem(&self, problem: ConnectionProblem, reason: &str) {
        let Some(engine) = self.engine.upgrade() else { return };
        let Some(suppressed) = engine.problems.met(self.number, problem, Instant::now()) else { return };
        if problem.is_refusal() {
            tracing::error!(%problem, reason, suppressed, "kafka brokers do not let the publisher in");
        } else {
            tracing::warn!(%problem, reason, suppressed, "no kafka broker can be reached");
        }
        engine.listeners.on_connection_problem(problem);
    }

    /// A broker has answered.
    fn reached(&self, engine: &Engine) {
        // Hardly ever another value: then nothing is written that other threads read.
        if engine.reached_by.load(Ordering::Relaxed) != self.number {
            engine.reached_by.store(self.number, Ordering::Relaxed);
        }
        self.problem_is_over(engine);
    }

    fn problem_is_over(&self, engine: &Engine) {
        if let Some(problem) = engine.problems.reached(self.number) {
            tracing::info!(%problem, "kafka brokers are reached again");
        }
    }

    fn ask_for_replacement(&self, engine: &Engine) {
        let current = engine.client.load().as_ref().is_some_and(|client| client.number == self.number);
        if current {
            engine.replace.store(true, Ordering::Relaxed);
        }
    }
}

/// What an error of the client means for the publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientError {
    /// The client will not deliver anything any more.
    Fatal,
    /// No connection is left.
    AllBrokersDown,
    /// The client deals with it.
    Other,
}

/// The broker that could not be connected to, if that is what the client's text tells:
/// `host:9092/bootstrap: Connect to ipv4#… failed: … (after 0ms in state CONNECT)`.
fn failed_connection(reason: &str) -> Option<&str> {
    if !reason.contains("in state CONNECT") && !reason.contains("Failed to resolve") {
        return None;
    }
    reason.split_once(": ").map(|(broker, _)| broker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_connection_is_told_from_a_lost_one() {
        let failed = "kafka:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)";
        assert_eq!(failed_connection(failed), Some("kafka:9092/bootstrap"));
        assert_eq!(failed_connection("kafka:9092/1: Disconnected (after 3ms in state UP)"), None);
    }
}
