//! How much is in the client: records and bytes, bounded by `maxBufferedRecords` and `maxBufferedBytes`.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Bits of the counter that hold the bytes; the records are above them.
const BYTES_BITS: u32 = 40;
const BYTES_MASK: u64 = (1 << BYTES_BITS) - 1;

/// Both counts in one word, so that one compare-and-swap takes room for a record, or none.
///
/// Sequentially consistent, together with the waiting room's flag: whoever finds the buffer full and then raises the
/// flag is either seen by the next release, or sees the room that it made.
#[derive(Debug)]
pub(crate) struct Buffer {
    used: AtomicU64,
    pub(crate) max_records: u64,
    pub(crate) max_bytes: u64,
}

impl Buffer {
    pub(crate) fn new(max_records: u64, max_bytes: u64) -> Buffer {
        Buffer { used: AtomicU64::new(0), max_records, max_bytes }
    }

    /// Takes room for one record of `bytes`, if there is.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let take = |used: u64| {
            let fits =
                (used >> BYTES_BITS) < self.max_records && (used & BYTES_MASK) + bytes <= self.max_bytes;
            fits.then(|| used + (1 << BYTES_BITS) + bytes)
        };
        self.used.fetch_update(SeqCst, SeqCst, take).is_ok()
    }

    /// Gives back the room of one record of `bytes`.
    pub(crate) fn release(&self, bytes: usize) {
        self.used.fetch_sub((1 << BYTES_BITS) + bytes as u64, SeqCst);
    }

    /// Records and bytes in the client.
    pub(crate) fn used(&self) -> (u64, u64) {
        let used = self.used.load(SeqCst);
        (used >> BYTES_BITS, used & BYTES_MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_records_nor_bytes_exceed_their_bound() {
        let buffer = Buffer::new(2, 10);
        assert!(buffer.reserve(4));
        assert!(!buffer.reserve(7), "4 + 7 bytes are more than 10");
        assert!(buffer.reserve(6));
        assert_eq!(buffer.used(), (2, 10));
        assert!(!buffer.reserve(0), "a third record");
        buffer.release(4);
        assert_eq!(buffer.used(), (1, 6));
        assert!(buffer.reserve(4));
    }
}
