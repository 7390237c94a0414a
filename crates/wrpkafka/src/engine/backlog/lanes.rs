//! What the backlog's lock guards: the lanes with their waiting records, and whose turn it is.
//!
//! The room of the waiting records is shared by the lanes as that of the client is ([`Share`]). Lanes whose records could
//! leave if there was room take turns of [`TURN`] bytes: deficit round robin. It knows no clients: the holder of the lock
//! takes records out and sends them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::flow::Flow;
use super::queue::{Waiting, WaitingQueue};
use super::share::Share;
use crate::config::WaitingLimit;
use crate::delivery::DeliveryContext;
use crate::routing::LaneId;

/// How many bytes a lane may send in its turn. What a large record takes beyond that counts in its next turns.
const TURN: i64 = 64 << 10;

pub(crate) struct Lanes {
    /// By number. None: the number is free for another topic.
    lanes: Vec<Option<Lane>>,
    pub(super) phase: Phase,
    /// The lanes that are [`LaneState::Ready`], in the order of their turns.
    turns: VecDeque<LaneId>,
    /// The lanes that are [`LaneState::AwaitsSchema`].
    await_schema: Vec<LaneId>,
    /// How many topics have a lane.
    topics: usize,
    limit: WaitingLimit,
    records: u64,
    bytes: u64,
    /// Whether the room's word says that records wait for room.
    pub(super) is_wanted: bool,
    seed: u64,
}

/// The waiting records of one topic.
pub(super) struct Lane {
    topic: Box<str>,
    /// Also held by the targets that use the lane.
    owner: Arc<()>,
    queue: WaitingQueue,
    state: LaneState,
    /// The word's flow, which changes only with the lock held. None: not told to the word yet.
    flow: Option<Flow>,
    /// How many bytes of its turn are left.
    left: i64,
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

/// What the records of a lane wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneState {
    /// No record waits.
    Idle,
    /// For room, and their turn.
    Ready,
    /// For a schema's id.
    AwaitsSchema,
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
    pub(super) fn new(limit: WaitingLimit, seed: u64) -> Self {
        Self {
            lanes: vec![Some(Lane::new("", seed))],
            phase: Phase::Closed,
            turns: VecDeque::new(),
            await_schema: Vec::new(),
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
    }

    /// Whether several topics have lanes, so that each may hold its share only.
    pub(super) fn is_shared(&self) -> bool {
        self.topics > 1
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = LaneId> + use<> {
        (0..self.lanes.len()).filter_map(LaneId::new)
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
    fn flow(&self, state: LaneState) -> Flow {
        match (self.phase, state) {
            (Phase::Closed, _) => Flow::Closed,
            (Phase::Held, _) | (Phase::Running, LaneState::AwaitsSchema) => Flow::Suspended,
            (Phase::Running, LaneState::Idle) => Flow::Open,
            (Phase::Running, LaneState::Ready) => Flow::Queued,
        }
    }

    /// What a record meets that is submitted to a lane, if that is another flow than the one before.
    pub(super) fn changed_flow(&mut self, id: LaneId) -> Option<Flow> {
        let flow = self.flow(self.lanes.get(id.number())?.as_ref()?.state);
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
        let (id, bytes) = (waiting.context.target.lane(), waiting.context.bytes);
        let mut evicted = Vec::new();
        if !self.has_room(id, bytes) {
            if !self.can_make_room(id, &waiting.context) {
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
        self.records += 1;
        self.bytes += waiting.context.bytes as u64;
        let Some(lane) = self.get_mut(id) else { return };
        lane.queue.insert(waiting);
        if lane.state == LaneState::Idle {
            self.set_ready(id);
        }
    }

    /// The record of a lane that leaves next.
    pub(super) fn first_mut(&mut self, id: LaneId) -> Option<&mut Waiting> {
        self.get_mut(id)?.queue.first_mut()
    }

    /// Takes out the record of a lane that leaves next.
    pub(super) fn pop_first(&mut self, id: LaneId) -> Option<Waiting> {
        let lane = self.get_mut(id)?;
        let popped = lane.queue.pop_first()?;
        lane.left -= i64::try_from(popped.context.bytes).unwrap_or(i64::MAX);
        self.uncount(&popped);
        Some(popped)
    }

    /// Takes records from the front of each level of each lane as long as `is_late` holds.
    pub(super) fn pop_while(&mut self, is_late: impl Fn(&DeliveryContext) -> bool) -> Vec<Waiting> {
        let mut popped = Vec::new();
        for lane in self.lanes.iter_mut().flatten() {
            lane.queue.pop_while(&is_late, &mut popped);
        }
        for waiting in &popped {
            self.uncount(waiting);
        }
        popped
    }

    /// Takes out all records. All lanes are idle then.
    pub(super) fn drain(&mut self) -> Vec<Waiting> {
        let drained = self.pop_while(|_| true);
        self.turns.clear();
        self.await_schema.clear();
        for lane in self.lanes.iter_mut().flatten() {
            (lane.state, lane.left) = (LaneState::Idle, TURN);
        }
        drained
    }

    /// Whether lanes have records that wait for something else than room.
    pub(super) fn has_sleepers(&self) -> bool {
        !self.await_schema.is_empty()
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
        if state == LaneState::AwaitsSchema {
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
        self.bytes -= popped.context.bytes as u64;
    }

    /// Whether evicting every record of the lane of this level and below leaves enough room.
    fn can_make_room(&self, id: LaneId, context: &DeliveryContext) -> bool {
        let Some(lane) = &self.lanes[id.number()] else { return false };
        let (used, kept) = (lane.queue.used(), lane.queue.used_above(context.level));
        let total = (self.records - used.0 + kept.0, self.bytes - used.1 + kept.1);
        self.allows(total, kept, context.bytes)
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

impl Lane {
    fn new(topic: &str, seed: u64) -> Self {
        Self {
            topic: topic.into(),
            owner: Arc::new(()),
            queue: WaitingQueue::new(seed),
            state: LaneState::Idle,
            flow: None,
            left: TURN,
        }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn queue(&self) -> &WaitingQueue {
        &self.queue
    }
}

#[cfg(test)]
mod tests {
    use wrp::QosLevel::{self, Critical, High, Medium};

    use super::super::queue::tests::waiting;
    use super::*;
    use crate::routing::Target;

    fn lanes(records: u64, bytes: u64) -> Lanes {
        Lanes::new(WaitingLimit { records, bytes }, 0)
    }

    /// A record of the target's lane.
    fn of(target: &Arc<Target>, sequence: u64, level: QosLevel, bytes: usize) -> Waiting {
        let mut waiting = waiting("k", sequence, level, bytes);
        waiting.context.target = Arc::clone(target);
        waiting
    }

    fn target(lanes: &mut Lanes, topic: &str) -> Arc<Target> {
        let target = Target::new(topic, "");
        target.assign_lane(|| lanes.assign(topic, 8));
        target
    }

    fn push(lanes: &mut Lanes, waiting: Waiting) -> Option<Vec<u64>> {
        match lanes.push(waiting) {
            Pushed::Queued(evicted) => Some(evicted.iter().map(|w| w.context.sequence).collect()),
            Pushed::Full(_) => None,
        }
    }

    fn order(lanes: &mut Lanes, id: LaneId) -> Vec<u64> {
        std::iter::from_fn(|| lanes.pop_first(id)).map(|waiting| waiting.context.sequence).collect()
    }

    #[test]
    fn the_lowest_level_is_evicted_first_and_then_the_oldest() {
        let mut lanes = lanes(3, 100);
        let topic = target(&mut lanes, "t");
        for (sequence, level) in [(1, High), (2, Medium), (3, Medium)] {
            push(&mut lanes, of(&topic, sequence, level, 1));
        }
        assert_eq!(push(&mut lanes, of(&topic, 4, Critical, 1)), Some(vec![2]));
        assert_eq!(push(&mut lanes, of(&topic, 5, Medium, 1)), Some(vec![3]), "the oldest of its own level");
        assert_eq!(push(&mut lanes, of(&topic, 6, High, 1)), Some(vec![5]));
        assert_eq!(push(&mut lanes, of(&topic, 7, Medium, 1)), None, "all that wait are of higher levels");
        assert_eq!(order(&mut lanes, topic.lane()), [1, 4, 6]);
        assert_eq!(lanes.used(), (0, 0));
    }

    #[test]
    fn a_large_record_evicts_several_small_ones_or_none() {
        let mut lanes = lanes(10, 10);
        let topic = target(&mut lanes, "t");
        for (sequence, level) in [(1, Medium), (2, Medium), (3, Critical)] {
            push(&mut lanes, of(&topic, sequence, level, 3));
        }
        assert_eq!(push(&mut lanes, of(&topic, 4, High, 8)), None, "3 + 8 bytes are more than 10");
        assert_eq!(push(&mut lanes, of(&topic, 5, High, 7)), Some(vec![1, 2]));
        assert_eq!(order(&mut lanes, topic.lane()), [3, 5]);
    }

    #[test]
    fn a_lane_that_takes_all_it_gets_evicts_its_own_records_only() {
        let mut lanes = lanes(90, 1_000);
        let (greedy, modest) = (target(&mut lanes, "greedy"), target(&mut lanes, "modest"));
        push(&mut lanes, of(&modest, 0, Medium, 1));
        let evicted: Vec<_> =
            (1..100).filter_map(|sequence| push(&mut lanes, of(&greedy, sequence, Critical, 1))).collect();
        assert_eq!(evicted.concat(), (1..40).collect::<Vec<_>>(), "all but 60: twice what is free then");
        for sequence in 100..110 {
            assert_eq!(push(&mut lanes, of(&modest, sequence, Medium, 1)), Some(vec![]));
        }
        assert_eq!(order(&mut lanes, modest.lane()).len(), 11);
        assert_eq!(order(&mut lanes, greedy.lane()).len(), 60);
    }

    #[test]
    fn a_lane_is_freed_for_another_topic_when_no_target_uses_it() {
        let mut lanes = lanes(9, 1_000);
        let (first, second) = (target(&mut lanes, "first"), target(&mut lanes, "second"));
        assert!(lanes.is_shared() && first.lane() != second.lane());
        assert_eq!(target(&mut lanes, "first").lane(), first.lane(), "a topic has one lane");
        let number = first.lane();
        drop(first);
        lanes.forget_unused();
        assert!(!lanes.is_shared());
        assert_eq!(target(&mut lanes, "third").lane(), number);
        assert_eq!((0..9).filter(|more| lanes.assign(&more.to_string(), 8).is_some()).count(), 5);
    }
}
