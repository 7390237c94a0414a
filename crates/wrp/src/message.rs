use std::collections::BTreeMap;

use crate::{MessageRef, MessageType, Metadata, Qos, Spans, Strings, TextBuf};

/// A message that owns what it holds, for building one from scratch and for keeping one.
///
/// What matters for speed is done on its [`MessageRef`].
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
    /// What kind of message it is.
    pub msg_type: MessageType,
    /// Who sends it: a locator.
    pub source: TextBuf,
    /// Whom it is for: a locator.
    pub dest: TextBuf,
    /// What brings a request and its response together.
    pub transaction_uuid: TextBuf,
    /// The media type of the payload.
    pub content_type: TextBuf,
    /// The media type that the response should have.
    pub accept: TextBuf,
    /// The status of a response, in HTTP's numbers.
    pub status: Option<i64>,
    /// What became of the message that this one acknowledges: see [`Rdr`](crate::Rdr).
    pub rdr: Option<i64>,
    /// `Name: value` lines.
    pub headers: Option<Vec<TextBuf>>,
    /// Facts about the message or its sender.
    pub metadata: Option<BTreeMap<TextBuf, TextBuf>>,
    /// Times that the senders measured (v3 only).
    pub spans: Option<Vec<Vec<TextBuf>>>,
    /// Whether the response should have spans (v3 only).
    pub include_spans: Option<bool>,
    /// The object that a CRUD message is about.
    pub path: TextBuf,
    /// The body.
    pub payload: Option<Vec<u8>>,
    /// The service that registers.
    pub service_name: TextBuf,
    /// Where the service that registers is to be reached.
    pub url: TextBuf,
    /// The partners that the message is meant for or comes from.
    pub partner_ids: Option<Vec<TextBuf>>,
    /// The connection that the message came over.
    pub session_id: TextBuf,
    /// How much it matters.
    pub qos: Qos,
}

impl Message {
    /// The same message, borrowed.
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
