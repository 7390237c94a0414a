//! Lists of texts in a borrowed message: its headers, its partner ids, one of its spans.

use core::fmt;

use crate::Text;
use crate::msgpack::walk;

/// A list of texts: the validated bytes of a decoded message, which are read again on each use, or a borrowed slice.
///
/// ```
/// use wrp::Strings;
///
/// let ids = Strings::from(&["comcast", "sky"][..]);
/// assert_eq!(ids.len(), 2);
/// assert_eq!(ids.iter().next().unwrap(), "comcast");
/// assert!(ids.contains("sky"));
/// ```
#[derive(Clone, Copy)]
pub struct Strings<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    Wire(walk::Items<'a>),
    Strs(&'a [&'a str]),
}

impl<'a> Strings<'a> {
    pub(crate) const fn wire(items: walk::Items<'a>) -> Self {
        Strings(Repr::Wire(items))
    }

    /// The bytes of a decoded list, if an encoder may copy them as they are.
    pub(crate) fn verbatim(&self) -> Option<&'a [u8]> {
        match self.0 {
            Repr::Wire(items) if items.canonical => Some(items.bytes),
            _ => None,
        }
    }

    /// The number of texts.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Repr::Wire(items) => items.count,
            Repr::Strs(texts) => texts.len(),
        }
    }

    /// Whether there is no text.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text at `index`, from 0. Takes time proportional to `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Text<'a>> {
        self.iter().nth(index)
    }

    /// Whether one of the texts equals `text`.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.iter().any(|t| t == *text)
    }

    /// The texts in their order.
    #[must_use]
    pub fn iter(&self) -> StringsIter<'a> {
        StringsIter(match self.0 {
            Repr::Wire(items) => IterRepr::Wire(items.iter()),
            Repr::Strs(texts) => IterRepr::Strs(texts.iter()),
        })
    }
}

/// The empty list.
impl Default for Strings<'_> {
    fn default() -> Self {
        Strings(Repr::Strs(&[]))
    }
}

impl<'a> From<&'a [&'a str]> for Strings<'a> {
    fn from(texts: &'a [&'a str]) -> Self {
        Strings(Repr::Strs(texts))
    }
}

/// Equal if they hold the same texts in the same order.
impl PartialEq for Strings<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Strings<'_> {}

impl fmt::Debug for Strings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for Strings<'a> {
    type Item = Text<'a>;
    type IntoIter = StringsIter<'a>;

    fn into_iter(self) -> StringsIter<'a> {
        self.iter()
    }
}

/// The iterator that [`Strings::iter`] returns.
#[derive(Clone)]
pub struct StringsIter<'a>(IterRepr<'a>);

#[derive(Clone)]
enum IterRepr<'a> {
    Wire(walk::Texts<'a>),
    Strs(core::slice::Iter<'a, &'a str>),
}

impl<'a> Iterator for StringsIter<'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Text<'a>> {
        match &mut self.0 {
            IterRepr::Wire(texts) => texts.next(),
            IterRepr::Strs(texts) => texts.next().map(|text| Text::from(*text)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            IterRepr::Wire(texts) => texts.size_hint(),
            IterRepr::Strs(texts) => texts.size_hint(),
        }
    }
}

impl ExactSizeIterator for StringsIter<'_> {}
