//! The names of a message's fields: on the wire (contract §1.1), and in the Go library, which configurations use (contract
//! §3.9, §8.8).
//!
//! What a field's value may be is the decoders' business ([`msgpack`](crate::msgpack), [`json`](crate::json)).

use std::fmt;

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

    /// The field's key on the wire.
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

    /// The field's name in the Go library, as configurations write it.
    pub const fn go_name(self) -> &'static str {
        match self {
            Field::MsgType => "Type",
            Field::Source => "Source",
            Field::Dest => "Destination",
            Field::TransactionUuid => "TransactionUUID",
            Field::ContentType => "ContentType",
            Field::Accept => "Accept",
            Field::Status => "Status",
            Field::Rdr => "RequestDeliveryResponse",
            Field::Headers => "Headers",
            Field::Metadata => "Metadata",
            Field::Spans => "Spans",
            Field::IncludeSpans => "IncludeSpans",
            Field::Path => "Path",
            Field::Payload => "Payload",
            Field::ServiceName => "ServiceName",
            Field::Url => "URL",
            Field::PartnerIds => "PartnerIDs",
            Field::SessionId => "SessionID",
            Field::Qos => "QualityOfService",
        }
    }

    /// The field with this name in the Go library, in exactly this case.
    pub fn from_go_name(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.go_name() == name)
    }

    #[inline]
    pub(crate) fn from_key(key: &[u8]) -> Option<Field> {
        Some(match key {
            b"msg_type" => Field::MsgType,
            b"source" => Field::Source,
            b"dest" => Field::Dest,
            b"transaction_uuid" => Field::TransactionUuid,
            b"content_type" => Field::ContentType,
            b"accept" => Field::Accept,
            b"status" => Field::Status,
            b"rdr" => Field::Rdr,
            b"headers" => Field::Headers,
            b"metadata" => Field::Metadata,
            b"spans" => Field::Spans,
            b"include_spans" => Field::IncludeSpans,
            b"path" => Field::Path,
            b"payload" => Field::Payload,
            b"service_name" => Field::ServiceName,
            b"url" => Field::Url,
            b"partner_ids" => Field::PartnerIds,
            b"session_id" => Field::SessionId,
            b"qos" => Field::Qos,
            _ => return None,
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}
