//! The names of a message's fields: on the wire (contract §1.1), and in the Go library, which configurations use (contract
//! §3.9, §8.8).
//!
//! What a field's value may be is the decoders' business (`msgpack` and `json`).

use core::fmt;

/// A field of a message. Its `Display` is the key on the wire.
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
    /// `spans` (v3 only)
    Spans,
    /// `include_spans` (v3 only)
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
    /// All fields, in the order in which both encoders write them (contract §1.1).
    pub const ALL: [Self; 19] = [
        Self::MsgType,
        Self::Source,
        Self::Dest,
        Self::TransactionUuid,
        Self::ContentType,
        Self::Accept,
        Self::Status,
        Self::Rdr,
        Self::Headers,
        Self::Metadata,
        Self::Spans,
        Self::IncludeSpans,
        Self::Path,
        Self::Payload,
        Self::ServiceName,
        Self::Url,
        Self::PartnerIds,
        Self::SessionId,
        Self::Qos,
    ];

    /// The field's key on the wire.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::MsgType => "msg_type",
            Self::Source => "source",
            Self::Dest => "dest",
            Self::TransactionUuid => "transaction_uuid",
            Self::ContentType => "content_type",
            Self::Accept => "accept",
            Self::Status => "status",
            Self::Rdr => "rdr",
            Self::Headers => "headers",
            Self::Metadata => "metadata",
            Self::Spans => "spans",
            Self::IncludeSpans => "include_spans",
            Self::Path => "path",
            Self::Payload => "payload",
            Self::ServiceName => "service_name",
            Self::Url => "url",
            Self::PartnerIds => "partner_ids",
            Self::SessionId => "session_id",
            Self::Qos => "qos",
        }
    }

    /// The field's name in the Go library, as configurations write it.
    #[must_use]
    pub const fn go_name(self) -> &'static str {
        match self {
            Self::MsgType => "Type",
            Self::Source => "Source",
            Self::Dest => "Destination",
            Self::TransactionUuid => "TransactionUUID",
            Self::ContentType => "ContentType",
            Self::Accept => "Accept",
            Self::Status => "Status",
            Self::Rdr => "RequestDeliveryResponse",
            Self::Headers => "Headers",
            Self::Metadata => "Metadata",
            Self::Spans => "Spans",
            Self::IncludeSpans => "IncludeSpans",
            Self::Path => "Path",
            Self::Payload => "Payload",
            Self::ServiceName => "ServiceName",
            Self::Url => "URL",
            Self::PartnerIds => "PartnerIDs",
            Self::SessionId => "SessionID",
            Self::Qos => "QualityOfService",
        }
    }

    /// The field with this name in the Go library, in exactly this case.
    #[must_use]
    pub fn from_go_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.go_name() == name)
    }

    #[inline]
    pub(crate) fn from_key(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"msg_type" => Self::MsgType,
            b"source" => Self::Source,
            b"dest" => Self::Dest,
            b"transaction_uuid" => Self::TransactionUuid,
            b"content_type" => Self::ContentType,
            b"accept" => Self::Accept,
            b"status" => Self::Status,
            b"rdr" => Self::Rdr,
            b"headers" => Self::Headers,
            b"metadata" => Self::Metadata,
            b"spans" => Self::Spans,
            b"include_spans" => Self::IncludeSpans,
            b"path" => Self::Path,
            b"payload" => Self::Payload,
            b"service_name" => Self::ServiceName,
            b"url" => Self::Url,
            b"partner_ids" => Self::PartnerIds,
            b"session_id" => Self::SessionId,
            b"qos" => Self::Qos,
            _ => return None,
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}
