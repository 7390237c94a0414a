use std::fmt;
use std::str::Utf8Error;

/// One of a message's fields. Its text is the key on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Field {
    /// `msg_type`
    MsgType,
    /// `source`
    Source,
    /// `dest`
    Dest,
    /// `transaction_uuid`
    TransactionUuid,
    /// `content_type`
    ContentType,
    /// `accept`
    Accept,
    /// `status`
    Status,
    /// `rdr`
    Rdr,
    /// `headers`
    Headers,
    /// `metadata`
    Metadata,
    /// `spans`, which v3 alone has
    Spans,
    /// `include_spans`, which v3 alone has
    IncludeSpans,
    /// `path`
    Path,
    /// `payload`
    Payload,
    /// `service_name`
    ServiceName,
    /// `url`
    Url,
    /// `partner_ids`
    PartnerIds,
    /// `session_id`
    SessionId,
    /// `qos`
    Qos,
}

impl Field {
    /// All of them, in the order in which both encoders write them (contract §1).
    pub const ALL: [Field; 19] = [
        Field::MsgType,
        Field::Source,
        Field::Dest,
        Field::TransactionUuid,
        Field::ContentType,
        Field::Accept,
        Field::Status,
        Field::Rdr,
        Field::Headers,
        Field::Metadata,
        Field::Spans,
        Field::IncludeSpans,
        Field::Path,
        Field::Payload,
        Field::ServiceName,
        Field::Url,
        Field::PartnerIds,
        Field::SessionId,
        Field::Qos,
    ];

    /// The key that names the field on the wire.
    pub const fn key(self) -> &'static str {
        match self {
            Field::MsgType => "msg_type",
            Field::Source => "source",
            Field::Dest => "dest",
            Field::TransactionUuid => "transaction_uuid",
            Field::ContentType => "content_type",
            Field::Accept => "accept",
            Field::Status => "status",
            Field::Rdr => "rdr",
            Field::Headers => "headers",
            Field::Metadata => "metadata",
            Field::Spans => "spans",
            Field::IncludeSpans => "include_spans",
            Field::Path => "path",
            Field::Payload => "payload",
            Field::ServiceName => "service_name",
            Field::Url => "url",
            Field::PartnerIds => "partner_ids",
            Field::SessionId => "session_id",
            Field::Qos => "qos",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

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
    /// A value of another type than the field has.
    #[error("expected {0}")]
    Expected(&'static str),
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

/// A top-level text that is not UTF-8. A device's message with one is rejected (contract §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} is not UTF-8: {source}")]
pub struct NotUtf8 {
    /// The field that holds it.
    pub field: Field,
    /// Where in the field it stops being UTF-8.
    pub source: Utf8Error,
}
