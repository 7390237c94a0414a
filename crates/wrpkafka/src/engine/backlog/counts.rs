//! How records and bytes are counted together in one word of 64 bits, above three bits for flags.

/// Where records and bytes are in a word, and the most of them that it may count.
///
/// From the lowest bit: three bits for flags, then the bytes, then the records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    records_shift: u32,
    pub(super) max_records: u64,
    pub(super) max_bytes: u64,
}

/// The bits below the counts.
pub(super) const FLAGS: u64 = 0b111;
const BYTES_SHIFT: u32 = 3;

impl Layout {
    /// Bounds that need more bits than the word has are cut: that takes millions of records and more than 128 GiB.
    pub(super) fn new(max_records: u64, max_bytes: u64) -> Self {
        let records_bits = bits(max_records);
        let bytes_bits = bits(max_bytes).min(u64::BITS - BYTES_SHIFT - records_bits);
        let max_bytes = max_bytes.min((1 << bytes_bits) - 1);
        Self { records_shift: BYTES_SHIFT + bytes_bits, max_records, max_bytes }
    }

    /// The records and bytes that a word counts.
    pub(super) fn counts(&self, word: u64) -> (u64, u64) {
        let bytes_mask = (1 << (self.records_shift - BYTES_SHIFT)) - 1;
        (word >> self.records_shift, word >> BYTES_SHIFT & bytes_mask)
    }

    /// What one record adds to a word.
    pub(super) fn unit(&self, bytes: usize) -> u64 {
        (1 << self.records_shift) + ((bytes as u64) << BYTES_SHIFT)
    }
}

/// How many bits a number up to this one needs.
fn bits(max: u64) -> u32 {
    (u64::BITS - max.leading_zeros()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_bounds_of_a_configuration_fit_except_both_together() {
        let limits = |records, bytes| {
            let layout = Layout::new(records, bytes);
            (layout.max_records, layout.max_bytes)
        };
        assert_eq!(limits((1 << 24) - 1, 1 << 30), ((1 << 24) - 1, 1 << 30));
        assert_eq!(limits(1 << 20, (1 << 40) - 1), (1 << 20, (1 << 40) - 1));
        assert_eq!(limits((1 << 24) - 1, (1 << 40) - 1), ((1 << 24) - 1, (1 << 37) - 1));
    }

    #[test]
    fn records_and_bytes_are_counted_apart_and_leave_the_flags_alone() {
        let layout = Layout::new((1 << 24) - 1, (1 << 40) - 1);
        let word = FLAGS + 3 * layout.unit(1 << 35);
        assert_eq!((layout.counts(word), word & FLAGS), ((3, 3 << 35), FLAGS));
    }
}
