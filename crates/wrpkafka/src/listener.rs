//! Those who want to know what became of each record.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::dead_letter::{DeadLetterOutcome, DeadLetterReason};
use crate::error::{ErrorType, PublishError};
use crate::problem::ConnectionProblem;
use crate::stats::ClientStats;

/// Told of every record once, when its fate is final, and of the client's statistics now and then.
pub trait Listener: Send + Sync {
    /// Called from the client's thread, or from the publishing one when the record goes nowhere: must be quick and
    /// must not wait.
    fn on_publish(&self, event: &PublishEvent<'_>);

    /// Told of every record that could never be delivered, when the fate of its dead letter is final: after, and beside,
    /// its [`on_publish`](Listener::on_publish). To be as quick as that.
    fn on_dead_letter(&self, reason: DeadLetterReason, outcome: DeadLetterOutcome) {
        let _ = (reason, outcome);
    }

    /// Called from the publishing thread for every route that matches a message and does not take it.
    fn on_filtered(&self, event: &Filtered<'_>) {
        let _ = event;
    }

    /// Called from the client's thread every [`Config::statistics_interval`](crate::Config::statistics_interval) with
    /// what the client has counted since the publisher started.
    fn on_client_stats(&self, stats: &ClientStats) {
        let _ = stats;
    }

    /// Called from a thread of the client's when a problem with the brokers is logged, which is once a minute at most
    /// for each: must be quick and must not wait. It is over when [`Publisher::problem`](crate::Publisher::problem)
    /// says so.
    fn on_connection_problem(&self, problem: ConnectionProblem) {
        let _ = problem;
    }
}

/// What became of one record, or of a message that gave none (then topic and strategy are empty).
#[derive(Debug, Clone)]
pub struct PublishEvent<'a> {
    /// The authority of the message's destination.
    pub event_type: &'a str,
    /// The record's topic.
    pub topic: &'a str,
    /// How the topic was chosen: `roundrobin`, `deviceid`, `metadata:<field>`; empty for a single topic.
    pub topic_shard_strategy: &'a str,
    /// Why it failed; none when it is acknowledged.
    pub error: Option<&'a PublishError>,
    /// The class of the error.
    pub error_type: Option<ErrorType>,
    /// From the publish call until its fate was final.
    pub duration: Duration,
}

/// A message that a route matches and does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filtered<'a> {
    /// The authority of the message's destination.
    pub event_type: &'a str,
    /// Where the route leads, as configured: its topic, its topics with commas between them, or its template.
    pub topic: &'a str,
    /// What turned the message away.
    pub by: FilteredBy,
}

/// The setting of a route that turned a message away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilteredBy {
    /// No rule of `filter.allow` holds.
    Allow,
    /// A rule of `filter.deny` holds.
    Deny,
    /// The topic that the template gives is not among the `allowedTopics`.
    AllowedTopics,
}

impl FilteredBy {
    /// Every setting, in the order of the enum.
    pub const ALL: [FilteredBy; 3] = [FilteredBy::Allow, FilteredBy::Deny, FilteredBy::AllowedTopics];

    /// The setting's name, and the value of the metric label `rule`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            FilteredBy::Allow => "allow",
            FilteredBy::Deny => "deny",
            FilteredBy::AllowedTopics => "allowedTopics",
        }
    }
}

impl fmt::Display for FilteredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names a listener, for its removal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// The listeners of a publisher: read for every record, changed hardly ever.
#[derive(Default)]
pub(crate) struct Listeners {
    all: ArcSwap<Vec<(ListenerId, Arc<dyn Listener>)>>,
    next: AtomicU64,
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
        for (_, listener) in self.all.load().iter() {
            listener.on_publish(event);
        }
    }

    pub(crate) fn on_dead_letter(&self, reason: DeadLetterReason, outcome: DeadLetterOutcome) {
        for (_, listener) in self.all.load().iter() {
            listener.on_dead_letter(reason, outcome);
        }
    }

    pub(crate) fn on_connection_problem(&self, problem: ConnectionProblem) {
        for (_, listener) in self.all.load().iter() {
            listener.on_connection_problem(problem);
        }
    }

    pub(crate) fn on_filtered(&self, event: &Filtered<'_>) {
        for (_, listener) in self.all.load().iter() {
            listener.on_filtered(event);
        }
    }

    pub(crate) fn on_client_stats(&self, stats: &ClientStats) {
        for (_, listener) in self.all.load().iter() {
            listener.on_client_stats(stats);
        }
    }
}
