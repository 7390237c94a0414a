//! Finding the entries of a map that a later entry with the same key overrides, in time proportional to the map's length.
//!
//! A sort would take longer the more entries there are, and a comparison of each with each takes minutes for a message of
//! a few megabytes. The hash is seeded, so that no device can send keys that all share a place in the table.

use std::hash::{BuildHasher, Hasher, RandomState};

use smallvec::SmallVec;

use super::walk::{Overridden, split_text};

/// The places of the table before it grows. Tables of this size are not allocated.
const PLACES: usize = 64;
/// A place that holds no entry. No entry begins there, since it would end after the last byte.
const FREE: u32 = u32::MAX;

/// The entries that a later one overrides, or `None` if no key is repeated. Each of the `count` entries has been validated.
#[cold]
pub(super) fn overridden(bytes: &[u8], count: usize) -> Option<Overridden> {
    search(&mut Table::new(bytes), count)
}

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
struct Table<'a> {
    bytes: &'a [u8],
    /// A power of two of places, at most three quarters of which are taken.
    places: SmallVec<[u32; PLACES]>,
    taken: usize,
    seeds: [u64; 2],
    /// How many keys were compared.
    #[cfg(test)]
    compared: std::cell::Cell<usize>,
}

impl<'a> Table<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let random = || RandomState::new().build_hasher().finish();
        Table {
            bytes,
            places: SmallVec::from_elem(FREE, PLACES),
            taken: 0,
            seeds: [random(), random() | 1],
            #[cfg(test)]
            compared: std::cell::Cell::default(),
        }
    }

    /// Enters the offset of an entry with this key, and returns the one that was there before.
    fn replace(&mut self, key: &[u8], offset: u32) -> Option<u32> {
        let place = self.place_of(key);
        let earlier = std::mem::replace(&mut self.places[place], offset);
        if earlier != FREE {
            return Some(earlier);
        }
        self.taken += 1;
        if 4 * self.taken > 3 * self.places.len() {
            self.grow();
        }
        None
    }

    fn grow(&mut self) {
        let larger = SmallVec::from_elem(FREE, 2 * self.places.len());
        for offset in std::mem::replace(&mut self.places, larger) {
            if offset != FREE {
                let place = self.place_of(self.key_at(offset));
                self.places[place] = offset;
            }
        }
    }

    /// The place of an entry with this key, or the free one where it belongs.
    fn place_of(&self, key: &[u8]) -> usize {
        let last = self.places.len() - 1;
        let mut place = self.hash(key) & last;
        while self.places[place] != FREE && self.key_at(self.places[place]) != key {
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
        let (words, tail) = key.as_chunks::<8>();
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        let hash = words.iter().fold(self.seeds[0] ^ key.len() as u64, |hash, word| self.mix(hash, *word));
        self.mix(hash, last) as usize
    }

    /// Multiplies to 128 bits and folds the halves, so that each bit of the word reaches the low bits, too.
    #[expect(clippy::cast_possible_truncation, reason = "both halves of the product are used")]
    fn mix(&self, hash: u64, word: [u8; 8]) -> u64 {
        let product = u128::from(hash ^ u64::from_le_bytes(word)) * u128::from(self.seeds[1]);
        (product >> 64) as u64 ^ product as u64
    }
}

#[cfg(test)]
mod tests {
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
        let found = overridden(bytes, 3).unwrap();
        assert_eq!((0..bytes.len()).filter(|offset| found.contains(*offset)).collect::<Vec<_>>(), [0]);
        assert!(overridden(&bytes[..8], 2).is_none());
    }
}
