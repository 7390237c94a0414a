//! The backlog: which record goes to the client when, and what waits until then.
//!
//! It owns the room in the client (records and bytes, `maxBufferedRecords` and `maxBufferedBytes`), the records that wait
//! in front of it ([`queue`]), the current client, and every flag and wake-up between them. It does not know what becomes
//! of a record: the caller finishes, with no lock held, what a call puts into its list of [`Failed`] records.
//!
//! # States
//!
//! Room and [`Flow`] are in one atomic word ([`word`]), so that a caller who finds room needs neither a lock nor a second
//! atomic. The flow is changed with the lock held; [`Phase`] is behind the lock.
//!
//! | phase | flow | a new record | ends with |
//! |---|---|---|---|
//! | `Running` | `Open` | goes to the client; if there is no room, it waits | `enqueue`, `put_back` → `Queued` |
//! | `Running` | `Queued` | waits; rejected if its level is low | `pump`: all sent → `Open`, no schema id → `Suspended` |
//! | `Running` | `Suspended` | waits, whatever its level | `pump`: all sent → `Open`, buffer full → `Queued` |
//! | `Held` | `Suspended` | waits, whatever its level; nothing leaves | [`Backlog::resume`], then `pump` |
//! | `Closed` | `Closed` | is rejected | [`Backlog::open`] → `Running`, `Open` |
//!
//! `pump` sends records that wait, in their order, as far as there is room. [`Backlog::hold`] and [`Backlog::close`] may
//! come in any phase.
//!
//! # Who may call what
//!
//! - Any thread: [`Backlog::submit`], [`Backlog::submit_when_room`], [`Backlog::pump`], [`Backlog::usage`].
//! - The thread that gets a record back from the client: [`Backlog::free`], once for each record that was sent; before that
//!   [`Backlog::put_back`] if the record is to be sent again. If `free` says that records wait: then `pump`.
//! - The thread that serves the client: [`Backlog::open`], [`Backlog::hold`], [`Backlog::resume`], [`Backlog::close`],
//!   [`Backlog::expire`].
//!
//! # What holds, and by which ordering
//!
//! **1. No wake-up is lost.** A record that waits is sent even if no other is submitted. `enqueue` changes the flow
//! *before* its `pump` looks for room. Both are operations on the one word, which has one order of modifications: a `free`
//! that comes after the change in that order finds the flow and pumps; a `free` that comes before it has made room that
//! `pump` finds, because a thread reads its own modification or a later one, never an older one. No ordering stronger than
//! `Relaxed` is needed for that. A caller that waits for room does the same with a bit of its own: it creates
//! the future, sets the bit, tries once more, and only then waits. What the lock guards (room in the queue) is made and
//! looked for with the lock held, so that the thread that makes room sees the bit of a caller that found none.
//!
//! **2. No record overtakes another of its key.** Records of one key are submitted one after the other. If the first one
//! waits, the flow is not `Open`, and the second one waits behind it. `pump` opens the flow only when it has sent the last
//! record, with `Release`; `reserve_if_open` reads it with `Acquire`. So the send of the first record happens before the
//! send of the second one, even if another thread pumped. (Every modification between the two is a read-modify-write and
//! continues the release sequence.) A record that comes back is put in its old place, by its sequence number.
//!
//! **3. The room never leaks and never exceeds its bound.** One read-modify-write checks the bound and takes the room.
//! Each way out of a send gives it back: `free` after a delivery report, or the send itself if the client rejects the
//! record; also then, records that wait are pumped and callers are woken.
//!
//! **4. No two clients hold records of one key.** A caller reads the client *before* it reserves. If it read the old
//! client, it is one of its owners, and [`Backlog::resume`] may only be called when the worker is the only owner left and
//! all records have come back. If it read no client or the next one, then [`Backlog::hold`] had suspended the flow before
//! (the slot orders the two), and it stays suspended until `pump` has sent what waited. A caller that reserved first could
//! sleep until the next client is in the slot, and send to it before the records that the old client returned.
//!
//! **5. A stop forgets no record.** `close` takes all records that wait, with the lock held, and a caller that gets the lock
//! later finds `Closed`. What the client holds comes back through `free`.
//!
//! The model (`backlog/model.rs`, a test) checks these five with `loom`, and lists the orderings without which it fails.

mod flow;
mod outlet;
mod primitives;
mod queue;
mod state;
mod submit;
mod word;

#[cfg(test)]
mod model;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use outlet::{Framing, Outlet, Readiness};
pub(crate) use primitives::{Primitives, Production};
pub(crate) use queue::Waiting;

use self::flow::Flow;
use self::outlet::{NotSent, send};
use self::primitives::{Event as _, Lock as _, Slot as _};
use self::queue::WaitingQueue;
use self::state::{Locked, Phase};
use self::word::Word;
use crate::config::WaitingLimit;
use crate::delivery::DeliveryContext;
use crate::error::PublishError;

/// See the [module](self).
pub(crate) struct Backlog<P: Primitives> {
    word: Word<P::Word>,
    client: P::Slot,
    locked: P::Lock,
    room_made: P::Event,
    framing: P::Framing,
    /// The place of the next record. Records of one key get growing numbers, as they are submitted one after the other.
    sequence: AtomicU64,
}

/// A record that will not be delivered, with the reason. The caller that gets it reports that, with no lock held.
pub(crate) type Failed = (Waiting, PublishError);

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
    /// Records that wait for room in the client.
    pub waiting_records: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

impl<P: Primitives> Backlog<P> {
    /// A backlog without a client, closed.
    pub(crate) fn new(max_records: u64, max_bytes: u64, waiting: WaitingLimit, framing: P::Framing) -> Self {
        let queue = WaitingQueue::new(waiting);
        Self {
            word: Word::new(max_records, max_bytes),
            client: P::Slot::empty(),
            locked: P::Lock::new(Locked { queue, phase: Phase::Closed, flow: Flow::Closed }),
            room_made: P::Event::new(),
            framing,
            sequence: AtomicU64::new(0),
        }
    }

    pub(crate) fn framing(&self) -> &P::Framing {
        &self.framing
    }

    /// Gives back the room of a record that has left the client. Returns whether records wait: then call
    /// [`Backlog::pump`].
    #[must_use]
    pub(crate) fn free(&self, bytes: usize) -> bool {
        let released = self.word.release(bytes);
        if released.callers_wait {
            self.wake_callers();
        }
        released.records_wait
    }

    /// Sends records that wait, in their order, as far as there is room.
    pub(crate) fn pump(&self, failed: &mut Vec<Failed>) {
        let room_made = self.locked.with(|locked| self.pump_locked(locked, failed));
        if room_made {
            self.wake_callers();
        }
    }

    /// Sends records that wait, if there are any: now and then, should a client have rejected records although nothing
    /// was on its way whose return would pump.
    pub(crate) fn pump_if_waiting(&self, failed: &mut Vec<Failed>) {
        if self.word.flow() != Flow::Open {
            self.pump(failed);
        }
    }

    /// Lets a record wait, in its old place, that the client returned. Gives it back if the backlog is closed.
    pub(crate) fn put_back(&self, waiting: Waiting) -> Result<(), Waiting> {
        self.locked.with(|locked| {
            if locked.phase == Phase::Closed {
                return Err(waiting);
            }
            self.leave_open(locked);
            locked.queue.put_back(waiting);
            Ok(())
        })
    }

    /// Takes out the records from the front of each level for which `is_late` holds.
    pub(crate) fn expire(&self, is_late: impl Fn(&DeliveryContext) -> bool) -> Vec<Waiting> {
        if self.word.flow() == Flow::Open {
            return Vec::new();
        }
        let late = self.locked.with(|locked| locked.queue.pop_while(is_late));
        if !late.is_empty() {
            self.wake_callers();
        }
        late
    }

    /// Accepts records from now on, for this client.
    pub(crate) fn open(&self, client: P::Client) {
        self.client.swap(Some(client));
        self.locked.with(|locked| {
            locked.phase = Phase::Running;
            let flow = if locked.queue.is_empty() { Flow::Open } else { Flow::Queued };
            self.set_flow(locked, flow);
        });
    }

    /// Lets records of every level wait, and takes the client away, which is returned. Callers may still be about to send
    /// to it: they count as its owners.
    pub(crate) fn hold(&self) -> Option<P::Client> {
        self.locked.with(|locked| {
            locked.phase = Phase::Held;
            self.set_flow(locked, Flow::Suspended);
        });
        // After the flow, so that a record of low level that finds no client may wait.
        self.client.swap(None)
    }

    /// Sends what waits to this client, and then what comes. The client that [`Backlog::hold`] returned must have no owner
    /// but the caller and no record.
    pub(crate) fn resume(&self, next: P::Client, failed: &mut Vec<Failed>) {
        self.client.swap(Some(next));
        self.locked.with(|locked| locked.phase = Phase::Running);
        self.pump(failed);
    }

    /// Rejects records from now on. Returns those that waited, and the client.
    pub(crate) fn close(&self) -> (Vec<Waiting>, Option<P::Client>) {
        let waited = self.locked.with(|locked| {
            locked.phase = Phase::Closed;
            self.set_flow(locked, Flow::Closed);
            locked.queue.pop_while(|_| true)
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
        self.locked.with(|locked| locked.queue.is_empty() && self.word.used().0 == 0)
    }

    pub(crate) fn usage(&self) -> Buffered {
        let (waiting_records, waiting_bytes) = self.locked.with(|locked| locked.queue.used());
        let ((records, bytes), (max_records, max_bytes)) = (self.word.used(), self.word.limits());
        Buffered { records, bytes, max_records, max_bytes, waiting_records, waiting_bytes }
    }

    /// Sends what there is room for. Returns whether callers that wait may have room by that.
    fn pump_locked(&self, locked: &mut Locked, failed: &mut Vec<Failed>) -> bool {
        let mut room_made = false;
        while locked.phase == Phase::Running {
            let Some(first) = locked.queue.first_mut() else {
                room_made |= locked.flow != Flow::Open;
                self.set_flow(locked, Flow::Open);
                break;
            };
            match self.framing.complete(first) {
                Readiness::Ready => {}
                Readiness::NotYet => {
                    self.set_flow(locked, Flow::Suspended);
                    break;
                }
                Readiness::Never(error) => {
                    room_made = true;
                    failed.extend(locked.queue.pop_first().map(|waiting| (waiting, error)));
                    continue;
                }
            }
            let bytes = first.context.bytes;
            if !self.word.reserve(bytes) {
                self.set_flow(locked, Flow::Queued);
                break;
            }
            let Some(Waiting { record, context }) = locked.queue.pop_first() else { break };
            room_made = true;
            match self.client.with(|client| send(client, record.as_ref(), context)) {
                Ok(()) => {}
                Err(NotSent::Rejected(context, error)) => {
                    self.word.release(bytes);
                    failed.push((Waiting { record, context }, error));
                }
                Err(NotSent::MustWait(context, _)) => {
                    self.word.release(bytes);
                    locked.queue.put_back(Waiting { record, context });
                    break;
                }
            }
        }
        room_made
    }

    /// Makes new records wait behind those that wait.
    fn leave_open(&self, locked: &mut Locked) {
        if locked.flow == Flow::Open {
            self.set_flow(locked, Flow::Queued);
        }
    }

    fn set_flow(&self, locked: &mut Locked, flow: Flow) {
        if locked.flow != flow {
            locked.flow = flow;
            self.word.set_flow(flow);
        }
    }

    fn wake_callers(&self) {
        if self.word.take_callers() {
            self.room_made.notify_all();
        }
    }

    fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }
}
