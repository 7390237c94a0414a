//! One lane: the waiting records of a topic, and what they wait for.

use std::sync::Arc;

use super::flow::Flow;
use super::outage::Outage;
use super::queue::WaitingQueue;

/// How many bytes a lane may send in its turn. What a large record takes beyond that counts in its next turns.
pub(super) const TURN: i64 = 64 << 10;

/// The waiting records of one topic.
pub(super) struct Lane {
    pub(super) topic: Box<str>,
    /// Also held by the targets that use the lane.
    pub(super) owner: Arc<()>,
    pub(super) queue: WaitingQueue,
    /// The largest batch that the topic takes, if it is known.
    pub(super) largest_batch: Option<usize>,
    pub(super) state: LaneState,
    /// The word's flow, which changes only with the lock held. None: not told to the word yet.
    pub(super) flow: Option<Flow>,
    /// How many bytes of its turn are left.
    pub(super) left: i64,
}

/// What the records of a lane wait for.
#[derive(Debug)]
pub(super) enum LaneState {
    /// No record waits.
    Idle,
    /// For room, and their turn.
    Ready,
    /// For a schema's id.
    AwaitsSchema,
    /// For their topic, which cannot be written to. There may be none.
    Failing(Box<Outage>),
}

impl Lane {
    pub(super) fn new(topic: &str, seed: u64) -> Self {
        Self {
            topic: topic.into(),
            owner: Arc::new(()),
            queue: WaitingQueue::new(seed),
            largest_batch: None,
            state: LaneState::Idle,
            flow: None,
            left: TURN,
        }
    }

    /// Why the topic cannot be written to, if that is so.
    pub(super) fn outage(&self) -> Option<&Outage> {
        match &self.state {
            LaneState::Failing(outage) => Some(outage),
            LaneState::Idle | LaneState::Ready | LaneState::AwaitsSchema => None,
        }
    }
}
