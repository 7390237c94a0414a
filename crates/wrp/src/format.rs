use std::fmt;

/// The media type of payloads whose sender did not say what they are.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// The two wire formats of a message.
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
    /// msgpack, the format of devices and of Kafka records, and the default.
    #[default]
    Msgpack,
    /// JSON, which the REST API takes too.
    Json,
}

/// A content type that names neither format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid WRP content type: {0}")]
pub struct UnknownContentType(pub String);

impl Format {
    /// The format that a content type names (contract §1.9): one that contains `json` or `msgpack`; an empty one means
    /// msgpack.
    ///
    /// # Errors
    /// For any other content type, `*/*` and `application/wrp` included.
    pub fn from_content_type(content_type: &str) -> Result<Format, UnknownContentType> {
        if content_type.is_empty() {
            Ok(Format::default())
        } else if content_type.contains("json") {
            Ok(Format::Json)
        } else if content_type.contains("msgpack") {
            Ok(Format::Msgpack)
        } else {
            Err(UnknownContentType(content_type.to_owned()))
        }
    }

    /// The media type to send it with.
    pub const fn mime(self) -> &'static str {
        match self {
            Format::Msgpack => "application/msgpack",
            Format::Json => "application/json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mime())
    }
}
