//! Records that are handed to librdkafka together, while many come.
//!
//! With `linger: 0` librdkafka wakes its broker's thread for nearly every record, and sends each in a request of its own. While
//! records come fast ([`pace`]), they are gathered here instead and handed over every [`TICK`], in their order. The thread that
//! polls the client keeps the time; while it does anything else, and at a lower pace, each record goes at once.
//!
//! For the engine these records are in the client: their room is taken, and they come back like all others. The module does not
//! know librdkafka: who hands over says what to do. Start at [`Handful::add`] and [`Handful::hand_over`].
//!
//! **Order.** A record that is gathered is handed over before those of its key that come later: within a handful by its place;
//! between two handfuls because each is taken and handed over under one lock; and the way around the handful is opened when it
//! is empty, under the same lock.

mod pace;
#[cfg(test)]
mod tests;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::pace::Pace;
use crate::client::{DeliveryError, SendError};
use crate::delivery::{DeliveryContext, Record, RecordRef};

/// How often gathered records are handed over: none waits longer.
pub(super) const TICK: Duration = Duration::from_millis(2);
/// The most records of a handful: then it goes at once.
const MAX_RECORDS: usize = 256;
/// The most bytes of a handful, beside its last record.
const MAX_BYTES: usize = 256 << 10;

pub(super) struct Handful {
    use_: Use,
    /// Whether records are gathered. Changed with `gathered` locked.
    is_open: AtomicBool,
    gathered: Mutex<Gathered>,
    /// Locked before `gathered`, and while records are handed over.
    handover: Mutex<Handover>,
    pace: Pace,
}

/// Whether records may be gathered at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    AtSpeed,
    /// librdkafka waits for fuller batches itself.
    Never,
}

#[derive(Default)]
#[expect(clippy::vec_box, reason = "the boxes go on as they are: librdkafka has pointers of them")]
struct Gathered {
    records: Vec<Box<DeliveryContext>>,
    bytes: usize,
}

#[derive(Default)]
#[expect(clippy::vec_box, reason = "as those that are gathered")]
struct Handover {
    /// The memory of the last handful.
    spare: Vec<Box<DeliveryContext>>,
    /// How many records were handed over since the last tick.
    records: usize,
    /// What the client did not take, until it is reported.
    given_back: Vec<GivenBack>,
}

/// A record that the client did not take.
pub(super) struct GivenBack {
    pub(super) context: Box<DeliveryContext>,
    pub(super) record: Record,
    pub(super) error: DeliveryError,
}

/// What becomes of a record.
pub(super) enum Added {
    /// It is handed over with others.
    Gathered,
    /// The same, and the handful is full: the caller hands it over.
    Full,
    /// The caller sends it.
    PassesBy(Box<DeliveryContext>),
    /// The same, and records come so fast now that they should be gathered: the caller wakes the thread that polls.
    PassesByFast(Box<DeliveryContext>),
}

impl Handful {
    /// For a client that waits so long for fuller batches, at the time of its creation.
    pub(super) fn new(linger: Duration, now: Instant) -> Self {
        Self {
            use_: if linger.is_zero() { Use::AtSpeed } else { Use::Never },
            is_open: AtomicBool::new(false),
            gathered: Mutex::default(),
            handover: Mutex::default(),
            pace: Pace::new(now),
        }
    }

    pub(super) fn add(&self, record: RecordRef<'_>, mut context: Box<DeliveryContext>) -> Added {
        if self.use_ == Use::Never {
            return Added::PassesBy(context);
        }
        // Acquire: a caller that finds the handful closed sends after all that was in it.
        if self.is_open.load(Ordering::Acquire) {
            let packed = record.to_record();
            let mut gathered = self.gathered.lock();
            if self.is_open.load(Ordering::Relaxed) {
                gathered.bytes += packed.held();
                context.record = packed;
                gathered.records.push(context);
                let is_full = gathered.bytes >= MAX_BYTES || gathered.records.len() >= MAX_RECORDS;
                return if is_full { Added::Full } else { Added::Gathered };
            }
        }
        if self.pace.count(context.submitted) {
            Added::PassesByFast(context)
        } else {
            Added::PassesBy(context)
        }
    }

    /// Whether records should be gathered.
    pub(super) fn is_wanted(&self) -> bool {
        self.pace.is_fast()
    }

    /// Gathers records from now on. For the thread that polls, which hands over every [`TICK`] until it closes the handful.
    pub(super) fn open(&self) {
        let _gathered = self.gathered.lock();
        self.is_open.store(true, Ordering::Relaxed);
    }

    /// Notes that a tick is over, at this time. Returns whether records should still be gathered.
    pub(super) fn tick(&self, now: Instant) -> bool {
        let records = mem::take(&mut self.handover.lock().records);
        self.pace.tick(records, now)
    }

    /// Hands over what is left, and gathers no more.
    pub(super) fn close(&self, send: impl Fn(RecordRef<'_>, Box<DeliveryContext>) -> Result<(), SendError>) {
        let mut handover = self.handover.lock();
        loop {
            handover.send(&self.gathered, &send);
            let gathered = self.gathered.lock();
            if gathered.records.is_empty() {
                self.is_open.store(false, Ordering::Release);
                return;
            }
        }
    }

    /// Hands over what was gathered.
    pub(super) fn hand_over(
        &self,
        send: impl Fn(RecordRef<'_>, Box<DeliveryContext>) -> Result<(), SendError>,
    ) {
        self.handover.lock().send(&self.gathered, &send);
    }

    /// The client gets nothing of what was gathered: it comes back as [`DeliveryError::NotSent`].
    pub(super) fn give_back(&self) {
        let refuse = |_: RecordRef<'_>, context| Err(SendError { context, error: DeliveryError::NotSent });
        self.hand_over(refuse);
    }

    /// What the client did not take, to be reported.
    pub(super) fn take_given_back(&self) -> Vec<GivenBack> {
        mem::take(&mut self.handover.lock().given_back)
    }

    /// How many records are here, and beyond: none is missed that is just handed over.
    pub(super) fn outstanding(&self, beyond: impl FnOnce() -> usize) -> usize {
        let handover = self.handover.lock();
        let gathered = self.gathered.lock().records.len();
        handover.given_back.len() + gathered + beyond()
    }
}

impl Handover {
    fn send(
        &mut self,
        gathered: &Mutex<Gathered>,
        send: &impl Fn(RecordRef<'_>, Box<DeliveryContext>) -> Result<(), SendError>,
    ) {
        let mut records = mem::take(&mut self.spare);
        {
            let mut gathered = gathered.lock();
            mem::swap(&mut gathered.records, &mut records);
            gathered.bytes = 0;
        }
        self.records += records.len();
        for mut context in records.drain(..) {
            let (record, target) = (mem::take(&mut context.record), Arc::clone(&context.target));
            // Behind one that was not taken, those of its topic must not overtake it.
            let before =
                self.given_back.iter().find(|given_back| given_back.context.target.topic == target.topic);
            let sent = match before {
                Some(before) => Err(SendError { context, error: before.error.clone() }),
                None => send(record.as_ref(&target), context),
            };
            if let Err(SendError { context, error }) = sent {
                self.given_back.push(GivenBack { context, record, error });
            }
        }
        self.spare = records;
    }
}
