use std::fmt;
use std::str::Utf8Error;

use crate::Field;

/// Bytes that are not a WRP message, and where they stop being one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong.
    pub problem: Problem,
    /// The field in whose value it is; none for the message's own frame and for unknown keys.
    pub field: Option<Field>,
    /// How many bytes into the input it was noticed.
    pub offset: usize,
}

/// What can be wrong with the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The bytes end, or the input cannot hold as much as a length prefix claims.
    #[error("the message is cut short")]
    Truncated,
    /// The whole is no map, or no JSON object.
    #[error("expected a map")]
    ExpectedMessage,
    /// A text is something else.
    #[error("expected text")]
    ExpectedText,
    /// An integer is something else.
    #[error("expected an integer")]
    ExpectedInteger,
    /// A bool is something else.
    #[error("expected a bool")]
    ExpectedBool,
    /// A payload is neither binary nor, where that will do, text.
    #[error("expected a payload")]
    ExpectedPayload,
    /// Headers, partner ids or spans are something else.
    #[error("expected a list")]
    ExpectedList,
    /// Metadata is something else.
    #[error("expected a map of texts")]
    ExpectedMetadata,
    /// A number that the field cannot hold.
    #[error("the number does not fit into 64 bits with a sign")]
    OutOfRange,
    /// The byte that msgpack never uses.
    #[error("0xc1 is not a msgpack type")]
    Reserved,
    /// Values nested deeper than any message needs.
    #[error("the value is nested too deeply")]
    TooDeep,
    /// More bytes than a message can have.
    #[error("the message is larger than 4 GiB")]
    TooLarge,
    /// Text that is not JSON.
    #[error("the text is not JSON")]
    Syntax,
    /// A payload that is not padded standard base64.
    #[error("the payload is not base64")]
    Base64,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(f, "not a WRP message: {field}: {} (byte {})", self.problem, self.offset),
            None => write!(f, "not a WRP message: {} (byte {})", self.problem, self.offset),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A top-level text that is not UTF-8. A device's message with one is rejected (contract §1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} is not UTF-8: {source}")]
pub struct NotUtf8 {
    /// The field that holds it.
    pub field: Field,
    /// Where in the field it stops being UTF-8.
    pub source: Utf8Error,
}
