//! Makes inputs for the fuzzer: short ones as libFuzzer makes them, and now and then one of up to 1 MiB.
//!
//! Work that is worse than linear shows only in long inputs, and libFuzzer hardly ever makes a long one that a parser
//! does not reject at its beginning. One mutation in [`RARITY`] therefore repeats a piece of the input until it is long,
//! and leaves what is before and behind the piece as it is: a list with very many entries, a very long name.
//!
//! Long inputs are not kept in the corpus: they behave as the short ones that they were made of, only slowly.

use libfuzzer_sys::{Corpus, fuzzer_mutate};

/// One mutation of this many makes a long input, which costs as much time as some hundred short ones.
const RARITY: u64 = 256;

/// How long libFuzzer's own mutations may make an input, unless it is long already.
const SHORT: usize = 8 * 1024;

/// Changes `data[..size]` in place, and returns its new size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random(u64::from(seed) | 1 << 32);
    if size > 0 && random.below(RARITY) == 0 {
        return lengthen(data, size, max_size, &mut random);
    }
    fuzzer_mutate(data, size, max_size.min(SHORT.max(size)))
}

/// Whether the fuzzer may keep an input that showed something new.
#[must_use]
pub fn keeps(data: &[u8]) -> Corpus {
    if data.len() <= SHORT { Corpus::Keep } else { Corpus::Reject }
}

fn lengthen(data: &mut [u8], size: usize, max_size: usize, random: &mut Random) -> usize {
    let from = random.index(size);
    let longest = if random.below(2) == 0 { 16 } else { size };
    let piece = data[from..size.min(from + 1 + random.index(longest))].to_vec();
    let behind = data[from + piece.len()..size].to_vec();
    // Every order of magnitude is as likely as another.
    let shortest = max_size >> random.below(8);
    let copies = shortest.saturating_sub(size) / piece.len();
    let mut at = from + piece.len();
    for _ in 0..copies {
        data[at..at + piece.len()].copy_from_slice(&piece);
        at += piece.len();
    }
    data[at..at + behind.len()].copy_from_slice(&behind);
    at + behind.len()
}

/// A small generator (xorshift): the fuzzer gives a seed for each mutation.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// An index of something that is not empty.
    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(usize::MAX) % length
    }
}
