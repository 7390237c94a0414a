//! The formats of a message, msgpack and JSON, and the content types that select them (contract §1.9).

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;

/// The media type of a payload whose sender named none.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// A wire format of messages.
///
/// ```
/// use wrp::Format;
///
/// assert_eq!(Format::from_content_type(""), Ok(Format::Msgpack));
/// assert_eq!(Format::from_content_type("application/json; charset=utf-8"), Ok(Format::Json));
/// assert!(Format::from_content_type("text/plain").is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// msgpack, the format of devices and of Kafka records.
    #[default]
    Msgpack,
    /// JSON, which the REST API accepts as well.
    Json,
}

/// A content type selects neither msgpack nor JSON. The text is the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid WRP content type: {0}")]
pub struct ContentTypeError(pub String);

impl Format {
    /// The format that a content type selects (contract §1.9): JSON if it contains `json`, msgpack if it contains
    /// `msgpack` or is empty.
    ///
    /// # Errors
    /// For any other content type, also `*/*` and `application/wrp`.
    pub fn from_content_type(content_type: &str) -> Result<Self, ContentTypeError> {
        if content_type.is_empty() {
            Ok(Self::default())
        } else if content_type.contains("json") {
            Ok(Self::Json)
        } else if content_type.contains("msgpack") {
            Ok(Self::Msgpack)
        } else {
            Err(ContentTypeError(content_type.to_owned()))
        }
    }

    /// The media type of messages in this format.
    #[must_use]
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Msgpack => "application/msgpack",
            Self::Json => "application/json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mime())
    }
}
