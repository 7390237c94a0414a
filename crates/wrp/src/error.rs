//! The errors of decoding a message, shared by msgpack and JSON.
//!
//! The errors of names (device ids, locators) and content types stand beside their parsers.

use core::fmt;
use core::str::Utf8Error;

use crate::Field;

/// Why bytes do not decode to a WRP message, and where the fault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong with the bytes.
    pub problem: WireError,
    /// The field whose value is wrong; `None` if the fault is in the message's own frame or under an unknown key.
    pub field: Option<Field>,
    /// The position of the fault, in bytes from the start of the input.
    pub offset: usize,
}

/// What can be wrong with the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The input ends too early, or a length prefix claims more than the input can hold.
    #[error("the message is cut short")]
    Truncated,
    /// The message is not a map (msgpack) or an object (JSON).
    #[error("expected a map")]
    ExpectedMessage,
    /// A value of another type stands where a text belongs.
    #[error("expected text")]
    ExpectedText,
    /// A value of another type stands where an integer belongs.
    #[error("expected an integer")]
    ExpectedInteger,
    /// A value of another type stands where a bool belongs.
    #[error("expected a bool")]
    ExpectedBool,
    /// The payload is neither binary nor, where the version accepts that, text.
    #[error("expected a payload")]
    ExpectedPayload,
    /// Headers, partner ids or spans are not a list.
    #[error("expected a list")]
    ExpectedList,
    /// The metadata is not a map of texts.
    #[error("expected a map of texts")]
    ExpectedMetadata,
    /// The field cannot hold a number of this size.
    #[error("the number does not fit into 64 bits with a sign")]
    OutOfRange,
    /// The byte 0xc1, which the msgpack specification reserves.
    #[error("0xc1 is not a msgpack type")]
    Reserved,
    /// The value under an unknown key is nested more than 1024 deep (contract §1.6).
    #[error("the value is nested too deeply")]
    TooDeep,
    /// The input is longer than 4 GiB (contract §1.6).
    #[error("the message is larger than 4 GiB")]
    TooLarge,
    /// The maps and lists hold more entries than [`Limits::entries`](crate::Limits::entries).
    #[error("the message has too many entries")]
    TooManyEntries,
    /// A key of the metadata is longer than [`Limits::key_bytes`](crate::Limits::key_bytes).
    #[error("a key is too long")]
    KeyTooLong,
    /// An id is longer than [`Limits::id_bytes`](crate::Limits::id_bytes).
    #[error("an id is too long")]
    IdTooLong,
    /// The message without its payload is longer than [`Limits::field_bytes`](crate::Limits::field_bytes).
    #[error("the message without its payload is too long")]
    FieldsTooLong,
    /// The text breaks JSON's grammar.
    #[error("the text is not JSON")]
    Syntax,
    /// The payload is not padded standard base64 (contract §1.8).
    #[error("the payload is not base64")]
    Base64,
}

impl WireError {
    /// Whether the bytes may be a message, but one that is over its [`Limits`](crate::Limits).
    #[must_use]
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::TooManyEntries | Self::KeyTooLong | Self::IdTooLong | Self::FieldsTooLong)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(f, "not a WRP message: {field}: {} (byte {})", self.problem, self.offset),
            None => write!(f, "not a WRP message: {} (byte {})", self.problem, self.offset),
        }
    }
}

impl core::error::Error for DecodeError {}

/// A top-level text field is not UTF-8. The gateway rejects such messages from devices (contract §1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} is not UTF-8: {source}")]
pub struct NotUtf8Error {
    /// The first such field, in the order of contract §1.1.
    pub field: Field,
    /// The position of the first wrong byte in that field.
    pub source: Utf8Error,
}
