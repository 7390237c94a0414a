//! The way out of the lanes: records that wait go to the client, as far as there is room.
//!
//! Lanes take turns, since room is made a record at a time: one that only took its own would never catch up with its
//! neighbours. A lane that holds its share is passed over.

use super::lane::LaneState;
use super::lanes::{Lanes, Phase};
use super::outlet::{Framing as _, NotSent, Readiness, send};
use super::primitives::{Lock as _, Primitives, Slot as _};
use super::queue::Waiting;
use super::{Backlog, Unreported};
use crate::error::PublishError;
use crate::routing::LaneId;
use std::sync::Arc;

/// How a lane's turn ended.
enum Turn {
    /// It has sent what it may in one turn.
    Over,
    /// It holds its share of the room.
    ShareTaken,
    /// Its records no longer wait for room.
    Left(LaneState),
    /// Its topic cannot be written to.
    TopicFailed(PublishError),
    /// There is no room, or no client, for any lane.
    NoRoom,
}

impl<P: Primitives> Backlog<P> {
    /// Sends records that wait for room, as far as there is any.
    pub(crate) fn pump(&self, unreported: &mut Unreported) {
        let room_made = self.locked.with(|locked| self.pump_locked(locked, unreported));
        if room_made {
            self.wake_callers();
        }
    }

    /// Sends records that wait for whatever reason, if it is over: now and then, should a client have rejected records
    /// although nothing was on its way whose return would pump, and when ids of schemas have become known.
    pub(crate) fn pump_waiting(&self, unreported: &mut Unreported) {
        if !self.capacity.has_waiting() {
            return;
        }
        let room_made = self.locked.with(|locked| {
            for id in locked.awaken() {
                self.note_waiting(locked, id);
            }
            self.pump_locked(locked, unreported)
        });
        if room_made {
            self.wake_callers();
        }
    }

    /// Sends what there is room for. Returns whether callers that wait may have room by that.
    pub(super) fn pump_locked(&self, locked: &mut Lanes, unreported: &mut Unreported) -> bool {
        let mut room_made = false;
        // Lanes in a row that hold their share.
        let mut passed = 0;
        while locked.phase == Phase::Running && passed < locked.ready() {
            let Some(id) = locked.turn() else { break };
            match self.take_turn(locked, id, unreported, &mut room_made) {
                Turn::Over => {
                    locked.next_turn();
                    passed = 0;
                }
                Turn::ShareTaken => {
                    locked.next_turn();
                    passed += 1;
                }
                Turn::Left(state) => {
                    locked.end_turns(state);
                    self.publish_flow(locked, id);
                    room_made = true;
                }
                Turn::TopicFailed(error) => {
                    self.topic_failed(locked, id, false, &error, unreported);
                    room_made = true;
                }
                Turn::NoRoom => break,
            }
        }
        self.note_sent(locked);
        room_made
    }

    /// Records of a lane wait: for the holder of the lock, before it looks for room (point 1 of the protocol).
    pub(super) fn note_waiting(&self, locked: &mut Lanes, id: LaneId) {
        self.publish_flow(locked, id);
        if !locked.is_wanted {
            locked.is_wanted = true;
            self.capacity.set_wanted();
        }
    }

    /// Notes that no lane waits for room any more, if that is so.
    pub(super) fn note_sent(&self, locked: &mut Lanes) {
        if locked.is_wanted && locked.ready() == 0 {
            locked.is_wanted = false;
            self.capacity.clear_wanted(locked.has_sleepers());
        }
    }

    fn take_turn(
        &self,
        locked: &mut Lanes,
        id: LaneId,
        unreported: &mut Unreported,
        room_made: &mut bool,
    ) -> Turn {
        let lane = self.lane(id);
        if !lane.window_is_half_empty() {
            return Turn::ShareTaken;
        }
        loop {
            let Some(first) = locked.first_mut(id) else { return Turn::Left(LaneState::Idle) };
            match self.framing.complete(first) {
                Readiness::Ready => {}
                Readiness::NotYet => return Turn::Left(LaneState::AwaitsSchema),
                Readiness::Never(error) => {
                    *room_made = true;
                    unreported.failed.extend(locked.pop_first(id).map(|waiting| (waiting, error)));
                    continue;
                }
            }
            let bytes = first.bytes();
            if locked.take_spent(id) {
                return Turn::Over;
            }
            if !lane.has_share(bytes, self.share()) {
                return Turn::ShareTaken;
            }
            if !self.capacity.reserve(bytes) {
                return Turn::NoRoom;
            }
            lane.add(bytes);
            let Some(Waiting { record, context }) = locked.pop_first(id) else { return Turn::NoRoom };
            let target = Arc::clone(&context.target);
            *room_made = true;
            let Err(not_sent) = self.client.with(|client| send(client, record.as_ref(&target), context))
            else {
                continue;
            };
            lane.release(bytes);
            // The lock is held, and this pump is the one that would follow; its callers are woken at its end.
            self.capacity.release(bytes);
            match not_sent {
                NotSent::Rejected(context, error) => {
                    unreported.failed.push((Waiting { record, context }, error));
                }
                NotSent::MustWait(context, _) => {
                    locked.put_back(Waiting { record, context });
                    return Turn::NoRoom;
                }
                NotSent::TopicFailed(context, error) => {
                    locked.put_back(Waiting { record, context });
                    return Turn::TopicFailed(error);
                }
            }
        }
    }
}
