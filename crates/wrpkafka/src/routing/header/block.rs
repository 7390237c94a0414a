//! Rendered headers in one allocation.

use std::io::Write as _;

use wrp::Text;

/// The rendered headers of a record in one allocation, which can be reused.
///
/// Names and values follow one another, each after its length (4 bytes, native order).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderBlock {
    bytes: Vec<u8>,
    count: usize,
}

/// The headers of a block, or of a record that keeps them elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Headers<'a> {
    bytes: &'a [u8],
    count: usize,
}

/// The size of the length before each name and value.
const LENGTH: usize = size_of::<u32>();

impl HeaderBlock {
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        self.push_joined(name, "", value);
    }

    /// Appends a header whose name is in two parts.
    pub(super) fn push_joined(&mut self, name: &str, more: &str, value: &[u8]) {
        self.bytes.reserve(2 * LENGTH + name.len() + more.len() + value.len());
        self.push_length(name.len() + more.len());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(more.as_bytes());
        self.push_length(value.len());
        self.bytes.extend_from_slice(value);
        self.count += 1;
    }

    fn push_length(&mut self, length: usize) {
        // A message is smaller than 4 GiB, and so is each of its parts.
        self.bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    }

    pub(super) fn push_text(&mut self, name: &str, value: Text<'_>) {
        if !value.is_empty() {
            self.push(name, value.as_bytes());
        }
    }

    pub(crate) fn push_display(&mut self, name: &str, value: impl std::fmt::Display) {
        // The longest is `MessageType(-9223372036854775808)`.
        let mut text = [0; 48];
        let mut rest = &mut text[..];
        let fits = write!(rest, "{value}").is_ok();
        let left = rest.len();
        if fits {
            self.push(name, &text[..text.len() - left]);
        }
    }

    /// Appends other headers.
    pub(crate) fn append(&mut self, other: Headers<'_>) {
        self.bytes.extend_from_slice(other.bytes);
        self.count += other.count;
    }

    pub(crate) fn as_ref(&self) -> Headers<'_> {
        Headers { bytes: &self.bytes, count: self.count }
    }

    /// Removes all headers and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// The number of headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no headers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes of all names and values.
    #[must_use]
    pub fn size(&self) -> usize {
        self.as_ref().size()
    }

    /// The bytes that the buffer holds without growing.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.as_ref().iter()
    }
}

impl<'a> Headers<'a> {
    /// Headers whose bytes are a block's.
    pub(crate) fn new(bytes: &'a [u8], count: usize) -> Self {
        Self { bytes, count }
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn len(self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The bytes of all names and values.
    pub(crate) fn size(self) -> usize {
        self.bytes.len() - 2 * LENGTH * self.count
    }

    /// All names and values, in order.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let name = take(&mut rest)?;
            let value = take(&mut rest)?;
            Some((str::from_utf8(name).unwrap_or_default(), value))
        })
    }

    /// A block of its own, to which more can be added.
    pub(crate) fn to_block(self) -> HeaderBlock {
        HeaderBlock { bytes: self.bytes.to_vec(), count: self.count }
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<LENGTH>()?;
    let (part, tail) = tail.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
    *rest = tail;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_counts_names_and_values_only() {
        let mut block = HeaderBlock::default();
        block.push("name", b"value");
        block.push("empty", b"");
        assert_eq!((block.len(), block.size()), (2, 14));
        assert_eq!(block.iter().collect::<Vec<_>>(), [("name", &b"value"[..]), ("empty", b"")]);
    }
}
