//! Listeners: they observe what happens to every record, to dead letters and to the connection with the brokers.

mod panics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use self::panics::Panics;
use crate::connection_failure::ConnectionFailure;
use crate::dead_letter::{DeadLetterOutcome, DeadLetterReason};
use crate::error::{ErrorType, PublishError};
use crate::routing::Filtered;
use crate::stats::ClientStats;

/// Observes a publisher. Every method is called from one of the client's threads or from a publishing one, also by several at a
/// time: it must return quickly and must not wait. A record's acknowledgement comes from the thread that reads the answers of its
/// broker, so that others wait behind it.
pub trait Listener: Send + Sync {
    /// Called once for every record, when its result is final: from one of the client's threads, or from the publishing one if
    /// the record never reached the client.
    fn on_publish(&self, event: &PublishEvent<'_>);

    /// Called for every record that could never be delivered, when the result of its dead letter is final: in addition to
    /// its [`on_publish`](Listener::on_publish), and after it.
    fn on_dead_letter(&self, reason: DeadLetterReason, outcome: DeadLetterOutcome) {
        let _ = (reason, outcome);
    }

    /// Called from the publishing thread for every route that matches a message but rejects it.
    fn on_filtered(&self, event: &Filtered<'_>) {
        let _ = event;
    }

    /// Called from the client's thread every [`Config::statistics_interval`](crate::Config::statistics_interval), with the
    /// client's counters since the publisher started.
    fn on_client_stats(&self, stats: &ClientStats) {
        let _ = stats;
    }

    /// Called when a topic can no longer be written to, when the reason changes, and when it can be written to again: from the
    /// client's thread or a publishing one.
    fn on_topic_change(&self, change: &TopicChange) {
        let _ = change;
    }

    /// Called from one of the client's threads when a connection failure is logged: when records no longer leave, and when
    /// the cause of that changes. [`Publisher::connection_failure`](crate::Publisher::connection_failure) tells whether it persists.
    fn on_connection_failure(&self, failure: ConnectionFailure) {
        let _ = failure;
    }
}

/// A closure observes the result of each record.
impl<F: Fn(&PublishEvent<'_>) + Send + Sync> Listener for F {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        self(event);
    }
}

impl<L: Listener + ?Sized> Listener for Arc<L> {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        (**self).on_publish(event);
    }

    fn on_dead_letter(&self, reason: DeadLetterReason, outcome: DeadLetterOutcome) {
        (**self).on_dead_letter(reason, outcome);
    }

    fn on_filtered(&self, event: &Filtered<'_>) {
        (**self).on_filtered(event);
    }

    fn on_client_stats(&self, stats: &ClientStats) {
        (**self).on_client_stats(stats);
    }

    fn on_topic_change(&self, change: &TopicChange) {
        (**self).on_topic_change(change);
    }

    fn on_connection_failure(&self, failure: ConnectionFailure) {
        (**self).on_connection_failure(failure);
    }
}

/// The result of one record, or of a message that became none (then topic and strategy are empty).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PublishEvent<'a> {
    /// The authority of the message's destination.
    pub event_type: &'a str,
    /// The record's topic.
    pub topic: &'a str,
    /// How the topic was chosen: `roundrobin`, `deviceid`, `metadata:<field>`; empty for a single topic.
    pub topic_shard_strategy: &'a str,
    /// Why the record failed; none if it was acknowledged.
    pub error: Option<&'a PublishError>,
    /// The error's class.
    pub error_type: Option<ErrorType>,
    /// From the publish call until the result was final.
    pub duration: Duration,
    /// The trace that the message is recorded in ([`Annotation::trace`](crate::Annotation::trace)).
    pub trace: Option<u128>,
}

/// A topic that can no longer be written to, or can again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicChange {
    /// The topic's name.
    pub topic: String,
    /// What it is now.
    pub state: TopicState,
    /// Its records that wait.
    pub waiting_records: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

/// Whether a topic can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicState {
    /// It is missing, unauthorized, or lacks a leader or replicas. Its records wait, and one of them is sent again from time
    /// to time.
    Failing {
        /// The error of the record that came back.
        error: PublishError,
    },
    /// A record was delivered again.
    Recovered {
        /// The error until then.
        error: PublishError,
        /// For how long the topic could not be written to.
        lasted: Duration,
    },
}

/// Identifies a listener, to remove it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// The listeners of a publisher: read for every record, rarely changed.
#[derive(Default)]
pub(crate) struct Listeners {
    all: ArcSwap<Vec<(ListenerId, Arc<dyn Listener>)>>,
    next: AtomicU64,
    /// Those of listeners, and others that the publisher has caught.
    pub(crate) panics: Panics,
}

impl Listeners {
    pub(crate) fn add(&self, listener: &Arc<dyn Listener>) -> ListenerId {
        let id = ListenerId(self.next.fetch_add(1, Ordering::Relaxed));
        self.all.rcu(|all| {
            let mut all = Vec::clone(all);
            all.push((id, Arc::clone(listener)));
            all
        });
        id
    }

    pub(crate) fn remove(&self, id: ListenerId) {
        self.all.rcu(|all| all.iter().filter(|(other, _)| *other != id).cloned().collect::<Vec<_>>());
    }

    pub(crate) fn on_publish(&self, event: &PublishEvent<'_>) {
        self.each(|listener| listener.on_publish(event));
    }

    pub(crate) fn on_dead_letter(&self, reason: DeadLetterReason, outcome: DeadLetterOutcome) {
        self.each(|listener| listener.on_dead_letter(reason, outcome));
    }

    pub(crate) fn on_connection_failure(&self, failure: ConnectionFailure) {
        self.each(|listener| listener.on_connection_failure(failure));
    }

    pub(crate) fn on_topic_change(&self, change: &TopicChange) {
        for (_, listener) in self.all.load().iter() {
            listener.on_topic_change(change);
        }
    }

    pub(crate) fn on_filtered(&self, event: &Filtered<'_>) {
        self.each(|listener| listener.on_filtered(event));
    }

    pub(crate) fn on_client_stats(&self, stats: &ClientStats) {
        self.each(|listener| listener.on_client_stats(stats));
    }

    /// A listener that panics keeps nothing from the others.
    fn each(&self, call: impl Fn(&dyn Listener)) {
        for (_, listener) in self.all.load().iter() {
            self.panics.catch("listener", || call(&**listener));
        }
    }
}
