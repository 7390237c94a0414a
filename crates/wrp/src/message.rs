//! A message that owns its fields.
//!
//! Use it to build a message or to keep one. Codecs work on [`MessageRef`], which [`Message::as_ref`] makes.

use std::collections::BTreeMap;

use crate::{MessageRef, MessageType, Metadata, Qos, Spans, Strings, TextBuf};

/// A message that owns its fields. They mean the same as those of [`MessageRef`].
///
/// ```
/// use wrp::{Message, MessageType};
///
/// let event = Message {
///     msg_type: MessageType::SIMPLE_EVENT,
///     source: "dns:talaria.example.com".into(),
///     dest: "event:device-status/mac:112233445566/online".into(),
///     ..Message::default()
/// };
/// let mut frame = Vec::new();
/// event.as_ref().encode_v3(&mut frame);
/// assert_eq!(wrp::MessageRef::decode_v3(&frame)?.to_owned(), event);
/// # Ok::<(), wrp::DecodeError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The type of the message.
    pub msg_type: MessageType,
    /// The locator of the sender.
    pub source: TextBuf,
    /// The locator of the receiver.
    pub dest: TextBuf,
    /// The id that a request and its response share.
    pub transaction_uuid: TextBuf,
    /// The media type of the payload.
    pub content_type: TextBuf,
    /// The media type that the response should have.
    pub accept: TextBuf,
    /// The status of a response, an HTTP status code.
    pub status: Option<i64>,
    /// The result of delivering the message that this one acknowledges: see [`Rdr`](crate::Rdr).
    pub rdr: Option<i64>,
    /// `Name: value` lines.
    pub headers: Option<Vec<TextBuf>>,
    /// Facts about the message or its sender.
    pub metadata: Option<BTreeMap<TextBuf, TextBuf>>,
    /// Times that the senders measured (v3 only).
    pub spans: Option<Vec<Vec<TextBuf>>>,
    /// Whether the response should have spans (v3 only).
    pub include_spans: Option<bool>,
    /// The object that a CRUD message acts on.
    pub path: TextBuf,
    /// The body.
    pub payload: Option<Vec<u8>>,
    /// The name of a service that registers.
    pub service_name: TextBuf,
    /// The address of a service that registers.
    pub url: TextBuf,
    /// The partners that the message is for or from.
    pub partner_ids: Option<Vec<TextBuf>>,
    /// The id of the connection that the message came over.
    pub session_id: TextBuf,
    /// The importance of the message.
    pub qos: Qos,
}

impl Message {
    /// Borrows all fields. Does not allocate.
    pub fn as_ref(&self) -> MessageRef<'_> {
        MessageRef {
            msg_type: self.msg_type,
            source: self.source.as_text(),
            dest: self.dest.as_text(),
            transaction_uuid: self.transaction_uuid.as_text(),
            content_type: self.content_type.as_text(),
            accept: self.accept.as_text(),
            status: self.status,
            rdr: self.rdr,
            headers: self.headers.as_deref().map(Strings::from),
            metadata: self.metadata.as_ref().map(Metadata::from),
            spans: self.spans.as_deref().map(Spans::from),
            include_spans: self.include_spans,
            path: self.path.as_text(),
            payload: self.payload.as_deref(),
            service_name: self.service_name.as_text(),
            url: self.url.as_text(),
            partner_ids: self.partner_ids.as_deref().map(Strings::from),
            session_id: self.session_id.as_text(),
            qos: self.qos,
        }
    }
}

impl MessageRef<'_> {
    /// Copies all fields.
    pub fn to_owned(&self) -> Message {
        Message {
            msg_type: self.msg_type,
            source: self.source.into(),
            dest: self.dest.into(),
            transaction_uuid: self.transaction_uuid.into(),
            content_type: self.content_type.into(),
            accept: self.accept.into(),
            status: self.status,
            rdr: self.rdr,
            headers: self.headers.map(|list| list.to_vec()),
            metadata: self.metadata.as_ref().map(Metadata::to_map),
            spans: self.spans.map(|spans| spans.to_vec()),
            include_spans: self.include_spans,
            path: self.path.into(),
            payload: self.payload.map(Into::into),
            service_name: self.service_name.into(),
            url: self.url.into(),
            partner_ids: self.partner_ids.map(|list| list.to_vec()),
            session_id: self.session_id.into(),
            qos: self.qos,
        }
    }
}
