//! The ledger of a run: when each message was sent, and at which ends it has arrived.
//!
//! The counts are exact under any load. Each message has an entry of its own, which its sequence number leads to; its state
//! changes by atomic operations. Entries are kept in chunks. A chunk is dropped when all of its entries have arrived at
//! all their ends: a later arrival must then be a duplicate, which needs no entry. So memory does not grow with the length of
//! a run.
//!
//! The ledger knows only messages of its own run. A receiver that does not know what was sent uses a
//! [`Tally`](crate::tally::Tally).

#![expect(clippy::disallowed_methods, reason = "latencies are measured with the machine's clock")]

mod counts;
mod ends;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::Semaphore;

pub use counts::{Counts, EndCounts};
pub use ends::{End, Ends};

use crate::run::{Key, RunId};

/// The number of entries in a chunk. An entry takes 9 bytes.
const CHUNK: usize = 8192;

// The bits of an entry's state: one for each end (`End::bit`), and these.
const BEST_EFFORT: u8 = 1 << 4;
const CANCELLED: u8 = 1 << 5;
const EXPIRED: u8 = 1 << 6;
const SENT: u8 = 1 << 7;

/// Whether the gateway may drop a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryClass {
    /// QoS below 25: the gateway may drop it if resources are short (contract §15.2).
    BestEffort,
    /// QoS of 25 and above: it must not be lost.
    Assured,
}

/// What the arrival of a message at an end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The message arrived at this end for the first time.
    First {
        /// The time since it was sent.
        took: Duration,
        /// Whether the message is now done: it has arrived at all expected ends and has not expired before.
        done: bool,
    },
    /// The message had arrived at this end before.
    Duplicate,
    /// The message was not sent by this run.
    Unknown,
}

/// The ledger of one run.
#[derive(Debug)]
pub struct Ledger {
    run: RunId,
    expected: Ends,
    /// Permits for messages in flight; `None` for no limit.
    window: Option<Semaphore>,
    started: Instant,
    /// The sequence number of the next message.
    next: AtomicU64,
    chunks: RwLock<Chunks>,
    /// By delivery class, the assured ones first.
    sent: [AtomicU64; 2],
    // The following are by end.
    seen: [AtomicU64; 3],
    seen_best_effort: [AtomicU64; 3],
    duplicated: [AtomicU64; 3],
    done: AtomicU64,
    expired: AtomicU64,
}

#[derive(Debug, Default)]
struct Chunks {
    /// The index of the first chunk that has not been dropped.
    first: u64,
    chunks: VecDeque<Arc<Chunk>>,
}

#[derive(Debug)]
struct Chunk {
    /// The time of each send, in nanoseconds since the start of the run.
    sent_at: Box<[AtomicU64]>,
    state: Box<[AtomicU8]>,
    /// Entries that have not arrived at all their ends.
    open: AtomicU32,
}

impl Ledger {
    /// An empty ledger. A message is done when it has arrived at all `expected` ends.
    #[must_use]
    pub fn new(run: RunId, expected: Ends) -> Self {
        Self {
            run,
            expected,
            window: None,
            started: Instant::now(),
            next: AtomicU64::new(0),
            chunks: RwLock::default(),
            sent: Default::default(),
            seen: Default::default(),
            seen_best_effort: Default::default(),
            duplicated: Default::default(),
            done: AtomicU64::new(0),
            expired: AtomicU64::new(0),
        }
    }

    /// Limits the messages in flight, which are neither done nor expired, to `window`: see [`Ledger::acquire_slot`].
    #[must_use]
    pub fn with_window(self, window: usize) -> Self {
        Self { window: Some(Semaphore::new(window.clamp(1, Semaphore::MAX_PERMITS))), ..self }
    }

    /// Waits for a free slot in the window and takes it. A message frees its slot when it is done or expires.
    pub async fn acquire_slot(&self) {
        if let Some(window) = &self.window
            && let Ok(permit) = window.acquire().await
        {
            permit.forget();
        }
    }

    /// The run whose messages are entered here.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The ends at which a message must arrive.
    #[must_use]
    pub fn expected(&self) -> Ends {
        self.expected
    }

    /// Enters a message. Call this before sending it: it may arrive before the send returns.
    pub fn send(&self, class: DeliveryClass) -> Key {
        self.enter(class, self.now())
    }

    /// As [`Ledger::send`], for a message that should have been sent at `due`: its latencies count from then.
    pub fn send_due(&self, class: DeliveryClass, due: Instant) -> Key {
        self.enter(class, nanos(due.saturating_duration_since(self.started)))
    }

    fn enter(&self, class: DeliveryClass, sent_at: u64) -> Key {
        let sequence = self.next.fetch_add(1, Ordering::AcqRel);
        let (chunk, at) = self.new_entry(sequence);
        chunk.sent_at[at].store(sent_at, Ordering::Relaxed);
        let best_effort = if class == DeliveryClass::BestEffort { BEST_EFFORT } else { 0 };
        chunk.state[at].fetch_or(SENT | best_effort, Ordering::AcqRel);
        self.sent[usize::from(class == DeliveryClass::BestEffort)].fetch_add(1, Ordering::Relaxed);
        self.run.key(sequence)
    }

    /// Removes a message that was entered but could not be sent.
    pub fn cancel(&self, key: Key) {
        let Some((chunk, at)) = self.entry(key.sequence) else { return };
        let old = chunk.state[at].fetch_or(CANCELLED, Ordering::AcqRel);
        if old & (CANCELLED | SENT) == SENT {
            self.sent[usize::from(old & BEST_EFFORT != 0)].fetch_sub(1, Ordering::Relaxed);
            self.close_entry(&chunk);
        }
    }

    /// Enters that a message arrived at `end`.
    pub fn arrived(&self, end: End, key: Key) -> Arrival {
        if key.run != self.run || key.sequence >= self.next.load(Ordering::Acquire) {
            return Arrival::Unknown;
        }
        let Some((chunk, at)) = self.entry(key.sequence) else {
            // The chunk was dropped, so all its entries had arrived at all their ends.
            self.duplicated[end as usize].fetch_add(1, Ordering::Relaxed);
            return Arrival::Duplicate;
        };
        let old = chunk.state[at].fetch_or(end.bit(), Ordering::AcqRel);
        if old & (SENT | CANCELLED) != SENT {
            return Arrival::Unknown;
        }
        if old & end.bit() != 0 {
            self.duplicated[end as usize].fetch_add(1, Ordering::Relaxed);
            return Arrival::Duplicate;
        }
        self.seen[end as usize].fetch_add(1, Ordering::Relaxed);
        if old & BEST_EFFORT != 0 {
            self.seen_best_effort[end as usize].fetch_add(1, Ordering::Relaxed);
        }
        let took = Duration::from_nanos(self.now().saturating_sub(chunk.sent_at[at].load(Ordering::Relaxed)));
        let new = old | end.bit();
        let finished = !covers(old, self.expected) && covers(new, self.expected);
        if finished {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        let done = finished && old & EXPIRED == 0;
        if done {
            self.release_slots(1);
        } else if finished {
            self.expired.fetch_sub(1, Ordering::Relaxed);
        }
        let ends = self.ends_with_ack(old);
        if !covers(old, ends) && covers(new, ends) {
            self.close_entry(&chunk);
        }
        Arrival::First { took, done }
    }

    /// Marks messages that were sent more than `age` ago and are not done as expired, and returns their number. If they
    /// arrive later, they count as received but their [`Arrival`] is not `done`.
    pub fn expire(&self, age: Duration) -> u64 {
        let limit = self.now().saturating_sub(nanos(age));
        let chunks: Vec<_> = self.chunks.read().chunks.iter().cloned().collect();
        let mut count = 0;
        for chunk in chunks.iter().filter(|chunk| chunk.open.load(Ordering::Acquire) > 0) {
            for (state, sent_at) in chunk.state.iter().zip(&chunk.sent_at) {
                let now = state.load(Ordering::Acquire);
                let in_flight = now & (SENT | CANCELLED | EXPIRED) == SENT && !covers(now, self.expected);
                if in_flight && sent_at.load(Ordering::Relaxed) < limit {
                    // If it arrived after the load above, it is done and has freed its slot.
                    let old = state.fetch_or(EXPIRED, Ordering::AcqRel);
                    count += u64::from(!covers(old, self.expected));
                }
            }
        }
        self.expired.fetch_add(count, Ordering::Relaxed);
        self.release_slots(count);
        count
    }

    /// The counts up to now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let best_effort = load(&self.sent[1]);
        let sent = load(&self.sent[0]) + best_effort;
        let end = |end: End| {
            let received = load(&self.seen[end as usize]);
            let received_best_effort = load(&self.seen_best_effort[end as usize]);
            EndCounts {
                received,
                lost: sent.saturating_sub(received),
                lost_best_effort: best_effort.saturating_sub(received_best_effort),
                duplicated: load(&self.duplicated[end as usize]),
            }
        };
        Counts {
            sent,
            sent_best_effort: best_effort,
            done: load(&self.done),
            expired: load(&self.expired),
            http: end(End::Http),
            kafka: end(End::Kafka),
            ack: end(End::Ack),
        }
    }

    fn release_slots(&self, messages: u64) {
        if let Some(window) = &self.window {
            window.add_permits(usize::try_from(messages).unwrap_or(0));
        }
    }

    /// The ends at which a message in this state arrives in the end: the expected ones and, if it gets one, its
    /// acknowledgement.
    fn ends_with_ack(&self, state: u8) -> Ends {
        self.expected.with(End::Ack, state & BEST_EFFORT == 0)
    }

    fn now(&self) -> u64 {
        nanos(self.started.elapsed())
    }

    fn entry(&self, sequence: u64) -> Option<(Arc<Chunk>, usize)> {
        let chunks = self.chunks.read();
        let index = (sequence / CHUNK as u64).checked_sub(chunks.first)?;
        let chunk = chunks.chunks.get(usize::try_from(index).ok()?)?;
        Some((Arc::clone(chunk), (sequence % CHUNK as u64) as usize))
    }

    fn new_entry(&self, sequence: u64) -> (Arc<Chunk>, usize) {
        loop {
            if let Some(entry) = self.entry(sequence) {
                return entry;
            }
            // The chunk cannot have been dropped: this entry of it is still open. So it does not exist yet.
            self.chunks.write().chunks.push_back(Arc::new(Chunk::new()));
        }
    }

    /// Closes an entry of `chunk`. If it was the last open one, drops all closed chunks at the front of the list.
    fn close_entry(&self, chunk: &Chunk) {
        if chunk.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut chunks = self.chunks.write();
            while chunks.chunks.front().is_some_and(|chunk| chunk.open.load(Ordering::Acquire) == 0) {
                chunks.chunks.pop_front();
                chunks.first += 1;
            }
        }
    }
}

impl Chunk {
    fn new() -> Self {
        Self {
            sent_at: (0..CHUNK).map(|_| AtomicU64::new(0)).collect(),
            state: (0..CHUNK).map(|_| AtomicU8::new(0)).collect(),
            open: AtomicU32::new(CHUNK as u32),
        }
    }
}

const fn covers(state: u8, ends: Ends) -> bool {
    state & ends.0 == ends.0
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
