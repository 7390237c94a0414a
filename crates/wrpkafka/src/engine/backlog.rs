//! The backlog: which record goes to the client when, and what waits until then.
//!
//! It owns the room in the client (records and bytes, `maxBufferedRecords` and `maxBufferedBytes`), the records that wait
//! in front of it ([`lanes`], [`queue`]), the current client, and every flag and wake-up between them. It does not know what
//! becomes of a record: the caller finishes, with no lock held, what a call leaves in its [`Unreported`].
//!
//! # Lanes
//!
//! Each topic has a lane: its part of the room, its waiting records, and its own reasons to wait. A topic that is slow, or
//! has no leader or no schema, holds at most its [`share`] of both rooms; the records of others pass by.
//!
//! # States
//!
//! The room of all is one atomic word ([`capacity`]), and each lane has one for its part of it and its [`Flow`] ([`lane_room`]):
//! a caller whose lane is open and who finds room needs no lock. Flows are changed with the lock held; the [`Phase`] of the
//! client and the state of each lane are behind the lock.
//!
//! | phase | lane | flow | a new record | ends with |
//! |---|---|---|---|---|
//! | `Running` | `Idle` | `Open` | goes to the client; if there is no room, it waits | `enqueue`, `put_back` → `Ready` |
//! | `Running` | `Ready` | `Queued` | waits; rejected if its level is low | `pump`: all sent → `Idle`, no schema id → `AwaitsSchema`, topic → `Failing` |
//! | `Running` | `AwaitsSchema` | `Suspended` | waits, whatever its level | [`Backlog::pump_waiting`] → `Ready` |
//! | `Running` | `Failing` | `Failing` | waits; given up after some attempts if its level is low | [`Backlog::probe_ended`] of a record that was sent alone and delivered → `Ready`, `Idle` |
//! | `Held` | any | `Suspended` | waits, whatever its level; nothing leaves | [`Backlog::resume`], then `pump` |
//! | `Closed` | `Idle` | `Closed` | is rejected | [`Backlog::open`] → `Running` |
//!
//! From each of the first three, a record that comes back because of its topic leads to `Failing` ([`probe`]).
//!
//! `pump` sends records that wait, as far as there is room: lanes take turns, and in a lane its devices.
//! [`Backlog::hold`] and [`Backlog::close`] may come in any phase.
//!
//! # Who may call what
//!
//! - Any thread: [`Backlog::submit`], [`Backlog::submit_when_room`], [`Backlog::pump_waiting`], [`Backlog::usage`].
//! - The thread that gets a record back from the client: [`Backlog::free`], once for each record that was sent; before that
//!   [`Backlog::put_back`] or [`Backlog::put_back_failed`] if the record is to be sent again. After that what [`Freed`] asks
//!   for: [`Backlog::pump`], [`Backlog::probe_ended`].
//! - The thread that serves the client: [`Backlog::open`], [`Backlog::hold`], [`Backlog::resume`], [`Backlog::close`],
//!   [`Backlog::expire`], [`Backlog::probe`].
//!
//! # What holds, and by which ordering
//!
//! **1. No wake-up is lost.** A record that waits for room is sent even if no other is submitted. `enqueue` changes the
//! lane's flow and sets the room's flag `WANTED` *before* its `pump` looks for room. A `free` gives back its lane's part first
//! and then the room, and looks for the flag in the same operation. The room's word has one order of modifications: a `free`
//! that comes after the flag in that order finds it and pumps; one that comes before has made room that `pump` finds, in the
//! word itself because a thread reads its own modification or a later one, and in the lane's word because `free` gives back
//! with `Release` and the flag is set with `Acquire`. The flag is cleared, with the lock held, only when no lane waits for
//! room. A caller that took room which its lane then does not allow gives it back as `free` does. A caller that waits for
//! room does the same with a flag of its own: it creates the future, sets the flag, tries once more, and only then waits.
//! What the lock guards (room in the queues) is made and looked for with the lock held, so that the thread that makes room
//! sees the flag of a caller that found none.
//!
//! **2. No record overtakes another of its key.** Records of one key are submitted one after the other. If the first one
//! waits, the flow of its lane is not `Open`, and the second one waits behind it. `pump` opens the flow only when it has sent
//! the last record of the lane, with `Release`; `add_if_open` reads it with `Acquire`. So the send of the first record
//! happens before the send of the second one, even if another thread pumped. (Every modification between the two is a
//! read-modify-write and continues the release sequence.) A record that comes back is put in its old place, by its sequence
//! number.
//!
//! **3. The room never leaks and never exceeds its bound.** One read-modify-write checks the bound of all and takes the room;
//! a lane's part is only counted, and may exceed its share by the callers that come at once. Each way out of a send gives
//! both back: `free` after a delivery report, or the send itself if the client rejects the record; also then, records that
//! wait are pumped and callers are woken.
//!
//! **4. No two clients hold records of one key.** A caller reads the client *before* it looks at its lane's flow. If it read
//! the old client, it is one of its owners, and [`Backlog::resume`] may only be called when the worker is the only owner left
//! and all records have come back. If it read no client or the next one, then [`Backlog::hold`] had suspended the flows
//! before (the slot orders the two), and a lane's flow stays suspended until its waiting records have their turns again. A
//! caller that looked first could sleep until the next client is in the slot, and send to it before the records that the old
//! client returned.
//!
//! **5. A stop forgets no record.** `close` takes all records that wait, with the lock held, and a caller that gets the lock
//! later finds `Closed`. What the client holds comes back through `free`.
//!
//! The model (`backlog/model.rs`, a test) checks these five with `loom`, and lists the orderings without which it fails.

mod capacity;
mod counts;
mod flow;
mod lane;
mod lane_room;
mod lanes;
mod outage;
mod outlet;
mod primitives;
mod probe;
mod pump;
mod queue;
mod share;
mod submit;
mod unreported;
mod window;

#[cfg(test)]
mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

pub(crate) use outlet::{Framing, Outlet, Readiness};
pub(crate) use primitives::{Primitives, Production};
pub(crate) use probe::Written;
pub(crate) use queue::Waiting;
pub(crate) use unreported::{Failed, Unreported};

use self::capacity::Capacity;
use self::counts::Layout;
use self::flow::Flow;
use self::lane::Lane;
use self::lane_room::LaneRoom;
use self::lanes::{Lanes, Phase};
use self::primitives::{Event as _, Lock as _, Slot as _};
use self::queue::LEVELS;
use self::share::Share;
use crate::config::WaitingLimit;
use crate::delivery::DeliveryContext;
use crate::error::PublishError;
use crate::routing::{LaneId, Target};
use crate::stats::{TopicOutage, TopicUsage, Usage};

/// See the [module](self).
pub(crate) struct Backlog<P: Primitives> {
    capacity: Capacity<P::Word>,
    /// By number. Topics that find no free number share the first lane.
    lanes: Box<[LaneRoom<P::Word>]>,
    /// Whether several topics have lanes, so that each may hold its share only. Guards nothing.
    is_shared: AtomicBool,
    /// The largest batch of the client, in bytes. Guards nothing.
    batch_bytes: AtomicUsize,
    /// Whether a topic takes only smaller ones. Guards nothing.
    has_windows: AtomicBool,
    client: P::Slot,
    locked: P::Lock,
    room_made: P::Event,
    framing: P::Framing,
    /// The place of the next record. Records of one key get growing numbers, as they are submitted one after the other.
    sequence: AtomicU64,
}

/// The bounds of a backlog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of the records in the client.
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) waiting: WaitingLimit,
    /// How often a topic that cannot be written to is tried again before its records of low level are given up.
    pub(crate) low_retries: u64,
    /// The most lanes.
    pub(crate) lanes: usize,
}

/// What is to be done after a record has left the client.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(crate) struct Freed {
    /// Records wait for its room: call [`Backlog::pump`].
    pub(crate) is_wanted: bool,
    /// Its lane waits for something else than room: call [`Backlog::probe_ended`].
    pub(crate) may_be_probe: bool,
}

/// How full a publisher is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buffered {
    /// Records in the client, not yet acknowledged.
    pub records: u64,
    /// The bytes of their keys, values and headers.
    pub bytes: u64,
    /// `maxBufferedRecords`.
    pub max_records: u64,
    /// `maxBufferedBytes`.
    pub max_bytes: u64,
    /// Records that wait in front of the client.
    pub waiting_records: u64,
    /// The bytes that they hold, with what goes with them.
    pub waiting_bytes: u64,
    /// `maxWaitingRecords`.
    pub max_waiting_records: u64,
    /// `maxWaitingBytes`.
    pub max_waiting_bytes: u64,
}

/// What one lane holds.
#[derive(Debug)]
pub(crate) struct LaneUsage {
    pub(crate) topic: Box<str>,
    /// Records and bytes in the client.
    pub(crate) in_client: (u64, u64),
    /// Records and bytes that wait, by level.
    pub(crate) waiting: [(u64, u64); LEVELS],
    /// When the oldest record that waits was submitted.
    pub(crate) oldest: Option<Instant>,
    pub(crate) largest_batch: Option<usize>,
    /// Why the topic cannot be written to, and since when.
    pub(crate) outage: Option<(PublishError, Instant)>,
}

impl LaneUsage {
    /// The figures for the publisher's caller; none for the lane of targets without a topic's own, while it is empty.
    pub(crate) fn into_topic(self, now: Instant) -> Option<TopicUsage> {
        let usage = |(records, bytes)| Usage { records, bytes };
        let is_common = self.topic.is_empty() && self.oldest.is_none() && self.in_client.0 == 0;
        (!is_common).then(|| TopicUsage {
            topic: self.topic.into(),
            in_client: usage(self.in_client),
            waiting: self.waiting.map(usage),
            largest_batch: self.largest_batch,
            oldest_waiting: self.oldest.map(|oldest| now.saturating_duration_since(oldest)),
            outage: self.outage.map(|(error, since)| {
                let lasted = now.saturating_duration_since(since);
                TopicOutage { error, lasted }
            }),
        })
    }
}

impl<P: Primitives> Backlog<P> {
    /// A backlog without a client, closed. `seed` orders the devices, see [`queue`].
    pub(crate) fn new(bounds: Bounds, framing: P::Framing, seed: u64) -> Self {
        let layout = Layout::new(bounds.records, bounds.bytes);
        Self {
            capacity: Capacity::new(layout),
            lanes: (0..bounds.lanes).map(|_| LaneRoom::new(layout)).collect(),
            is_shared: AtomicBool::new(false),
            batch_bytes: AtomicUsize::new(0),
            has_windows: AtomicBool::new(false),
            client: P::Slot::empty(),
            locked: P::Lock::new(Lanes::new(bounds.waiting, bounds.low_retries, seed)),
            room_made: P::Event::new(),
            framing,
            sequence: AtomicU64::new(0),
        }
    }

    pub(crate) fn framing(&self) -> &P::Framing {
        &self.framing
    }

    /// Gives each target the lane of its topic.
    pub(crate) fn assign_lanes<'t>(&self, targets: impl Iterator<Item = &'t Arc<Target>>) {
        self.locked.with(|locked| {
            for target in targets {
                target.assign_lane(|| locked.assign(&target.topic, self.lanes.len()));
                self.publish_flow(locked, target.lane());
            }
            // A lane may have had another topic before.
            self.publish_windows(locked);
            self.is_shared.store(locked.is_shared(), Ordering::Relaxed);
        });
    }

    /// Frees the lanes of topics that no route and no record has any more.
    pub(crate) fn forget_unused_lanes(&self) {
        self.locked.with(|locked| {
            locked.forget_unused();
            self.is_shared.store(locked.is_shared(), Ordering::Relaxed);
        });
    }

    /// Gives back the room of a record that has left the client.
    pub(crate) fn free(&self, lane: LaneId, bytes: usize) -> Freed {
        // The lane first: point 1 of the protocol.
        let flow = self.lane(lane).release(bytes);
        let may_be_probe = !matches!(flow, Flow::Open | Flow::Queued);
        Freed { is_wanted: self.free_room(bytes), may_be_probe }
    }

    /// Lets a record wait, in its old place, that the client returned. Gives it back if the backlog is closed.
    pub(crate) fn put_back(&self, waiting: Waiting) -> Result<(), Waiting> {
        self.locked.with(|locked| {
            if locked.phase == Phase::Closed {
                return Err(waiting);
            }
            let id = waiting.context.target.lane();
            locked.put_back(waiting);
            self.note_waiting(locked, id);
            Ok(())
        })
    }

    /// Takes out the records from the front of each level of each lane for which `is_late` holds.
    pub(crate) fn expire(&self, is_late: impl Fn(&DeliveryContext) -> bool) -> Vec<Failed> {
        if !self.capacity.has_waiting() {
            return Vec::new();
        }
        let late = self.locked.with(|locked| locked.pop_late(is_late));
        if !late.is_empty() {
            self.wake_callers();
        }
        late
    }

    /// Accepts records from now on, for this client.
    pub(crate) fn open(&self, client: P::Client) {
        self.client.swap(Some(client));
        self.locked.with(|locked| self.enter(locked, Phase::Running));
    }

    /// Lets records of every level wait, and takes the client away, which is returned. Callers may still be about to send
    /// to it: they count as its owners.
    pub(crate) fn hold(&self) -> Option<P::Client> {
        self.locked.with(|locked| self.enter(locked, Phase::Held));
        // After the flows, so that a record of low level that finds no client may wait.
        self.client.swap(None)
    }

    /// Sends what waits to this client, and then what comes. The client that [`Backlog::hold`] returned must have no owner
    /// but the caller and no record.
    pub(crate) fn resume(&self, next: P::Client, unreported: &mut Unreported) {
        self.client.swap(Some(next));
        let room_made = self.locked.with(|locked| {
            locked.try_failing(Instant::now());
            self.enter(locked, Phase::Running);
            self.pump_locked(locked, unreported)
        });
        if room_made {
            self.wake_callers();
        }
    }

    /// Rejects records from now on. Returns those that waited, and the client.
    pub(crate) fn close(&self) -> (Vec<Waiting>, Option<P::Client>) {
        let waited = self.locked.with(|locked| {
            let waited = locked.drain();
            self.enter(locked, Phase::Closed);
            self.note_sent(locked);
            waited
        });
        self.wake_callers();
        (waited, self.client.swap(None))
    }

    /// Works with the current client.
    pub(crate) fn with_client<R>(&self, work: impl FnOnce(Option<&P::Client>) -> R) -> R {
        self.client.with(work)
    }

    /// Whether no record waits and none is in the client.
    pub(crate) fn is_drained(&self) -> bool {
        self.locked.with(|locked| locked.used().0 == 0 && self.capacity.used().0 == 0)
    }

    pub(crate) fn usage(&self) -> Buffered {
        let ((waiting_records, waiting_bytes), limit) =
            self.locked.with(|locked| (locked.used(), locked.limit()));
        let ((records, bytes), (max_records, max_bytes)) = (self.capacity.used(), self.capacity.limits());
        Buffered {
            records,
            bytes,
            max_records,
            max_bytes,
            waiting_records,
            waiting_bytes,
            max_waiting_records: limit.records,
            max_waiting_bytes: limit.bytes,
        }
    }

    /// What each lane holds.
    pub(crate) fn usage_by_lane(&self) -> Vec<LaneUsage> {
        self.locked.with(|locked| {
            let usage = |(id, lane): (LaneId, &Lane)| LaneUsage {
                topic: lane.topic.clone(),
                in_client: self.lane(id).used(),
                waiting: lane.queue.used_by_level(),
                oldest: lane.queue.oldest().map(|context| context.submitted).min(),
                largest_batch: lane.largest_batch,
                outage: lane.outage().map(|outage| (outage.error.clone(), outage.since)),
            };
            locked.iter().map(usage).collect()
        })
    }

    fn lane(&self, id: LaneId) -> &LaneRoom<P::Word> {
        &self.lanes[id.number()]
    }

    /// What each lane may hold of the room at the moment.
    fn share(&self) -> Share {
        if self.is_shared.load(Ordering::Relaxed) { self.capacity.share() } else { Share::WHOLE }
    }

    /// Gives back room that no lane counts any more. Returns whether records wait for it.
    fn free_room(&self, bytes: usize) -> bool {
        let released = self.capacity.release(bytes);
        if released.callers_wait {
            self.wake_callers();
        }
        released.is_wanted
    }

    /// Changes the phase, and with it the flows of all lanes.
    fn enter(&self, locked: &mut Lanes, phase: Phase) {
        locked.phase = phase;
        for id in locked.ids() {
            self.publish_flow(locked, id);
        }
    }

    /// Lets callers know what their records meet in a lane.
    fn publish_flow(&self, locked: &mut Lanes, id: LaneId) {
        if let Some(flow) = locked.changed_flow(id) {
            self.lane(id).set_flow(flow);
        }
    }

    fn wake_callers(&self) {
        if self.capacity.take_callers() {
            self.room_made.notify_all();
        }
    }

    fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }
}
