//! The atomic word of the whole client: how much it holds, and who waits for room in it. Its protocol is the
//! [backlog](super)'s.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::counts::{FLAGS, Layout};
use super::primitives::AtomicWord;
use super::share::Share;

/// Records and bytes of the [`Layout`], above the flags.
#[derive(Debug)]
pub(super) struct Capacity<A> {
    value: A,
    layout: Layout,
}

/// What [`Capacity::release`] found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Released {
    /// A lane has records that wait for room.
    pub(super) is_wanted: bool,
    pub(super) callers_wait: bool,
}

/// Callers wait for room.
const CALLERS: u64 = 0b001;
/// A lane has records that wait for room.
const WANTED: u64 = 0b010;
/// A lane has records that wait, for whatever reason.
const WAITING: u64 = 0b100;

impl<A: AtomicWord> Capacity<A> {
    pub(super) fn new(layout: Layout) -> Self {
        Self { value: A::new(0), layout }
    }

    pub(super) fn limits(&self) -> (u64, u64) {
        (self.layout.max_records, self.layout.max_bytes)
    }

    /// Takes room for one record, if there is.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        let take = |word: u64| {
            let (records, used) = self.layout.counts(word);
            let fits = records < self.layout.max_records && used + bytes as u64 <= self.layout.max_bytes;
            fits.then(|| word + self.layout.unit(bytes))
        };
        self.value.update(Relaxed, Relaxed, take).is_ok()
    }

    /// Gives back the room of one record.
    pub(super) fn release(&self, bytes: usize) -> Released {
        // Release: point 1 of the protocol.
        let word = self.value.fetch_sub(self.layout.unit(bytes), Release);
        Released { is_wanted: word & WANTED != 0, callers_wait: word & CALLERS != 0 }
    }

    /// What one lane of several may hold at the moment.
    pub(super) fn share(&self) -> Share {
        let (records, bytes) = self.used();
        Share::of_free(
            self.layout.max_records.saturating_sub(records),
            self.layout.max_bytes.saturating_sub(bytes),
        )
    }

    /// Records and bytes in the client.
    pub(super) fn used(&self) -> (u64, u64) {
        self.layout.counts(self.value.load(Relaxed))
    }

    /// Notes that a caller waits for room.
    pub(super) fn add_caller(&self) {
        // Acquire: point 1 of the protocol.
        self.value.fetch_or(CALLERS, Acquire);
    }

    /// Whether callers waited; from now on none do until [`Capacity::add_caller`].
    pub(super) fn take_callers(&self) -> bool {
        self.value.load(Relaxed) & CALLERS != 0 && self.value.fetch_and(!CALLERS, Relaxed) & CALLERS != 0
    }

    /// Notes that records wait, and that they wait for room. For the holder of the lock.
    pub(super) fn set_wanted(&self) {
        // Acquire: point 1 of the protocol.
        self.value.fetch_or(WANTED | WAITING, Acquire);
    }

    /// Notes that no record waits for room, and whether any waits at all. For the holder of the lock.
    pub(super) fn clear_wanted(&self, records_wait: bool) {
        let kept = if records_wait { FLAGS & !WANTED } else { FLAGS & !WANTED & !WAITING };
        self.value.fetch_and(!FLAGS | kept, Relaxed);
    }

    /// Whether a lane has records that wait for room.
    pub(super) fn is_wanted(&self) -> bool {
        self.value.load(Relaxed) & WANTED != 0
    }

    /// Whether a lane has records that wait.
    pub(super) fn has_waiting(&self) -> bool {
        self.value.load(Relaxed) & WAITING != 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn capacity(max_records: u64, max_bytes: u64) -> Capacity<AtomicU64> {
        Capacity::new(Layout::new(max_records, max_bytes))
    }

    #[test]
    fn neither_records_nor_bytes_exceed_their_bound() {
        let capacity = capacity(2, 10);
        assert!(capacity.reserve(4));
        assert!(!capacity.reserve(7), "4 + 7 bytes are more than 10");
        assert!(capacity.reserve(6));
        assert_eq!(capacity.used(), (2, 10));
        assert!(!capacity.reserve(0), "a third record");
        capacity.release(4);
        assert_eq!(capacity.used(), (1, 6));
        assert!(capacity.reserve(4));
    }

    #[test]
    fn a_record_that_leaves_finds_what_waits_for_room() {
        let capacity = capacity(3, 10);
        assert!(capacity.reserve(1) && capacity.reserve(1) && capacity.reserve(1));
        assert!(!capacity.release(1).is_wanted);
        capacity.set_wanted();
        assert!(capacity.has_waiting() && capacity.release(1).is_wanted);
        capacity.clear_wanted(true);
        assert!(capacity.has_waiting() && !capacity.release(1).is_wanted);
        capacity.clear_wanted(false);
        assert!(!capacity.has_waiting());
        assert_eq!(capacity.used(), (0, 0));
    }

    #[test]
    fn waiting_callers_are_found_once() {
        let capacity = capacity(2, 10);
        assert!(capacity.reserve(1));
        capacity.add_caller();
        assert!(capacity.release(1).callers_wait);
        assert!(capacity.take_callers());
        assert!(!capacity.take_callers());
    }
}
