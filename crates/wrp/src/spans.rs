//! The `spans` of a borrowed v3 message: times that its senders measured. v5 does not have them (contract §1.1).

use alloc::vec::Vec;
use core::fmt;

use crate::msgpack::walk;
use crate::{Strings, StringsBuf};

/// A list of spans, each a list of texts: the validated bytes of a decoded message, or a borrowed slice.
///
/// ```
/// use wrp::{Spans, StringsBuf};
///
/// let spans = [StringsBuf::from(["http", "12ms"])];
/// let spans = Spans::from(&spans[..]);
/// assert_eq!(spans.len(), 1);
/// assert_eq!(spans.iter().next().unwrap().len(), 2);
/// ```
#[derive(Clone, Copy)]
pub struct Spans<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    Wire(walk::Lists<'a>),
    Bufs(&'a [StringsBuf]),
}

impl<'a> Spans<'a> {
    pub(crate) const fn wire(lists: walk::Lists<'a>) -> Self {
        Spans(Repr::Wire(lists))
    }

    /// The number of spans.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Repr::Wire(lists) => lists.count,
            Repr::Bufs(lists) => lists.len(),
        }
    }

    /// Whether there is no span.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The spans in their order.
    #[must_use]
    pub fn iter(&self) -> SpansIter<'a> {
        SpansIter(match self.0 {
            Repr::Wire(lists) => IterRepr::Wire(lists.iter()),
            Repr::Bufs(lists) => IterRepr::Bufs(lists.iter()),
        })
    }

    /// Copies all spans.
    #[must_use]
    pub fn to_vec(&self) -> Vec<StringsBuf> {
        self.iter().map(|span| span.to_buf()).collect()
    }
}

/// No spans.
impl Default for Spans<'_> {
    fn default() -> Self {
        Spans(Repr::Bufs(&[]))
    }
}

impl<'a> From<&'a [StringsBuf]> for Spans<'a> {
    fn from(spans: &'a [StringsBuf]) -> Self {
        Spans(Repr::Bufs(spans))
    }
}

/// Equal if they hold equal spans in the same order.
impl PartialEq for Spans<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Spans<'_> {}

impl fmt::Debug for Spans<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The iterator that [`Spans::iter`] returns.
#[derive(Clone)]
pub struct SpansIter<'a>(IterRepr<'a>);

#[derive(Clone)]
enum IterRepr<'a> {
    Wire(walk::ListsIter<'a>),
    Bufs(core::slice::Iter<'a, StringsBuf>),
}

impl<'a> Iterator for SpansIter<'a> {
    type Item = Strings<'a>;

    fn next(&mut self) -> Option<Strings<'a>> {
        match &mut self.0 {
            IterRepr::Wire(lists) => lists.next().map(Strings::wire),
            IterRepr::Bufs(lists) => lists.next().map(StringsBuf::as_strings),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            IterRepr::Wire(lists) => lists.size_hint(),
            IterRepr::Bufs(lists) => lists.size_hint(),
        }
    }
}

impl ExactSizeIterator for SpansIter<'_> {}
