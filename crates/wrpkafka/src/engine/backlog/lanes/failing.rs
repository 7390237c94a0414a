//! The lanes whose topics cannot be written to.

use std::time::Instant;

use super::Lanes;
use crate::engine::backlog::lane::{Lane, LaneState};
use crate::engine::backlog::outage::Outage;
use crate::engine::backlog::queue::Waiting;
use crate::error::PublishError;
use crate::listener::{TopicChange, TopicState};
use crate::routing::LaneId;

impl Lanes {
    /// Lets a lane wait for its topic. `is_attempt` says that the record was sent alone, to find out. Returns what is to be
    /// reported, if the topic could be written to before or fails for another reason now.
    pub(in crate::engine::backlog) fn fail(
        &mut self,
        id: LaneId,
        is_attempt: bool,
        error: &PublishError,
        now: Instant,
    ) -> Option<TopicChange> {
        let seed = self.seed ^ id.number() as u64;
        let lane = self.get_mut(id)?;
        if let LaneState::Failing(outage) = &mut lane.state {
            if is_attempt {
                outage.count_attempt(now, seed);
            }
            // Of one cause there are several errors, for instance before and after the topic's metadata is known.
            let is_same_cause = outage.error.dead_letter_reason() == error.dead_letter_reason();
            outage.error = error.clone();
            if is_same_cause {
                return None;
            }
        } else {
            lane.state = LaneState::Failing(Box::new(Outage::new(error.clone(), now, seed)));
            self.turns.retain(|other| *other != id);
            self.await_schema.retain(|other| *other != id);
            self.failing.push(id);
        }
        self.change(id, TopicState::Failing { error: error.clone() })
    }

    /// Ends a lane's outage. Returns what is to be reported.
    pub(in crate::engine::backlog) fn recover(&mut self, id: LaneId) -> Option<TopicChange> {
        let lane = self.get_mut(id)?;
        let LaneState::Failing(outage) = std::mem::replace(&mut lane.state, LaneState::Idle) else {
            return None;
        };
        let is_empty = lane.queue.is_empty();
        self.failing.retain(|other| *other != id);
        if !is_empty {
            self.set_ready(id);
        }
        let lasted = outage.since.elapsed();
        self.change(id, TopicState::Recovered { error: outage.error, lasted })
    }

    /// The lanes whose topics cannot be written to and may be tried now.
    pub(in crate::engine::backlog) fn due(&self, now: Instant) -> Vec<LaneId> {
        let is_due = |id: &&LaneId| {
            let lane = self.lanes[id.number()].as_ref();
            lane.is_some_and(|lane| {
                !lane.queue.is_empty() && lane.outage().is_some_and(|outage| outage.is_due(now))
            })
        };
        self.failing.iter().filter(is_due).copied().collect()
    }

    /// Lets every topic that cannot be written to be tried now.
    pub(in crate::engine::backlog) fn try_failing(&mut self, now: Instant) {
        for id in self.failing.clone() {
            self.try_now(id, now);
        }
    }

    /// Lets a topic that cannot be written to be tried now.
    pub(in crate::engine::backlog) fn try_now(&mut self, id: LaneId, now: Instant) {
        if let Some(LaneState::Failing(outage)) = self.get_mut(id).map(|lane| &mut lane.state) {
            outage.try_now(now);
        }
    }

    /// A record was sent alone to find out whether its topic can be written to.
    pub(in crate::engine::backlog) fn set_probe(&mut self, id: LaneId, sequence: u64) {
        if let Some(LaneState::Failing(outage)) = self.get_mut(id).map(|lane| &mut lane.state) {
            outage.set_probe(sequence);
        }
    }

    /// Whether this record was sent alone and has not come back.
    pub(in crate::engine::backlog) fn is_probe(&self, id: LaneId, sequence: u64) -> bool {
        let lane = self.lanes.get(id.number()).and_then(Option::as_ref);
        lane.and_then(Lane::outage).is_some_and(|outage| outage.is_probe(sequence))
    }

    /// Notes that a record has left the client. Returns whether it was sent alone, to find out about its topic.
    pub(in crate::engine::backlog) fn take_probe(&mut self, id: LaneId, sequence: u64) -> bool {
        match self.get_mut(id).map(|lane| &mut lane.state) {
            Some(LaneState::Failing(outage)) => outage.take_probe(sequence),
            _ => false,
        }
    }

    /// Takes out a lane's records of low level if the topic was tried often enough for them.
    pub(in crate::engine::backlog) fn take_given_up(&mut self, id: LaneId) -> Vec<Waiting> {
        let low_retries = self.low_retries;
        let mut given_up = Vec::new();
        if let Some(lane) = self.get_mut(id)
            && lane.outage().is_some_and(|outage| outage.attempts > low_retries)
        {
            given_up.extend(std::iter::from_fn(|| lane.queue.pop_low()));
        }
        for waiting in &given_up {
            self.uncount(waiting);
        }
        given_up
    }

    /// Why a record of low level may not wait for its topic, if that is so. One may, if it is time to try the topic and no
    /// other record could.
    pub(in crate::engine::backlog) fn refuses_low(&self, id: LaneId, now: Instant) -> Option<PublishError> {
        let lane = self.lanes.get(id.number())?.as_ref()?;
        let outage = lane.outage()?;
        let may_try = lane.queue.is_empty() && outage.is_due(now);
        (outage.attempts > self.low_retries && !may_try).then(|| outage.error.clone())
    }

    fn change(&self, id: LaneId, state: TopicState) -> Option<TopicChange> {
        let lane = self.lanes.get(id.number())?.as_ref()?;
        let (waiting_records, waiting_bytes) = lane.queue.used();
        Some(TopicChange { topic: lane.topic.to_string(), state, waiting_records, waiting_bytes })
    }
}
