//! As much of DER (X.690) as the readers of keys and certificates need: values one after the other, by their tags.
//!
//! Deliberately absent: indefinite lengths, tags of several bytes, and lengths of more than three bytes.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;

/// The bytes are not the value that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed DER")]
pub struct DerError;

/// The rest of a value's content.
#[derive(Clone, Copy)]
pub(crate) struct Der<'a>(&'a [u8]);

/// The content of a sequence that is everything there is.
pub(crate) fn whole(der: &[u8]) -> Result<Der<'_>, DerError> {
    let mut reader = Der(der);
    let content = reader.take(SEQUENCE)?;
    if reader.is_empty() { Ok(Der(content)) } else { Err(DerError) }
}

impl<'a> Der<'a> {
    pub(crate) fn new(content: &'a [u8]) -> Self {
        Self(content)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The content of the next value, which must have this tag.
    pub(crate) fn take(&mut self, tag: u8) -> Result<&'a [u8], DerError> {
        let (found, content) = self.next()?;
        if found == tag { Ok(content) } else { Err(DerError) }
    }

    /// The content of the next value if it has this tag.
    pub(crate) fn take_optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// The tag and the content of the next value.
    pub(crate) fn next(&mut self) -> Result<(u8, &'a [u8]), DerError> {
        self.split_next().ok_or(DerError)
    }

    fn split_next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x83 => {
                let (digits, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = after;
                digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit))
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}
