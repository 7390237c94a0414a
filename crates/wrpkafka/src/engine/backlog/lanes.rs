//! What the backlog's lock guards: the lanes with their waiting records, and whose turn it is.
//!
//! The room of the waiting records is shared by the lanes as that of the client is ([`Share`]). Lanes whose records could
//! leave if there was room take turns of [`TURN`] bytes: deficit round robin. It knows no clients: the holder of the lock
//! takes records out and sends them.

mod failing;

use std::collections::VecDeque;
use std::sync::Arc;

use super::flow::Flow;
use super::lane::{Lane, LaneState, TURN};
use super::queue::Waiting;
use super::share::Share;
use super::unreported::Failed;
use crate::config::WaitingLimit;
use crate::delivery::DeliveryContext;
use crate::error::PublishError;
use crate::routing::LaneId;

#[cfg(test)]
mod tests;

pub(crate) struct Lanes {
    /// By number. None: the number is free for another topic.
    lanes: Vec<Option<Lane>>,
    pub(super) phase: Phase,
    /// The lanes that are [`LaneState::Ready`], in the order of their turns.
    turns: VecDeque<LaneId>,
    /// The lanes that are [`LaneState::AwaitsSchema`].
    await_schema: Vec<LaneId>,
    /// The lanes that are [`LaneState::Failing`].
    failing: Vec<LaneId>,
    /// How often a lane that fails is tried again before its records of low level are given up.
    low_retries: u64,
    /// How many topics have a lane.
    topics: usize,
    limit: WaitingLimit,
    records: u64,
    bytes: u64,
    /// Whether the room's word says that records wait for room.
    pub(super) is_wanted: bool,
    seed: u64,
}

/// Whether records leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// The client is being replaced: nothing leaves.
    Held,
    /// The publisher does not run: nothing enters.
    Closed,
}

/// What happens if there is no room for a record to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// Records of the lane of the same and lower levels are evicted.
    Evict,
    /// The new record is rejected.
    Reject,
}

/// What became of a record that was to wait.
#[derive(Debug)]
pub(super) enum Pushed {
    /// It waits. These records were evicted for it.
    Queued(Vec<Waiting>),
    /// There is no room, or only that of records of higher levels.
    Full(Waiting),
}

impl Lanes {
    /// One lane, for the records of targets that have none of their own.
    pub(super) fn new(limit: WaitingLimit, low_retries: u64, seed: u64) -> Self {
        Self {
            lanes: vec![Some(Lane::new("", seed))],
            phase: Phase::Closed,
            turns: VecDeque::new(),
            await_schema: Vec::new(),
            failing: Vec::new(),
            low_retries,
            topics: 0,
            limit,
            records: 0,
            bytes: 0,
            is_wanted: false,
            seed,
        }
    }

    /// The lane of a topic, with the owner that keeps it: the one that it has, or a new one below `max`.
    pub(super) fn assign(&mut self, topic: &str, max: usize) -> Option<(LaneId, Arc<()>)> {
        let has_topic = |lane: &Option<Lane>| lane.as_ref().is_some_and(|lane| *lane.topic == *topic);
        let number = match self.lanes.iter().position(has_topic) {
            Some(number) => number,
            None => {
                let free = self.lanes.iter().position(Option::is_none).unwrap_or(self.lanes.len());
                if free >= max {
                    return None;
                }
                if free == self.lanes.len() {
                    self.lanes.push(None);
                }
                self.lanes[free] = Some(Lane::new(topic, self.seed));
                self.topics += 1;
                free
            }
        };
        let lane = self.lanes[number].as_ref()?;
        Some((LaneId::new(number)?, Arc::clone(&lane.owner)))
    }

    /// Frees the lanes that no target uses any more. Their records are all gone, since a record holds its target.
    pub(super) fn forget_unused(&mut self) {
        for lane in &mut self.lanes[1..] {
            if lane.as_ref().is_some_and(|lane| lane.queue.is_empty() && Arc::strong_count(&lane.owner) == 1)
            {
                *lane = None;
                self.topics -= 1;
            }
        }
        let Self { lanes, turns, await_schema, failing, .. } = self;
        turns.retain(|id| lanes[id.number()].is_some());
        await_schema.retain(|id| lanes[id.number()].is_some());
        failing.retain(|id| lanes[id.number()].is_some());
    }

    /// Whether several topics have lanes, so that each may hold its share only.
    pub(super) fn is_shared(&self) -> bool {
        self.topics > 1
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = LaneId> + use<> {
        (0..self.lanes.len()).filter_map(LaneId::new)
    }

    /// Notes the largest batch that a topic takes. Returns whether that is news, if the topic has a lane.
    pub(super) fn set_largest_batch(&mut self, topic: &str, bytes: usize) -> Option<bool> {
        let lane = self.lanes.iter_mut().flatten().find(|lane| *lane.topic == *topic)?;
        Some(lane.largest_batch.replace(bytes) != Some(bytes))
    }

    fn get_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.lanes.get_mut(id.number())?.as_mut()
    }

    /// The lanes with their topics.
    pub(super) fn iter(&self) -> impl Iterator<Item = (LaneId, &Lane)> {
        self.lanes
            .iter()
            .enumerate()
            .filter_map(|(number, lane)| Some((LaneId::new(number)?, lane.as_ref()?)))
    }

    /// What a record meets that is submitted to a lane.
    fn flow(&self, state: &LaneState) -> Flow {
        match (self.phase, state) {
            (Phase::Closed, _) => Flow::Closed,
            (Phase::Held, _) | (Phase::Running, LaneState::AwaitsSchema) => Flow::Suspended,
            (Phase::Running, LaneState::Idle) => Flow::Open,
            (Phase::Running, LaneState::Ready) => Flow::Queued,
            (Phase::Running, LaneState::Failing(_)) => Flow::Failing,
        }
    }

    /// What a record meets that is submitted to a lane, if that is another flow than the one before.
    pub(super) fn changed_flow(&mut self, id: LaneId) -> Option<Flow> {
        let flow = self.flow(&self.lanes.get(id.number())?.as_ref()?.state);
        let lane = self.get_mut(id)?;
        (lane.flow.replace(flow) != Some(flow)).then_some(flow)
    }

    pub(super) fn limit(&self) -> WaitingLimit {
        self.limit
    }

    /// Records and bytes that wait.
    pub(super) fn used(&self) -> (u64, u64) {
        (self.records, self.bytes)
    }

    /// Whether a record of this size could wait without evicting another.
    pub(super) fn has_room(&self, id: LaneId, bytes: usize) -> bool {
        let used = self.lanes[id.number()].as_ref().map(|lane| lane.queue.used()).unwrap_or_default();
        self.allows((self.records, self.bytes), used, bytes)
    }

    /// Adds a record at the end of its lane. Its sequence number must be the highest of its key.
    pub(super) fn push(&mut self, waiting: Waiting) -> Pushed {
        let (id, bytes) = (waiting.context.target.lane(), waiting.held());
        let mut evicted = Vec::new();
        if !self.has_room(id, bytes) {
            if !self.can_make_room(id, &waiting) {
                return Pushed::Full(waiting);
            }
            while !self.has_room(id, bytes) {
                let Some(lowest) = self.get_mut(id).and_then(|lane| lane.queue.pop_lowest()) else { break };
                self.uncount(&lowest);
                evicted.push(lowest);
            }
        }
        self.put_back(waiting);
        Pushed::Queued(evicted)
    }

    /// Puts a record back that the client returned, at its old place. The bounds do not apply, as they did when it left.
    pub(super) fn put_back(&mut self, waiting: Waiting) {
        let id = waiting.context.target.lane();
        self.take_probe(id, waiting.context.sequence);
        self.records += 1;
        self.bytes += waiting.held() as u64;
        let Some(lane) = self.get_mut(id) else { return };
        lane.queue.insert(waiting);
        if matches!(lane.state, LaneState::Idle) {
            self.set_ready(id);
        }
    }

    /// The context of the record of a lane that leaves next, which holds the record.
    pub(super) fn first_mut(&mut self, id: LaneId) -> Option<&mut DeliveryContext> {
        self.get_mut(id)?.queue.first_mut()
    }

    /// Whether records of a lane have to be sent alone, because they were refused in a batch.
    pub(super) fn has_alone(&self, id: LaneId) -> bool {
        self.lanes.get(id.number()).and_then(Option::as_ref).is_some_and(|lane| lane.queue.has_alone())
    }

    /// Takes out the record of a lane that leaves next.
    pub(super) fn pop_first(&mut self, id: LaneId) -> Option<Waiting> {
        let lane = self.get_mut(id)?;
        let popped = lane.queue.pop_first()?;
        lane.left -= i64::try_from(popped.context.bytes()).unwrap_or(i64::MAX);
        self.uncount(&popped);
        Some(popped)
    }

    /// Takes records from the front of each level of each lane as long as `is_late` holds. They fail with the error of their
    /// topic, if it cannot be written to.
    pub(super) fn pop_late(&mut self, is_late: impl Fn(&DeliveryContext) -> bool) -> Vec<Failed> {
        let mut late = Vec::new();
        for lane in self.lanes.iter_mut().flatten() {
            let mut popped = Vec::new();
            lane.queue.pop_while(&is_late, &mut popped);
            let error = lane.outage().map_or(PublishError::Timeout, |outage| outage.error.clone());
            late.extend(popped.into_iter().map(|waiting| (waiting, error.clone())));
        }
        for (waiting, _) in &late {
            self.uncount(waiting);
        }
        late
    }

    /// Takes out all records. All lanes are idle then.
    pub(super) fn drain(&mut self) -> Vec<Waiting> {
        let drained = self.pop_late(|_| true).into_iter().map(|(waiting, _)| waiting).collect();
        self.turns.clear();
        self.await_schema.clear();
        self.failing.clear();
        for lane in self.lanes.iter_mut().flatten() {
            (lane.state, lane.left) = (LaneState::Idle, TURN);
        }
        drained
    }

    /// Whether lanes have records that wait for something else than room.
    pub(super) fn has_sleepers(&self) -> bool {
        !self.await_schema.is_empty() || !self.failing.is_empty()
    }

    /// How many lanes have records that wait for room.
    pub(super) fn ready(&self) -> usize {
        self.turns.len()
    }

    /// The lane whose turn it is.
    pub(super) fn turn(&self) -> Option<LaneId> {
        self.turns.front().copied()
    }

    /// Whether the lane whose turn it is has sent what it may in it. It may send as much again in its next one.
    pub(super) fn take_spent(&mut self, id: LaneId) -> bool {
        let Some(lane) = self.get_mut(id).filter(|lane| lane.left <= 0) else { return false };
        lane.left += TURN;
        true
    }

    /// Lets the next lane have its turn.
    pub(super) fn next_turn(&mut self) {
        let first = self.turns.pop_front();
        self.turns.extend(first);
    }

    /// Ends the turns of the lane whose turn it is, as its records do not wait for room.
    pub(super) fn end_turns(&mut self, state: LaneState) {
        let Some(id) = self.turns.pop_front() else { return };
        if matches!(state, LaneState::AwaitsSchema) {
            self.await_schema.push(id);
        }
        if let Some(lane) = self.get_mut(id) {
            (lane.state, lane.left) = (state, TURN);
        }
    }

    /// Lets the lanes that wait for schemas have turns again: an id may be known by now. Returns which they were.
    pub(super) fn awaken(&mut self) -> Vec<LaneId> {
        let asleep = std::mem::take(&mut self.await_schema);
        asleep.iter().for_each(|id| self.set_ready(*id));
        asleep
    }

    fn set_ready(&mut self, id: LaneId) {
        if let Some(lane) = self.get_mut(id) {
            lane.state = LaneState::Ready;
            self.turns.push_back(id);
        }
    }

    fn uncount(&mut self, popped: &Waiting) {
        self.records -= 1;
        self.bytes -= popped.held() as u64;
    }

    /// Whether evicting every record of the lane of this level and below leaves enough room.
    fn can_make_room(&self, id: LaneId, waiting: &Waiting) -> bool {
        let Some(lane) = &self.lanes[id.number()] else { return false };
        let (used, kept) = (lane.queue.used(), lane.queue.used_above(waiting.context.level));
        let total = (self.records - used.0 + kept.0, self.bytes - used.1 + kept.1);
        self.allows(total, kept, waiting.held())
    }

    /// Whether one more record may wait if this much waits in all, and this much of it in the record's lane.
    fn allows(&self, (records, bytes): (u64, u64), lane: (u64, u64), more: usize) -> bool {
        let WaitingLimit { records: max_records, bytes: max_bytes } = self.limit;
        let share = if self.is_shared() {
            Share::of_free(max_records.saturating_sub(records), max_bytes.saturating_sub(bytes))
        } else {
            Share::WHOLE
        };
        records < max_records && bytes + more as u64 <= max_bytes && share.allows(lane.0, lane.1)
    }
}
