//! The atomic word: how much the client holds, and what a new record meets. Its protocol is the [backlog](super)'s.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::flow::Flow;
use super::primitives::AtomicWord;

/// From the lowest bit: two bits of [`Flow`], one that says whether callers wait for room, then the bytes, then the
/// records.
#[derive(Debug)]
pub(super) struct Word<A> {
    value: A,
    records_shift: u32,
    max_records: u64,
    max_bytes: u64,
}

/// What [`Word::release`] found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Released {
    pub(super) records_wait: bool,
    pub(super) callers_wait: bool,
}

const FLOW: u64 = 0b011;
const CALLERS: u64 = 0b100;
const BYTES_SHIFT: u32 = 3;

impl<A: AtomicWord> Word<A> {
    /// A word that is [`Flow::Closed`]. Bounds that need more bits than the word has are cut: that takes millions of
    /// records and more than 128 GiB.
    pub(super) fn new(max_records: u64, max_bytes: u64) -> Self {
        let records_bits = bits(max_records);
        let bytes_bits = bits(max_bytes).min(u64::BITS - BYTES_SHIFT - records_bits);
        let max_bytes = max_bytes.min((1 << bytes_bits) - 1);
        let value = A::new(Flow::Closed as u64);
        Self { value, records_shift: BYTES_SHIFT + bytes_bits, max_records, max_bytes }
    }

    pub(super) fn limits(&self) -> (u64, u64) {
        (self.max_records, self.max_bytes)
    }

    /// Takes room for one record, if nothing waits. Otherwise says what the record meets; that is [`Flow::Open`] if only
    /// the room is missing.
    pub(super) fn reserve_if_open(&self, bytes: usize) -> Result<(), Flow> {
        let take = |word: u64| if word & FLOW == Flow::Open as u64 { self.add(word, bytes) } else { None };
        // Acquire: point 2 of the protocol.
        self.value.update(Acquire, Relaxed, take).map(drop).map_err(flow)
    }

    /// Takes room for a record that waited, if there is. For the holder of the lock.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        self.value.update(Relaxed, Relaxed, |word| self.add(word, bytes)).is_ok()
    }

    /// Gives back the room of one record.
    pub(super) fn release(&self, bytes: usize) -> Released {
        let word = self.value.fetch_sub(self.unit(bytes), Relaxed);
        Released { records_wait: word & FLOW != Flow::Open as u64, callers_wait: word & CALLERS != 0 }
    }

    /// Changes the flow. For the holder of the lock.
    pub(super) fn set_flow(&self, flow: Flow) {
        // Release: point 2 of the protocol. Cannot fail, as the change is never refused.
        let _ = self.value.update(Release, Relaxed, |word| Some(word & !FLOW | flow as u64));
    }

    pub(super) fn flow(&self) -> Flow {
        flow(self.value.load(Relaxed))
    }

    /// Notes that a caller waits for room.
    pub(super) fn add_caller(&self) {
        self.value.fetch_or(CALLERS, Relaxed);
    }

    /// Whether callers waited; from now on none do until [`Word::add_caller`].
    pub(super) fn take_callers(&self) -> bool {
        self.value.load(Relaxed) & CALLERS != 0 && self.value.fetch_and(!CALLERS, Relaxed) & CALLERS != 0
    }

    /// Records and bytes in the client.
    pub(super) fn used(&self) -> (u64, u64) {
        self.counts(self.value.load(Relaxed))
    }

    fn counts(&self, word: u64) -> (u64, u64) {
        let bytes_mask = (1 << (self.records_shift - BYTES_SHIFT)) - 1;
        (word >> self.records_shift, word >> BYTES_SHIFT & bytes_mask)
    }

    /// The word with one more record, if the record fits.
    fn add(&self, word: u64, bytes: usize) -> Option<u64> {
        let (records, used) = self.counts(word);
        let fits = records < self.max_records && used + bytes as u64 <= self.max_bytes;
        fits.then(|| word + self.unit(bytes))
    }

    /// What one record adds to the word.
    fn unit(&self, bytes: usize) -> u64 {
        (1 << self.records_shift) + ((bytes as u64) << BYTES_SHIFT)
    }
}

fn flow(word: u64) -> Flow {
    match word & FLOW {
        0 => Flow::Open,
        1 => Flow::Queued,
        2 => Flow::Suspended,
        _ => Flow::Closed,
    }
}

/// How many bits a number up to this one needs.
fn bits(max: u64) -> u32 {
    (u64::BITS - max.leading_zeros()).max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn open(max_records: u64, max_bytes: u64) -> Word<AtomicU64> {
        let word = Word::new(max_records, max_bytes);
        word.set_flow(Flow::Open);
        word
    }

    #[test]
    fn neither_records_nor_bytes_exceed_their_bound() {
        let word = open(2, 10);
        assert!(word.reserve(4));
        assert!(!word.reserve(7), "4 + 7 bytes are more than 10");
        assert_eq!(word.reserve_if_open(6), Ok(()));
        assert_eq!(word.used(), (2, 10));
        assert_eq!(word.reserve_if_open(0), Err(Flow::Open), "a third record");
        word.release(4);
        assert_eq!(word.used(), (1, 6));
        assert!(word.reserve(4));
    }

    #[test]
    fn the_largest_bounds_of_a_configuration_fit_except_both_together() {
        assert_eq!(open((1 << 24) - 1, 1 << 30).limits(), ((1 << 24) - 1, 1 << 30));
        assert_eq!(open(1 << 20, (1 << 40) - 1).limits(), (1 << 20, (1 << 40) - 1));
        let word = open((1 << 24) - 1, (1 << 40) - 1);
        assert_eq!(word.limits(), ((1 << 24) - 1, (1 << 37) - 1));
        for _ in 0..3 {
            assert!(word.reserve(1 << 35));
        }
        assert!(!word.reserve(1 << 35));
        assert_eq!((word.used(), word.flow()), ((3, 3 << 35), Flow::Open));
    }

    #[test]
    fn room_is_reserved_for_new_records_only_while_the_flow_is_open() {
        let word = open(2, 10);
        word.set_flow(Flow::Queued);
        assert_eq!(word.reserve_if_open(1), Err(Flow::Queued));
        assert!(word.reserve(1));
        assert!(word.release(1).records_wait);
        word.set_flow(Flow::Open);
        assert_eq!(word.reserve_if_open(1), Ok(()));
        assert!(!word.release(1).records_wait);
    }

    #[test]
    fn waiting_callers_are_found_once() {
        let word = open(2, 10);
        assert!(word.reserve(1));
        word.add_caller();
        assert!(word.release(1).callers_wait);
        assert!(word.take_callers());
        assert!(!word.take_callers());
    }
}
