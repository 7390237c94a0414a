//! The owned metadata of a message.
//!
//! The entries stand in one buffer, as the encoders write them: they are copied and encoded in one piece. Entries that come
//! many at a time are first appended, and then those that a later one overrides are removed, all at once: the work is
//! proportional to the length, whatever the keys.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::msgpack::walk::{Entries, KeyFilter, split_text};
use crate::msgpack::{repeated, write};
use crate::{Metadata, MetadataIter, Text};

/// An owned map of texts.
///
/// ```
/// use wrp::MetadataBuf;
///
/// let mut metadata = MetadataBuf::from([("/hw-model", "TG1682"), ("/trust", "1000")]);
/// metadata.insert("/trust", "0");
/// assert_eq!(metadata.get("/trust").unwrap(), "0");
/// assert!(metadata.remove("/hw-model"));
/// assert_eq!(metadata, [("/trust", "0")].into());
/// ```
#[derive(Clone, Default)]
pub struct MetadataBuf {
    count: usize,
    /// Keys and values with their msgpack headers; no key occurs twice.
    bytes: Vec<u8>,
    keys: KeyFilter,
}

impl MetadataBuf {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry behind the others; one that has this key is removed. Takes time proportional to the number of entries;
    /// [`Extend`] adds many at once.
    pub fn insert(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let key = key.as_ref();
        self.remove(key);
        self.append(key, value.as_ref());
    }

    /// Removes the entry with this key, and returns whether there was one.
    pub fn remove(&mut self, key: impl AsRef<[u8]>) -> bool {
        let place = self.place(key.as_ref());
        if let Some(place) = &place {
            self.bytes.drain(place.clone());
            self.count -= 1;
        }
        place.is_some()
    }

    /// The value of the entry with this key.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Text<'_>> {
        let key = Text::new(key.as_ref());
        self.iter().find(|entry| entry.0 == key).map(|entry| entry.1)
    }

    /// Borrows the entries.
    #[must_use]
    pub fn as_metadata(&self) -> Metadata<'_> {
        Metadata::wire(Entries {
            count: self.count,
            bytes: &self.bytes,
            canonical: true,
            keys: self.keys,
            overridden: None,
        })
    }

    /// The number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entries, each key once.
    #[must_use]
    pub fn iter(&self) -> MetadataIter<'_, '_> {
        MetadataIter::of_entries(self.count, &self.bytes)
    }

    /// Makes room for this many more bytes.
    #[cfg(feature = "json")]
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Adds an entry, and returns whether its key may be one of those before: then [`MetadataBuf::settle`] must follow.
    pub(crate) fn append(&mut self, key: &[u8], value: &[u8]) -> bool {
        write::str(Text::new(key), &mut self.bytes);
        write::str(Text::new(value), &mut self.bytes);
        self.count += 1;
        self.keys.insert(key)
    }

    /// Removes the entries that a later one overrides.
    pub(crate) fn settle(&mut self) {
        let Some(overridden) = repeated::overridden(&self.bytes, self.count) else { return };
        let entries = Entries {
            count: self.count,
            bytes: &self.bytes,
            canonical: true,
            keys: self.keys,
            overridden: Some(overridden),
        };
        let mut settled = Self::new();
        for (key, value) in entries.iter() {
            settled.append(key.as_bytes(), value.as_bytes());
        }
        *self = settled;
    }

    /// Where the entry with this key stands.
    fn place(&self, key: &[u8]) -> Option<Range<usize>> {
        if !self.keys.may_contain(key) {
            return None;
        }
        let mut rest = &self.bytes[..];
        while let Some((found, after)) = split_text(rest) {
            let (_, after) = split_text(after)?;
            if found.as_bytes() == key {
                return Some(self.bytes.len() - rest.len()..self.bytes.len() - after.len());
            }
            rest = after;
        }
        None
    }
}

impl Metadata<'_> {
    /// Copies all entries.
    #[must_use]
    pub fn to_buf(&self) -> MetadataBuf {
        let Some(bytes) = self.verbatim() else {
            let mut entries = MetadataBuf::new();
            for (key, value) in self.iter() {
                entries.append(key.as_bytes(), value.as_bytes());
            }
            return entries;
        };
        let count = self.len() - self.overlay().count();
        let mut entries = MetadataBuf { count, bytes: bytes.to_vec(), keys: self.base_keys() };
        for (key, value) in self.overlay() {
            entries.append(key.as_bytes(), value.as_bytes());
        }
        entries
    }
}

/// Of repeated keys the last counts.
impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Extend<(K, V)> for MetadataBuf {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        let mut perhaps_repeated = false;
        for (key, value) in entries {
            perhaps_repeated |= self.append(key.as_ref(), value.as_ref());
        }
        if perhaps_repeated {
            self.settle();
        }
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(K, V)> for MetadataBuf {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>, const N: usize> From<[(K, V); N]> for MetadataBuf {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<'a> From<&'a MetadataBuf> for Metadata<'a> {
    fn from(entries: &'a MetadataBuf) -> Self {
        entries.as_metadata()
    }
}

impl<'a> IntoIterator for &'a MetadataBuf {
    type Item = (Text<'a>, Text<'a>);
    type IntoIter = MetadataIter<'a, 'a>;

    fn into_iter(self) -> MetadataIter<'a, 'a> {
        self.iter()
    }
}

/// Equal if they hold the same entries, in any order.
impl PartialEq for MetadataBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_metadata() == other.as_metadata()
    }
}

impl Eq for MetadataBuf {}

impl fmt::Debug for MetadataBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_metadata().fmt(f)
    }
}
