//! The waiting room's door: who gets in, and how those inside get to the client.

use std::sync::Arc;
use std::sync::atomic::{Ordering, Ordering::SeqCst};
use std::time::Instant;

use super::gate::Gate;
use super::{Engine, Generation, Origin, Refusal, Turned};
use crate::config::WaitingLimit;
use crate::error::PublishError;
use crate::schema::Frame;
use crate::waiting::{Admission, Waiting, WaitingRoom};

pub(super) struct Room {
    pub(super) queue: WaitingRoom,
    /// The client is being replaced: nobody leaves.
    held: bool,
    /// The publisher has stopped: nobody gets in.
    closed: bool,
}

/// What happens at a room that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Records of the same or a lower level give way.
    Displacing,
    /// The newcomer is sent away.
    Polite,
}

impl Room {
    pub(super) fn new(limit: WaitingLimit) -> Room {
        Room { queue: WaitingRoom::new(limit), held: false, closed: false }
    }
}

impl Engine {
    /// Lets a record wait, or gives it back with the reason.
    pub(super) fn admit(&self, mut waiting: Waiting, door: Door) -> Result<(), (Waiting, PublishError)> {
        let displaced = {
            let mut room = self.room.lock();
            if room.closed {
                return Err((waiting, PublishError::Stopped));
            }
            if door == Door::Polite && !room.queue.has_room(waiting.context.bytes) {
                return Err((waiting, PublishError::BufferFull));
            }
            let is_held = waiting.context.frame == Frame::Open;
            waiting.context.sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
            match room.queue.admit(waiting) {
                Admission::Full(waiting) => return Err((waiting, PublishError::BufferFull)),
                Admission::Admitted(displaced) => {
                    if let Some(schemas) = self.schemas.as_ref().filter(|_| is_held) {
                        schemas.counts.held.fetch_add(1, Ordering::Relaxed);
                    }
                    // Raised before the pump looks for room: either it finds some, or the next delivery sees the flag.
                    self.waits.store(true, SeqCst);
                    displaced
                }
            }
        };
        self.pump();
        for waiting in displaced {
            self.finish(*waiting.context, Err(PublishError::Displaced), Origin::Client);
        }
        Ok(())
    }

    /// Moves records that wait into the client, in their order, as far as there is room.
    pub(super) fn pump(&self) {
        let mut refused = Vec::new();
        let mut moved = false;
        {
            let mut room = self.room.lock();
            while !room.held {
                let Some(first) = room.queue.first_mut() else {
                    self.waits.store(false, SeqCst);
                    self.low_waits.store(false, SeqCst);
                    break;
                };
                match self.pass_gate(first) {
                    Gate::Open(()) => {}
                    Gate::Shut => {
                        self.low_waits.store(true, SeqCst);
                        break;
                    }
                    Gate::Never(error) => {
                        moved = true;
                        let waiting = room.queue.pop_first();
                        refused.extend(waiting.map(|waiting| (waiting, error)));
                        continue;
                    }
                }
                let bytes = first.context.bytes;
                if !self.buffer.reserve(bytes) {
                    self.low_waits.store(false, SeqCst);
                    break;
                }
                let Some(Waiting { record, context }) = room.queue.pop_first() else { break };
                moved = true;
                match self.send(record.as_ref(), context) {
                    Ok(()) => {}
                    Err(Turned::Away(Refusal { context, error })) => {
                        refused.push((Waiting { record, context }, error));
                    }
                    Err(Turned::NoRoom(context)) => {
                        room.queue.put_back(Waiting { record, context });
                        break;
                    }
                }
            }
        }
        if moved {
            self.room_freed.notify_waiters();
        }
        for (Waiting { record, context }, error) in refused {
            self.bury(record.as_ref(), &context, &error);
            self.finish(*context, Err(error), Origin::Client);
        }
    }

    /// Moves what waits although nothing is on its way whose return would: a record that the client refuses gives its
    /// room back without anybody looking. For the thread, now and then.
    pub(super) fn pump_if_waiting(&self) {
        if self.waits.load(SeqCst) {
            self.pump();
        }
    }

    /// Puts a record that came back from the client where it was.
    pub(super) fn put_back(&self, waiting: Waiting) {
        let mut room = self.room.lock();
        self.waits.store(true, SeqCst);
        room.queue.put_back(waiting);
    }

    /// Whether the publisher has stopped, so that nothing is sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.room.lock().closed
    }

    /// Fails the records that have waited longer than their delivery timeout.
    pub(super) fn expire(&self, now: Instant) {
        let Some(timeout) = self.limits.delivery_timeout else { return };
        if !self.waits.load(SeqCst) {
            return;
        }
        let late = self.room.lock().queue.pop_while(|context| now >= context.submitted + timeout);
        self.room_freed.notify_waiters();
        for waiting in late {
            self.finish(*waiting.context, Err(PublishError::Timeout), Origin::Client);
        }
    }

    /// Whether everything has left for good.
    pub(super) fn is_drained(&self) -> bool {
        // In this order: a record moves from the room to the client, hardly ever back.
        self.room.lock().queue.is_empty() && self.buffer.used().0 == 0
    }

    /// Keeps everything in the room, while the client is replaced, and takes the client out of the callers' reach.
    ///
    /// A caller may be about to hand it a record: that shows as another owner.
    pub(super) fn hold(&self) -> Option<Arc<Generation>> {
        {
            let mut room = self.room.lock();
            room.held = true;
            self.low_waits.store(true, SeqCst);
            self.waits.store(true, SeqCst);
        }
        self.client.swap(None)
    }

    /// Lets records leave again, to this client.
    pub(super) fn release(&self, next: Arc<Generation>) {
        self.client.store(Some(next));
        self.room.lock().held = false;
        self.pump();
        self.room_freed.notify_waiters();
    }

    /// Lets everybody in and out, as at the beginning.
    pub(super) fn reopen(&self) {
        let mut room = self.room.lock();
        (room.held, room.closed) = (false, false);
        self.waits.store(false, SeqCst);
        self.low_waits.store(false, SeqCst);
    }

    /// Lets nothing in any more, and fails what waits. Returns how many that were.
    pub(super) fn close(&self) -> u64 {
        let left = {
            let mut room = self.room.lock();
            (room.held, room.closed) = (true, true);
            self.waits.store(true, SeqCst);
            room.queue.pop_while(|_| true)
        };
        self.room_freed.notify_waiters();
        let count = left.len() as u64;
        for waiting in left {
            self.finish(*waiting.context, Err(PublishError::Stopped), Origin::Client);
        }
        count
    }
}
