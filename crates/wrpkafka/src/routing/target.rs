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
    lane: OnceLock<AssignedLane>,
}

/// Which of the engine's lanes the records of a topic use (`engine/backlog.rs`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LaneId(u16);

/// A lane, and what keeps the engine from giving it to another topic.
#[derive(Debug)]
struct AssignedLane {
    id: LaneId,
    _owner: Arc<()>,
}

impl LaneId {
    pub(crate) fn new(number: usize) -> Option<Self> {
        u16::try_from(number).ok().map(Self)
    }

    pub(crate) fn number(self) -> usize {
        usize::from(self.0)
    }
}

impl Target {
    pub(crate) fn new(topic: &str, strategy: &str) -> Arc<Self> {
        Arc::new(Self {
            topic: topic.into(),
            strategy: strategy.into(),
            subject: OnceLock::new(),
            lane: OnceLock::new(),
        })
    }

    /// The lane of this topic's records; that of all topics without one, before one was assigned.
    pub(crate) fn lane(&self) -> LaneId {
        self.lane.get().map(|lane| lane.id).unwrap_or_default()
    }

    /// Has an effect the first time only: a target's lane never changes.
    pub(crate) fn assign_lane(&self, assign: impl FnOnce() -> Option<(LaneId, Arc<()>)>) {
        if self.lane.get().is_none()
            && let Some((id, owner)) = assign()
        {
            self.lane.get_or_init(|| AssignedLane { id, _owner: owner });
        }
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
