//! Finding the entries of a map that a later entry with the same key overrides, in time proportional to the map's length.
//!
//! A sort would take longer the more entries there are, and a comparison of each with each takes minutes for a message of
//! a few megabytes. The hash is seeded, so that no device can send keys that all share a place in the table.

#[cfg(feature = "std")]
use alloc::vec;
use alloc::vec::Vec;

use super::walk::{Overridden, split_text};

/// The places of the table before it grows. Tables of this size are not allocated.
#[cfg(feature = "std")]
const PLACES: usize = 64;
/// An odd number without a pattern in its bits: 2^64 divided by the golden ratio.
#[cfg(feature = "std")]
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15;
/// A place that holds no entry. No entry begins there, since it would end after the last byte.
#[cfg(feature = "std")]
const FREE: u32 = u32::MAX;

/// The entries that a later one overrides, or `None` if no key is repeated. Each of the `count` entries has been validated.
#[cold]
#[cfg(feature = "std")]
pub(crate) fn overridden(bytes: &[u8], count: usize) -> Option<Overridden> {
    search(&mut Table::new(bytes), count)
}

/// The same without a source of random seeds: by a sort, which takes somewhat longer the more entries there are.
#[cold]
#[cfg(not(feature = "std"))]
pub(crate) fn overridden(bytes: &[u8], count: usize) -> Option<Overridden> {
    sorted(bytes, count)
}

#[cfg(any(test, not(feature = "std")))]
fn sorted(bytes: &[u8], count: usize) -> Option<Overridden> {
    let mut entries = Vec::with_capacity(count);
    let mut rest = bytes;
    for _ in 0..count {
        let offset = u32::try_from(bytes.len() - rest.len()).ok()?;
        let (key, after) = split_text(rest)?;
        rest = split_text(after)?.1;
        entries.push((key, offset));
    }
    entries.sort_unstable();
    let mut found = None;
    for pair in entries.windows(2) {
        if pair[0].0 == pair[1].0 {
            found.get_or_insert_with(|| Overridden::none_of(bytes.len())).add(pair[0].1);
        }
    }
    found
}

#[cfg(feature = "std")]
fn search(table: &mut Table<'_>, count: usize) -> Option<Overridden> {
    let bytes = table.bytes;
    let mut found = None;
    let mut rest = bytes;
    for _ in 0..count {
        let offset = u32::try_from(bytes.len() - rest.len()).ok()?;
        let (key, after) = split_text(rest)?;
        rest = split_text(after)?.1;
        if let Some(earlier) = table.replace(key.as_bytes(), offset) {
            found.get_or_insert_with(|| Overridden::none_of(bytes.len())).add(earlier);
        }
    }
    found
}

/// The offset of the latest entry with each key: a hash table with linear probing.
#[cfg(feature = "std")]
struct Table<'a> {
    bytes: &'a [u8],
    /// A power of two of places, at most three quarters of which are taken.
    places: Places,
    taken: usize,
    seeds: [u64; 2],
    /// How many keys were compared.
    #[cfg(test)]
    compared: core::cell::Cell<usize>,
}

/// The first [`PLACES`] are not allocated.
#[cfg(feature = "std")]
struct Places {
    inline: [u32; PLACES],
    /// All of them, once they are more.
    more: Vec<u32>,
}

#[cfg(feature = "std")]
impl Places {
    fn all(&self) -> &[u32] {
        if self.more.is_empty() { &self.inline } else { &self.more }
    }

    fn all_mut(&mut self) -> &mut [u32] {
        if self.more.is_empty() { &mut self.inline } else { &mut self.more }
    }
}

#[cfg(feature = "std")]
impl<'a> Table<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        use std::hash::{BuildHasher as _, Hasher as _, RandomState};
        let random = || RandomState::new().build_hasher().finish();
        Table {
            bytes,
            places: Places { inline: [FREE; PLACES], more: Vec::new() },
            taken: 0,
            seeds: [random(), random() | 1],
            #[cfg(test)]
            compared: core::cell::Cell::default(),
        }
    }

    /// Enters the offset of an entry with this key, and returns the one that was there before.
    fn replace(&mut self, key: &[u8], offset: u32) -> Option<u32> {
        let place = self.place_of(key);
        let earlier = core::mem::replace(&mut self.places.all_mut()[place], offset);
        if earlier != FREE {
            return Some(earlier);
        }
        self.taken += 1;
        if 4 * self.taken > 3 * self.places.all().len() {
            self.grow();
        }
        None
    }

    fn grow(&mut self) {
        let inline = core::mem::replace(&mut self.places.inline, [FREE; PLACES]);
        let larger = vec![FREE; 2 * self.places.all().len()];
        let before = core::mem::replace(&mut self.places.more, larger);
        for &offset in if before.is_empty() { &inline[..] } else { &before } {
            if offset != FREE {
                let place = self.place_of(self.key_at(offset));
                self.places.all_mut()[place] = offset;
            }
        }
    }

    /// The place of an entry with this key, or the free one where it belongs.
    fn place_of(&self, key: &[u8]) -> usize {
        let places = self.places.all();
        let last = places.len() - 1;
        let mut place = self.hash(key) & last;
        while places[place] != FREE && self.key_at(places[place]) != key {
            place = (place + 1) & last;
        }
        place
    }

    fn key_at(&self, offset: u32) -> &'a [u8] {
        #[cfg(test)]
        self.compared.set(self.compared.get() + 1);
        let entry = self.bytes.get(offset as usize..).and_then(split_text);
        entry.map_or(&[], |(key, _)| key.as_bytes())
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    fn hash(&self, key: &[u8]) -> usize {
        let mut hash = self.seeds[0] ^ key.len() as u64;
        let mut rest = key;
        while let Some((word, after)) = rest.split_first_chunk::<8>() {
            hash = self.mix(hash, *word);
            rest = after;
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // One product alone leaves some seeds with which keys that count up gather in a few places.
        let spread = u128::from(self.mix(hash, last)) * SPREAD;
        (spread >> 64) as usize ^ spread as usize
    }

    /// Multiplies to 128 bits and folds the halves, so that each bit of the word reaches the low bits, too.
    #[expect(clippy::cast_possible_truncation, reason = "both halves of the product are used")]
    fn mix(&self, hash: u64, word: [u8; 8]) -> u64 {
        let product = u128::from(hash ^ u64::from_le_bytes(word)) * u128::from(self.seeds[1]);
        (product >> 64) as u64 ^ product as u64
    }
}

#[cfg(test)]
#[cfg(feature = "std")]
mod tests {
    use std::vec::Vec;

    use super::*;

    const LENGTH: usize = 1 << 20;

    /// Entries with these keys and empty values, about 1 MiB of them.
    fn map<const N: usize>(key: impl Fn(usize) -> [u8; N]) -> (Vec<u8>, usize) {
        let count = LENGTH / (N + 2);
        let header = 0xa0 | u8::try_from(N).unwrap();
        let entry = |n: usize| [&[header][..], &key(n)[..], &[0xa0][..]].concat();
        ((0..count).flat_map(entry).collect(), count)
    }

    fn bytes_of<const N: usize>(n: usize) -> [u8; N] {
        n.to_le_bytes()[..N].try_into().unwrap()
    }

    #[test]
    fn the_keys_that_are_compared_are_proportional_to_the_entries() {
        let maps = [
            ("empty keys", map(|_| [])),
            ("equal keys", map(|_| *b"k")),
            ("keys of one byte", map(bytes_of::<1>)),
            ("keys of three bytes", map(bytes_of::<3>)),
            ("keys of eight bytes", map(bytes_of::<8>)),
            ("long keys that differ in their end", map(|n| (n as u128).to_be_bytes())),
            ("keys that differ in high bits", map(|n| bytes_of::<8>(n << 40))),
        ]
        .map(|(name, (bytes, count)): (_, (Vec<u8>, usize))| (name, bytes, count));
        for (name, bytes, count) in maps {
            let mut table = Table::new(&bytes);
            let _overridden = search(&mut table, count);
            // With at most three quarters of the places taken, 2.5 on average, and as much again for the growth; twice as
            // many with a bad seed.
            let compared = table.compared.get();
            assert!(compared <= 10 * count, "{name}: {compared} comparisons for {count} entries");
        }
    }

    #[test]
    fn the_entries_that_a_later_one_overrides_are_found() {
        let bytes = b"\xa1a\xa1x\xa1b\xa1y\xc4\x01a\xa1z";
        for overridden in [overridden, sorted] {
            let found = overridden(bytes, 3).unwrap();
            assert_eq!((0..bytes.len()).filter(|offset| found.contains(*offset)).collect::<Vec<_>>(), [0]);
            assert!(overridden(&bytes[..8], 2).is_none());
        }
    }
}
