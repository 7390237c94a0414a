//! Owned lists of texts: the headers and the partner ids of an owned message, one of its spans.
//!
//! The texts stand in one buffer, as the encoders write them: a list is copied and encoded in one piece.

use alloc::vec::Vec;
use core::fmt;

use crate::msgpack::walk::Items;
use crate::msgpack::write;
use crate::{Strings, StringsIter, Text};

/// An owned list of texts.
///
/// ```
/// use wrp::StringsBuf;
///
/// let mut ids = StringsBuf::from(["comcast"]);
/// ids.push("sky");
/// assert_eq!(ids.len(), 2);
/// assert!(ids.contains("sky"));
/// assert_eq!(ids, ["comcast", "sky"].into());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct StringsBuf {
    count: usize,
    /// The texts with their msgpack headers.
    bytes: Vec<u8>,
}

impl StringsBuf {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, bytes: Vec::new() }
    }

    /// Appends a text.
    pub fn push(&mut self, text: impl AsRef<[u8]>) {
        write::str(Text::new(text.as_ref()), &mut self.bytes);
        self.count += 1;
    }

    /// Makes room for this many more bytes.
    #[cfg(feature = "json")]
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Borrows the list.
    #[must_use]
    pub fn as_strings(&self) -> Strings<'_> {
        Strings::wire(Items { count: self.count, bytes: &self.bytes, canonical: true })
    }

    /// The number of texts.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no text.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The text at `index`, from 0. Takes time proportional to `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Text<'_>> {
        self.as_strings().get(index)
    }

    /// Whether one of the texts equals `text`.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.as_strings().contains(text)
    }

    /// The texts in their order.
    #[must_use]
    pub fn iter(&self) -> StringsIter<'_> {
        self.as_strings().iter()
    }
}

impl Strings<'_> {
    /// Copies all texts.
    #[must_use]
    pub fn to_buf(&self) -> StringsBuf {
        match self.verbatim() {
            Some(bytes) => StringsBuf { count: self.len(), bytes: bytes.to_vec() },
            None => self.iter().collect(),
        }
    }
}

impl<T: AsRef<[u8]>> Extend<T> for StringsBuf {
    fn extend<I: IntoIterator<Item = T>>(&mut self, texts: I) {
        texts.into_iter().for_each(|text| self.push(text));
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for StringsBuf {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut list = Self::new();
        list.extend(texts);
        list
    }
}

impl<T: AsRef<[u8]>, const N: usize> From<[T; N]> for StringsBuf {
    fn from(texts: [T; N]) -> Self {
        texts.into_iter().collect()
    }
}

impl<T: AsRef<[u8]>> From<Vec<T>> for StringsBuf {
    fn from(texts: Vec<T>) -> Self {
        texts.into_iter().collect()
    }
}

impl<'a> From<&'a StringsBuf> for Strings<'a> {
    fn from(texts: &'a StringsBuf) -> Self {
        texts.as_strings()
    }
}

impl<'a> IntoIterator for &'a StringsBuf {
    type Item = Text<'a>;
    type IntoIter = StringsIter<'a>;

    fn into_iter(self) -> StringsIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for StringsBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_strings().fmt(f)
    }
}
