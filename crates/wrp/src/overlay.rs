//! The upper layer of [`Metadata`](crate::Metadata): the entries that were set on a message since it was decoded.

use alloc::vec::Vec;

use crate::Text;

/// The number of entries that are stored without an allocation. The gateway sets three on an event from a device.
const INLINE: usize = 4;

type Entry<'a> = (Text<'a>, Text<'a>);

/// A short list of entries with different keys.
///
/// It is not a `SmallVec` because that would make messages invariant in their lifetime: two messages with different
/// lifetimes could not be compared.
#[derive(Clone, Default)]
pub(crate) struct Overlay<'a> {
    inline: [Entry<'a>; INLINE],
    used: usize,
    /// The entries after the first [`INLINE`].
    more: Vec<Entry<'a>>,
}

/// The entries of an [`Overlay`], in the order in which they were first set.
pub(crate) type OverlayIter<'m, 'a> =
    core::iter::Chain<core::slice::Iter<'m, Entry<'a>>, core::slice::Iter<'m, Entry<'a>>>;

/// The entries of an empty overlay.
pub(crate) fn none<'m, 'a>() -> OverlayIter<'m, 'a> {
    [].iter().chain(&[])
}

impl<'a> Overlay<'a> {
    /// Adds or replaces an entry, and returns whether its key is new.
    pub(crate) fn set(&mut self, key: Text<'a>, value: Text<'a>) -> bool {
        let mut entries = self.inline[..self.used].iter_mut().chain(&mut self.more);
        if let Some(entry) = entries.find(|entry| entry.0 == key) {
            entry.1 = value;
            return false;
        }
        match self.inline.get_mut(self.used) {
            Some(free) => {
                *free = (key, value);
                self.used += 1;
            }
            None => self.more.push((key, value)),
        }
        true
    }

    pub(crate) fn get(&self, key: Text<'_>) -> Option<Text<'a>> {
        self.iter().find(|entry| entry.0 == key).map(|entry| entry.1)
    }

    pub(crate) fn len(&self) -> usize {
        self.used + self.more.len()
    }

    pub(crate) fn iter(&self) -> OverlayIter<'_, 'a> {
        self.inline[..self.used].iter().chain(&self.more)
    }
}
