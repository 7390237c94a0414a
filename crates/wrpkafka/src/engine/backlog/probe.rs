//! Topics that cannot be written to: missing, unauthorized, without a leader or enough replicas.
//!
//! When a record comes back for such a reason, the records of its lane wait, and after a pause the first of them is sent
//! again, alone: as long as the topic is as it was, each failed request costs the other topics something (an idempotent
//! producer starts its sequences anew). The pause doubles up to a bound ([`outage`](super::outage)). The lane goes on when a
//! record that was sent like this is delivered. Records of low level are given up when the lane has been tried
//! `maxRecordRetries` times again.
//!
//! The records of a batch that was too large wait in the same way. Until it is known how large a batch may be, the lane goes on
//! only when none of them is left: in another batch they would be refused again. What is refused alone is refused for good.

use std::sync::Arc;
use std::time::Instant;

use super::lanes::{Lanes, Phase};
use super::outlet::{Framing as _, NotSent, Readiness, send};
use super::primitives::{Lock as _, Primitives, Slot as _};
use super::queue::Waiting;
use super::{Backlog, Unreported};
use crate::error::PublishError;
use crate::routing::LaneId;

/// How a record that left the client ended, as far as its topic is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Yes,
    /// It came back for another reason than its topic.
    Unknown,
}

impl<P: Primitives> Backlog<P> {
    /// Lets a record wait that came back because its topic cannot be written to, and the lane with it. Gives it back if the
    /// backlog is closed.
    pub(crate) fn put_back_failed(
        &self,
        waiting: Waiting,
        error: &PublishError,
        unreported: &mut Unreported,
    ) -> Result<(), Waiting> {
        self.locked.with(|locked| {
            if locked.phase == Phase::Closed {
                return Err(waiting);
            }
            let (id, sequence) = (waiting.context.target.lane(), waiting.context.sequence);
            let was_probe = locked.take_probe(id, sequence);
            locked.put_back(waiting);
            self.topic_failed(locked, id, was_probe, error, unreported);
            Ok(())
        })
    }

    /// Whether this record was sent alone, so that what the topic says of its batch holds for the record.
    pub(crate) fn is_probe(&self, id: LaneId, sequence: u64) -> bool {
        self.locked.with(|locked| locked.is_probe(id, sequence))
    }

    /// Sends the first record of each lane whose topic could not be written to, if it is time. Returns whether it sent any.
    pub(crate) fn probe(&self, now: Instant, unreported: &mut Unreported) -> bool {
        if !self.capacity.has_waiting() {
            return false;
        }
        let mut has_sent = false;
        let room_made = self.locked.with(|locked| {
            if locked.phase != Phase::Running {
                return false;
            }
            for id in locked.due(now) {
                // What the client still holds of the topic comes first: it may be of the same keys.
                if self.lane(id).used().0 == 0 {
                    has_sent |= self.send_probe(locked, id, unreported);
                }
            }
            self.pump_locked(locked, unreported)
        });
        if room_made {
            self.wake_callers();
        }
        has_sent
    }

    /// Notes how a record of a lane that does not just wait for room has left the client. If it was sent alone and was
    /// delivered, the lane goes on.
    pub(crate) fn probe_ended(
        &self,
        id: LaneId,
        sequence: u64,
        written: Written,
        unreported: &mut Unreported,
    ) {
        let room_made = self.locked.with(|locked| {
            if !locked.take_probe(id, sequence) || written == Written::Unknown {
                return false;
            }
            // Others may wait in front of them: devices take turns. With a window no batch is too large any more.
            if locked.has_alone(id) && !self.lane(id).has_window() {
                locked.try_now(id, Instant::now());
                return false;
            }
            unreported.changes.extend(locked.recover(id));
            self.note_waiting(locked, id);
            self.pump_locked(locked, unreported)
        });
        if room_made {
            self.wake_callers();
        }
    }

    /// Lets a lane wait for its topic, one of whose records just came back and waits again.
    pub(super) fn topic_failed(
        &self,
        locked: &mut Lanes,
        id: LaneId,
        was_probe: bool,
        error: &PublishError,
        unreported: &mut Unreported,
    ) {
        unreported.changes.extend(locked.fail(id, was_probe, error, Instant::now()));
        let given_up = locked.take_given_up(id);
        unreported.failed.extend(given_up.into_iter().map(|waiting| (waiting, error.clone())));
        self.note_waiting(locked, id);
        self.note_sent(locked);
    }

    fn send_probe(&self, locked: &mut Lanes, id: LaneId, unreported: &mut Unreported) -> bool {
        let Some(first) = locked.first_mut(id) else { return false };
        match self.framing.complete(first) {
            Readiness::Ready => {}
            Readiness::NotYet => return false,
            Readiness::Never(error) => {
                unreported.failed.extend(locked.pop_first(id).map(|waiting| (waiting, error)));
                return false;
            }
        }
        let (bytes, sequence) = (first.bytes(), first.sequence);
        if !self.capacity.reserve(bytes) {
            return false;
        }
        let lane = self.lane(id);
        lane.add(bytes);
        let Some(Waiting { record, context }) = locked.pop_first(id) else { return false };
        let target = Arc::clone(&context.target);
        let Err(not_sent) = self.client.with(|client| send(client, record.as_ref(&target), context)) else {
            locked.set_probe(id, sequence);
            return true;
        };
        lane.release(bytes);
        // The pump follows, with the lock held.
        self.capacity.release(bytes);
        match not_sent {
            NotSent::Rejected(context, error) => {
                unreported.failed.push((Waiting { record, context }, error));
            }
            NotSent::MustWait(context, _) => locked.put_back(Waiting { record, context }),
            NotSent::TopicFailed(context, error) => {
                locked.put_back(Waiting { record, context });
                self.topic_failed(locked, id, true, &error, unreported);
            }
        }
        false
    }
}
