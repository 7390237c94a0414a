//! Where a record goes.

use std::sync::{Arc, OnceLock};

use crate::schema::Subject;

/// The destination of a record, shared by all records that a route sends there.
#[derive(Debug)]
pub struct Target {
    pub(crate) topic: Box<str>,
    /// As configured; empty for a route with a single topic.
    pub(crate) strategy: Box<str>,
    /// Empty in a publisher without a schema registry.
    subject: OnceLock<Arc<Subject>>,
}

impl Target {
    pub(crate) fn new(topic: &str, strategy: &str) -> Arc<Self> {
        Arc::new(Self { topic: topic.into(), strategy: strategy.into(), subject: OnceLock::new() })
    }

    /// The subject of the schema of this topic's values, if there is a schema registry.
    pub(crate) fn subject(&self) -> Option<&Subject> {
        self.subject.get().map(|subject| &**subject)
    }

    /// Has an effect the first time only: a topic's subject never changes.
    pub(super) fn assign_subject(&self, subject: impl FnOnce() -> Arc<Subject>) {
        self.subject.get_or_init(subject);
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// How the topic was chosen: `roundrobin`, `deviceid`, `metadata:<field>`; empty for a route with a single topic.
    #[must_use]
    pub fn strategy(&self) -> &str {
        &self.strategy
    }
}
