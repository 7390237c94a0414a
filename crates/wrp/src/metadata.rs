//! The metadata of a borrowed message.
//!
//! The gateway adds a few entries to each message. So that it need not copy the others, [`Metadata`] has two layers: the
//! entries that the message came with, which do not change, and an overlay of the entries set since.

use alloc::vec::Vec;
use core::fmt;

use crate::Text;
use crate::msgpack::walk;
use crate::overlay::{self, Overlay, OverlayIter};

/// The `metadata` of a message: a map of texts.
///
/// The lower layer holds the entries that the message came with: the validated bytes of a decoded message, or the
/// entries of a [`MetadataBuf`](crate::MetadataBuf). The upper layer holds the entries that were [set](Metadata::set) since; they hide those with the same key below.
///
/// ```
/// use wrp::Metadata;
///
/// let mut metadata = Metadata::default();
/// metadata.set("/account-id", "4711");
/// metadata.set("/account-id", "4712");
/// assert_eq!(metadata.get("/account-id").unwrap(), "4712");
/// assert_eq!(metadata.len(), 1);
/// ```
#[derive(Clone, Default)]
pub struct Metadata<'a> {
    base: Base<'a>,
    /// The number of entries in `base` that the overlay hides.
    hidden: usize,
    overlay: Overlay<'a>,
}

#[derive(Clone, Default)]
enum Base<'a> {
    #[default]
    Empty,
    Wire(walk::Entries<'a>),
}

impl<'a> Metadata<'a> {
    pub(crate) fn wire(entries: walk::Entries<'a>) -> Self {
        Metadata { base: Base::Wire(entries), ..Metadata::default() }
    }

    /// The bytes of the lower layer, if an encoder may copy them as they are; it then adds those of [`Metadata::overlay`].
    pub(crate) fn verbatim(&self) -> Option<&'a [u8]> {
        match &self.base {
            Base::Empty => Some(&[]),
            Base::Wire(entries) if self.hidden == 0 => entries.verbatim(),
            _ => None,
        }
    }

    pub(crate) fn overlay(&self) -> OverlayIter<'_, 'a> {
        self.overlay.iter()
    }

    /// Adds an entry, or replaces the one with this key. The first four entries set do not allocate.
    pub fn set(&mut self, key: &'a str, value: impl Into<Text<'a>>) {
        let key = Text::from(key);
        if self.overlay.set(key, value.into()) && self.base.get(key).is_some() {
            self.hidden += 1;
        }
    }

    /// The value of the entry with this key. Takes time proportional to the number of entries.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Text<'a>> {
        let key = Text::from(key);
        self.overlay.get(key).or_else(|| self.base.get(key))
    }

    /// The number of different keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.base.len() - self.hidden + self.overlay.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries, each key once: first those of the lower layer, then those that were set.
    #[must_use]
    pub fn iter(&self) -> MetadataIter<'_, 'a> {
        let base = match &self.base {
            Base::Empty => IterRepr::Empty,
            Base::Wire(entries) => IterRepr::Wire(entries.iter()),
        };
        let hiding = (self.hidden > 0).then_some(&self.overlay);
        MetadataIter { base, hiding, overlay: self.overlay.iter(), left: self.len() }
    }

    /// The keys of the lower layer.
    pub(crate) fn base_keys(&self) -> walk::KeyFilter {
        match &self.base {
            Base::Empty => walk::KeyFilter::default(),
            Base::Wire(entries) => entries.keys,
        }
    }
}

impl<'a> Base<'a> {
    fn get(&self, key: Text<'_>) -> Option<Text<'a>> {
        match self {
            Base::Empty => None,
            Base::Wire(entries) => entries.get(key),
        }
    }

    fn len(&self) -> usize {
        match self {
            Base::Empty => 0,
            Base::Wire(entries) => entries.len(),
        }
    }
}

/// Equal if they hold the same entries, in any order.
impl PartialEq for Metadata<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && {
            let (mut ours, mut theirs): (Vec<_>, Vec<_>) = (self.iter().collect(), other.iter().collect());
            ours.sort_unstable();
            theirs.sort_unstable();
            ours == theirs
        }
    }
}

impl Eq for Metadata<'_> {}

impl fmt::Debug for Metadata<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The iterator that [`Metadata::iter`] returns.
#[derive(Clone)]
pub struct MetadataIter<'m, 'a> {
    base: IterRepr<'m, 'a>,
    hiding: Option<&'m Overlay<'a>>,
    overlay: OverlayIter<'m, 'a>,
    left: usize,
}

impl<'m, 'a> MetadataIter<'m, 'a> {
    /// The entries in these bytes, which an encoder wrote.
    pub(crate) fn of_entries(count: usize, bytes: &'a [u8]) -> Self {
        let entries = walk::EntriesIter::of(count, bytes);
        MetadataIter { base: IterRepr::Wire(entries), hiding: None, overlay: overlay::none(), left: count }
    }
}

#[derive(Clone)]
enum IterRepr<'m, 'a> {
    Empty,
    Wire(walk::EntriesIter<'m, 'a>),
}

impl<'a> Iterator for MetadataIter<'_, 'a> {
    type Item = (Text<'a>, Text<'a>);

    fn next(&mut self) -> Option<(Text<'a>, Text<'a>)> {
        loop {
            let below = match &mut self.base {
                IterRepr::Empty => None,
                IterRepr::Wire(entries) => entries.next(),
            };
            let entry = match below {
                Some(entry) if self.hiding.is_some_and(|set| set.get(entry.0).is_some()) => continue,
                Some(entry) => entry,
                None => *self.overlay.next()?,
            };
            self.left = self.left.saturating_sub(1);
            return Some(entry);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for MetadataIter<'_, '_> {}
