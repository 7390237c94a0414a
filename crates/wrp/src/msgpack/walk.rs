//! Iterating over collections that the decoder has validated.
//!
//! A decoded message keeps its lists and maps as the bytes that they came in, so that decoding does not allocate; they are
//! read again on each use. The bytes are valid, so iterating cannot fail; if it did, the iterator would end early.

use alloc::boxed::Box;
use alloc::vec;

use crate::Text;

/// A validated list of texts, without its header.
#[derive(Clone, Copy)]
pub(crate) struct Items<'a> {
    pub(crate) count: usize,
    pub(crate) bytes: &'a [u8],
    /// Whether each text has the header that the encoders would write, so that they can copy the bytes.
    pub(crate) canonical: bool,
}

impl<'a> Items<'a> {
    pub(crate) const fn iter(&self) -> Texts<'a> {
        Texts { left: self.count, bytes: self.bytes }
    }
}

#[derive(Clone)]
pub(crate) struct Texts<'a> {
    left: usize,
    bytes: &'a [u8],
}

impl<'a> Iterator for Texts<'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Text<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (text, rest) = split_text(self.bytes)?;
        self.bytes = rest;
        Some(text)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// A validated list of lists of texts, without its header.
#[derive(Clone, Copy)]
pub(crate) struct Lists<'a> {
    pub(crate) count: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Lists<'a> {
    pub(crate) const fn iter(&self) -> ListsIter<'a> {
        ListsIter { left: self.count, bytes: self.bytes }
    }
}

#[derive(Clone)]
pub(crate) struct ListsIter<'a> {
    left: usize,
    bytes: &'a [u8],
}

impl<'a> Iterator for ListsIter<'a> {
    type Item = Items<'a>;

    fn next(&mut self) -> Option<Items<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (count, body) = split_list(self.bytes)?;
        let mut texts = Texts { left: count, bytes: body };
        while texts.next().is_some() {}
        self.bytes = texts.bytes;
        let bytes = &body[..body.len() - texts.bytes.len()];
        Some(Items { count, bytes, canonical: false })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// A validated map of texts, without its header. Of repeated keys the last counts (contract §1.6).
#[derive(Clone)]
pub(crate) struct Entries<'a> {
    /// The number of entries, overridden ones included.
    pub(crate) count: usize,
    pub(crate) bytes: &'a [u8],
    pub(crate) canonical: bool,
    pub(crate) keys: KeyFilter,
    /// The entries that do not count, if some keys are repeated.
    pub(crate) overridden: Option<Overridden>,
}

/// The entries that a later one with the same key overrides: a set of their offsets, one bit for each byte of the map.
#[derive(Clone)]
pub(crate) struct Overridden {
    offsets: Box<[u64]>,
    count: usize,
}

impl Overridden {
    /// The empty set for a map of this many bytes.
    pub(super) fn none_of(bytes: usize) -> Self {
        Self { offsets: vec![0; bytes.div_ceil(64)].into_boxed_slice(), count: 0 }
    }

    pub(super) fn add(&mut self, offset: u32) {
        if let Some(word) = self.offsets.get_mut(offset as usize / 64) {
            *word |= 1 << (offset % 64);
            self.count += 1;
        }
    }

    pub(super) fn contains(&self, offset: usize) -> bool {
        self.offsets.get(offset / 64).is_some_and(|word| word >> (offset % 64) & 1 == 1)
    }
}

impl<'a> Entries<'a> {
    pub(crate) fn len(&self) -> usize {
        self.count - self.overridden.as_ref().map_or(0, |overridden| overridden.count)
    }

    pub(crate) fn verbatim(&self) -> Option<&'a [u8]> {
        (self.canonical && self.overridden.is_none()).then_some(self.bytes)
    }

    pub(crate) fn get(&self, key: Text<'_>) -> Option<Text<'a>> {
        if !self.keys.may_contain(key.as_bytes()) {
            return None;
        }
        self.iter().find(|entry| entry.0 == key).map(|entry| entry.1)
    }

    pub(crate) fn iter(&self) -> EntriesIter<'_, 'a> {
        EntriesIter {
            left: self.count,
            rest: self.bytes,
            length: self.bytes.len(),
            overridden: self.overridden.as_ref(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct EntriesIter<'m, 'a> {
    /// The number of entries that are left, overridden ones included.
    left: usize,
    rest: &'a [u8],
    length: usize,
    overridden: Option<&'m Overridden>,
}

impl<'a> EntriesIter<'_, 'a> {
    /// The entries in these bytes, none of which is overridden.
    pub(crate) const fn of(count: usize, bytes: &'a [u8]) -> Self {
        Self { left: count, rest: bytes, length: bytes.len(), overridden: None }
    }
}

impl<'a> Iterator for EntriesIter<'_, 'a> {
    type Item = (Text<'a>, Text<'a>);

    fn next(&mut self) -> Option<(Text<'a>, Text<'a>)> {
        loop {
            self.left = self.left.checked_sub(1)?;
            let offset = self.length - self.rest.len();
            let (key, rest) = split_text(self.rest)?;
            let (value, rest) = split_text(rest)?;
            self.rest = rest;
            if !self.overridden.is_some_and(|overridden| overridden.contains(offset)) {
                return Some((key, value));
            }
        }
    }
}

/// The entries in these bytes of a validated map, overridden ones included.
#[cfg(feature = "json")]
pub(crate) fn pairs(bytes: &[u8]) -> impl Iterator<Item = (Text<'_>, Text<'_>)> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (key, after) = split_text(rest)?;
        let (value, after) = split_text(after)?;
        rest = after;
        Some((key, value))
    })
}

/// A Bloom filter of keys: it finds quickly that a key is absent, and may report an absent key as present.
#[derive(Clone, Copy, Default)]
pub(crate) struct KeyFilter([u64; 4]);

impl KeyFilter {
    /// Inserts a key, and returns whether it may have been inserted before.
    #[inline]
    pub(crate) fn insert(&mut self, key: &[u8]) -> bool {
        let (word, bit) = Self::bit_of(key);
        let known = self.0[word] & bit != 0;
        self.0[word] |= bit;
        known
    }

    #[inline]
    pub(crate) fn may_contain(&self, key: &[u8]) -> bool {
        let (word, bit) = Self::bit_of(key);
        self.0[word] & bit != 0
    }

    /// The index of the key's word, and its bit there: a hash of the length, the middle byte and the last byte.
    #[inline]
    fn bit_of(key: &[u8]) -> (usize, u64) {
        let middle = key.get(key.len() / 2).copied().unwrap_or_default();
        let last = key.last().copied().unwrap_or_default();
        let hash = key.len().wrapping_mul(37) ^ usize::from(middle).wrapping_mul(11) ^ usize::from(last);
        ((hash >> 6) & 3, 1 << (hash & 63))
    }
}

/// Splits a text off the front: a str, a bin, a nil or an empty array.
#[inline]
pub(crate) fn split_text(bytes: &[u8]) -> Option<(Text<'_>, &[u8])> {
    let (&marker, rest) = bytes.split_first()?;
    // Nearly all texts are short, and one comparison is faster than a table of jumps.
    if marker & 0xe0 == 0xa0 {
        let (text, rest) = rest.split_at_checked(usize::from(marker & 0x1f))?;
        return Some((Text::new(text), rest));
    }
    split_long_text(marker, rest)
}

fn split_long_text(marker: u8, rest: &[u8]) -> Option<(Text<'_>, &[u8])> {
    let (len, rest) = match marker {
        0xd9 | 0xc4 => big_endian::<1>(rest)?,
        0xda | 0xc5 => big_endian::<2>(rest)?,
        0xdb | 0xc6 => big_endian::<4>(rest)?,
        0xc0 | 0x90 => (0, rest),
        _ => return None,
    };
    let (text, rest) = rest.split_at_checked(len)?;
    Some((Text::new(text), rest))
}

/// Splits the header of a list off the front and returns the number of texts in it. A map is the list of its keys and
/// values, nil is an empty list.
fn split_list(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&marker, rest) = bytes.split_first()?;
    Some(match marker {
        0x90..=0x9f => (usize::from(marker & 0x0f), rest),
        0xdc => big_endian::<2>(rest)?,
        0xdd => big_endian::<4>(rest)?,
        0xc0 => (0, rest),
        0x80..=0x8f => (2 * usize::from(marker & 0x0f), rest),
        0xde => big_endian::<2>(rest).map(|(pairs, rest)| (2 * pairs, rest))?,
        0xdf => big_endian::<4>(rest).and_then(|(pairs, rest)| Some((pairs.checked_mul(2)?, rest)))?,
        _ => return None,
    })
}

/// Splits a number of `N` bytes off the front.
pub(crate) fn big_endian<const N: usize>(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<N>()?;
    Some((number.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest))
}
