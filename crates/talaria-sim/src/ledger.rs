//! The ledger of a run: which message was sent when, and how often each far end has seen it.
//!
//! Exact, whatever the load: every message has its own entry, reached by its sequence number, without a lock or a
//! look-up. Entries live in chunks; a chunk whose every entry was seen everywhere is dropped, since all it could still
//! tell ("that is a duplicate") follows from its being gone. So a run may last as long as it likes.

mod counts;
mod ends;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::Semaphore;

pub use counts::{Counts, EndCounts};
pub use ends::{End, Ends};

use crate::run::{Key, RunId};

/// Entries a chunk holds: 9 bytes each.
const CHUNK: usize = 8192;

// The bits of an entry's state: one for each end, then these.
const LOW: u8 = 1 << 4;
const CANCELLED: u8 = 1 << 5;
const EXPIRED: u8 = 1 << 6;
const SENT: u8 = 1 << 7;

/// How much a message's sender minds its being lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// QoS below 25: the gateway may drop it when resources are short (contract §15.2).
    BestEffort,
    /// QoS of 25 or more: must not be lost.
    Assured,
}

/// What a message's turning up means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The first time at this end.
    First {
        /// Since it was sent.
        took: Duration,
        /// Whether the message is now done: seen at every end that it must reach, and not given up before.
        done: bool,
    },
    /// It was here before.
    Duplicate,
    /// This run never sent it.
    Unknown,
}

/// The ledger of one run.
#[derive(Debug)]
pub struct Ledger {
    run: RunId,
    wanted: Ends,
    /// Permits to have another message outstanding; `None`: no limit.
    window: Option<Semaphore>,
    started: Instant,
    next: AtomicU64,
    chunks: RwLock<Chunks>,
    sent: [AtomicU64; 2],
    seen: [AtomicU64; 3],
    seen_low: [AtomicU64; 3],
    duplicated: [AtomicU64; 3],
    done: AtomicU64,
    expired: AtomicU64,
}

#[derive(Debug, Default)]
struct Chunks {
    /// The index of the first chunk that is still here.
    first: u64,
    chunks: VecDeque<Arc<Chunk>>,
}

#[derive(Debug)]
struct Chunk {
    /// When each was sent, in nanoseconds since the run's start.
    sent_at: Box<[AtomicU64]>,
    state: Box<[AtomicU8]>,
    /// Entries not yet seen at every end that they must reach.
    open: AtomicU32,
}

impl Ledger {
    /// An empty ledger whose messages are done once seen at all the ends `wanted`.
    #[must_use]
    pub fn new(run: RunId, wanted: Ends) -> Self {
        Self {
            run,
            wanted,
            window: None,
            started: Instant::now(),
            next: AtomicU64::new(0),
            chunks: RwLock::default(),
            sent: Default::default(),
            seen: Default::default(),
            seen_low: Default::default(),
            duplicated: Default::default(),
            done: AtomicU64::new(0),
            expired: AtomicU64::new(0),
        }
    }

    /// The same, with at most `window` messages neither done nor given up: see [`Ledger::room`].
    #[must_use]
    pub fn with_window(self, window: usize) -> Self {
        Self { window: Some(Semaphore::new(window.clamp(1, Semaphore::MAX_PERMITS))), ..self }
    }

    /// Waits for room in the window and takes it. Every message that is done or given up makes room for another.
    pub async fn room(&self) {
        if let Some(window) = &self.window
            && let Ok(permit) = window.acquire().await
        {
            permit.forget();
        }
    }

    /// The run this is the ledger of.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The ends that a message must reach.
    #[must_use]
    pub fn wanted(&self) -> Ends {
        self.wanted
    }

    /// Enters a message that is about to be sent. Enter it before sending it: it may arrive before the send returns.
    pub fn send(&self, care: Care) -> Key {
        let sequence = self.next.fetch_add(1, Ordering::AcqRel);
        let (chunk, at) = self.new_entry(sequence);
        chunk.sent_at[at].store(self.now(), Ordering::Relaxed);
        let low = if care == Care::BestEffort { LOW } else { 0 };
        chunk.state[at].fetch_or(SENT | low, Ordering::AcqRel);
        self.sent[usize::from(care == Care::BestEffort)].fetch_add(1, Ordering::Relaxed);
        self.run.key(sequence)
    }

    /// Takes back a message that could not be sent after all (its device was offline, its buffer full).
    pub fn cancel(&self, key: Key) {
        let Some((chunk, at)) = self.entry(key.sequence) else { return };
        let old = chunk.state[at].fetch_or(CANCELLED, Ordering::AcqRel);
        if old & (CANCELLED | SENT) == SENT {
            self.sent[usize::from(old & LOW != 0)].fetch_sub(1, Ordering::Relaxed);
            self.close(&chunk);
        }
    }

    /// Enters that the message was seen at `end`.
    pub fn arrived(&self, end: End, key: Key) -> Arrival {
        if key.run != self.run || key.sequence >= self.next.load(Ordering::Acquire) {
            return Arrival::Unknown;
        }
        let Some((chunk, at)) = self.entry(key.sequence) else {
            // a chunk goes only once all its entries were seen wherever they are expected
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
        if old & LOW != 0 {
            self.seen_low[end as usize].fetch_add(1, Ordering::Relaxed);
        }
        let took = Duration::from_nanos(self.now().saturating_sub(chunk.sent_at[at].load(Ordering::Relaxed)));
        let new = old | end.bit();
        let finished = !covers(old, self.wanted) && covers(new, self.wanted);
        if finished {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        let done = finished && old & EXPIRED == 0;
        if done {
            self.make_room(1);
        } else if finished {
            self.expired.fetch_sub(1, Ordering::Relaxed);
        }
        let expected = self.expected(old);
        if !covers(old, expected) && covers(new, expected) {
            self.close(&chunk);
        }
        Arrival::First { took, done }
    }

    /// Gives up waiting for messages sent longer ago than `age` and returns how many that newly are. They still count
    /// as seen should they arrive, but never as `done`.
    pub fn expire(&self, age: Duration) -> u64 {
        let limit = self.now().saturating_sub(nanos(age));
        let chunks: Vec<_> = self.chunks.read().chunks.iter().cloned().collect();
        let mut count = 0;
        for chunk in chunks.iter().filter(|chunk| chunk.open.load(Ordering::Acquire) > 0) {
            for (state, sent_at) in chunk.state.iter().zip(&chunk.sent_at) {
                let now = state.load(Ordering::Acquire);
                let waiting = now & (SENT | CANCELLED | EXPIRED) == SENT && !covers(now, self.wanted);
                if waiting && sent_at.load(Ordering::Relaxed) < limit {
                    // it may have arrived in between: then it was done, and is no longer ours to give up
                    let old = state.fetch_or(EXPIRED, Ordering::AcqRel);
                    count += u64::from(!covers(old, self.wanted));
                }
            }
        }
        self.expired.fetch_add(count, Ordering::Relaxed);
        self.make_room(count);
        count
    }

    /// The counts up to now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let low = load(&self.sent[1]);
        let sent = load(&self.sent[0]) + low;
        let end = |end: End| {
            let received = load(&self.seen[end as usize]);
            let received_low = load(&self.seen_low[end as usize]);
            EndCounts {
                received,
                lost: sent.saturating_sub(received),
                lost_best_effort: low.saturating_sub(received_low),
                duplicated: load(&self.duplicated[end as usize]),
            }
        };
        Counts {
            sent,
            sent_best_effort: low,
            done: load(&self.done),
            expired: load(&self.expired),
            http: end(End::Http),
            kafka: end(End::Kafka),
            ack: end(End::Ack),
        }
    }

    fn make_room(&self, messages: u64) {
        if let Some(window) = &self.window {
            window.add_permits(usize::try_from(messages).unwrap_or(0));
        }
    }

    /// The ends that a message in this state will yet reach, in its own time: those wanted, and its ack.
    fn expected(&self, state: u8) -> Ends {
        self.wanted.with(End::Ack, state & LOW == 0)
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
            // never asked for a chunk that is gone: its entries were all seen, and this one is just being made
            self.chunks.write().chunks.push_back(Arc::new(Chunk::new()));
        }
    }

    /// One entry of `chunk` is closed for good. With the last one, the chunk may go, and those behind that waited.
    fn close(&self, chunk: &Chunk) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Ends = Ends::NONE.with(End::Http, true).with(End::Kafka, true);

    fn ledger() -> Ledger {
        Ledger::new(RunId::new(1), BOTH)
    }

    fn is_done(arrival: Arrival) -> bool {
        matches!(arrival, Arrival::First { done: true, .. })
    }

    #[test]
    fn a_message_is_done_once_both_sinks_have_it() {
        let ledger = ledger();
        let key = ledger.send(Care::Assured);
        assert!(!is_done(ledger.arrived(End::Http, key)));
        assert!(is_done(ledger.arrived(End::Kafka, key)));
        assert!(!is_done(ledger.arrived(End::Ack, key)), "done is told once");
        let counts = ledger.counts();
        assert_eq!(
            (counts.sent, counts.done, counts.http.lost, counts.kafka.lost, counts.ack.lost),
            (1, 1, 0, 0, 0)
        );
    }

    #[test]
    fn a_second_arrival_at_the_same_end_is_a_duplicate() {
        let ledger = ledger();
        let key = ledger.send(Care::Assured);
        ledger.arrived(End::Http, key);
        assert_eq!(ledger.arrived(End::Http, key), Arrival::Duplicate);
        let http = ledger.counts().http;
        assert_eq!((http.received, http.duplicated), (1, 1));
    }

    #[test]
    fn a_message_that_was_never_sent_is_unknown() {
        let ledger = ledger();
        assert_eq!(ledger.arrived(End::Http, RunId::new(1).key(0)), Arrival::Unknown);
        ledger.send(Care::Assured);
        assert_eq!(ledger.arrived(End::Http, RunId::new(2).key(0)), Arrival::Unknown);
    }

    #[test]
    fn what_never_arrives_is_lost_and_told_apart_by_care() {
        let ledger = ledger();
        ledger.send(Care::Assured);
        ledger.send(Care::BestEffort);
        let counts = ledger.counts();
        assert_eq!(
            (counts.kafka.lost, counts.kafka.lost_best_effort, counts.kafka.lost_assured()),
            (2, 1, 1)
        );
    }

    #[test]
    fn a_cancelled_message_was_not_sent() {
        let ledger = ledger();
        let key = ledger.send(Care::BestEffort);
        ledger.cancel(key);
        ledger.cancel(key);
        assert_eq!(ledger.counts(), Counts::default());
        assert_eq!(ledger.arrived(End::Http, key), Arrival::Unknown);
    }

    #[test]
    fn a_message_given_up_is_counted_when_it_comes_but_never_done() {
        let ledger = ledger();
        let late = ledger.send(Care::Assured);
        let finished = ledger.send(Care::Assured);
        for end in [End::Http, End::Kafka] {
            ledger.arrived(end, finished);
        }
        std::thread::yield_now();
        assert_eq!(ledger.expire(Duration::ZERO), 1);
        assert_eq!(ledger.expire(Duration::ZERO), 0, "given up once");
        ledger.arrived(End::Http, late);
        assert!(!is_done(ledger.arrived(End::Kafka, late)));
        let counts = ledger.counts();
        assert_eq!((counts.http.lost, counts.kafka.lost, counts.expired, counts.done), (0, 0, 0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_window_has_room_again_when_a_message_is_done_or_given_up() {
        let ledger = ledger().with_window(2);
        let mut keys = vec![];
        for _ in 0..2 {
            ledger.room().await;
            keys.push(ledger.send(Care::Assured));
        }
        let full = || tokio::time::timeout(Duration::from_secs(1), ledger.room());
        assert!(full().await.is_err());
        ledger.arrived(End::Http, keys[0]);
        ledger.arrived(End::Kafka, keys[0]);
        assert!(full().await.is_ok());
        assert!(full().await.is_err());
        ledger.expire(Duration::ZERO);
        assert!(full().await.is_ok());
    }

    #[test]
    fn chunks_seen_everywhere_are_let_go_and_still_tell_duplicates() {
        let ledger = ledger();
        let keys: Vec<_> = (0..3 * CHUNK).map(|_| ledger.send(Care::Assured)).collect();
        for end in End::ALL {
            keys.iter().for_each(|key| assert!(matches!(ledger.arrived(end, *key), Arrival::First { .. })));
        }
        assert_eq!(ledger.chunks.read().chunks.len(), 0);
        assert_eq!(ledger.arrived(End::Kafka, keys[5]), Arrival::Duplicate);
        let key = ledger.send(Care::Assured);
        assert!(matches!(ledger.arrived(End::Http, key), Arrival::First { .. }));
        assert_eq!(ledger.counts().kafka.duplicated, 1);
    }

    #[test]
    fn many_threads_lose_no_count() {
        let ledger = ledger();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..CHUNK {
                        let key = ledger.send(Care::Assured);
                        for end in End::ALL {
                            ledger.arrived(end, key);
                        }
                    }
                });
            }
        });
        let counts = ledger.counts();
        assert_eq!((counts.sent, counts.done), (4 * CHUNK as u64, 4 * CHUNK as u64));
        assert_eq!((counts.http.lost, counts.kafka.lost, counts.ack.lost), (0, 0, 0));
    }
}
