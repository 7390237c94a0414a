//! A message that owns its fields.
//!
//! Use it to build a message or to keep one. Codecs work on [`MessageRef`], which [`Message::as_ref`] makes.
//! [`Message::event`] and [`Message::request`] begin one, the methods `with_…` fill it in.

use alloc::vec::Vec;

use crate::{
    DecodeError, MessageRef, MessageType, Metadata, MetadataBuf, Qos, Spans, StringsBuf, Text, TextBuf,
};

/// A message that owns its fields. They mean the same as those of [`MessageRef`].
///
/// ```
/// use wrp::{Message, QosLevel};
///
/// let event = Message::event("mac:112233445566/iot", "event:iot/temperature")
///     .with_payload("application/json", br#"{"celsius":21}"#)
///     .with_metadata("/hw-model", "TG1682")
///     .with_qos(QosLevel::Medium);
/// assert_eq!(Message::decode(&event.encode())?, event);
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
    pub headers: Option<StringsBuf>,
    /// Facts about the message or its sender.
    pub metadata: Option<MetadataBuf>,
    /// Times that the senders measured (v3 only).
    pub spans: Option<Vec<StringsBuf>>,
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
    pub partner_ids: Option<StringsBuf>,
    /// The id of the connection that the message came over.
    pub session_id: TextBuf,
    /// The importance of the message.
    pub qos: Qos,
}

impl Message {
    /// An event of a device or service, for those that listen to `dest`, such as `event:iot`.
    pub fn event(source: impl Into<TextBuf>, dest: impl Into<TextBuf>) -> Self {
        Self {
            msg_type: MessageType::SIMPLE_EVENT,
            source: source.into(),
            dest: dest.into(),
            ..Self::default()
        }
    }

    /// A request to a device. Its response has the same `transaction_uuid`, which should therefore be unique.
    ///
    /// ```
    /// use wrp::Message;
    ///
    /// let request = Message::request("dns:tr1d1um.example.com", "mac:112233445566/config", "6b3b1c4e");
    /// let response = request.response().with_status(200);
    /// assert_eq!((response.dest, response.transaction_uuid), (request.source, request.transaction_uuid));
    /// ```
    pub fn request(
        source: impl Into<TextBuf>,
        dest: impl Into<TextBuf>,
        transaction_uuid: impl Into<TextBuf>,
    ) -> Self {
        Self {
            msg_type: MessageType::SIMPLE_REQUEST_RESPONSE,
            source: source.into(),
            dest: dest.into(),
            transaction_uuid: transaction_uuid.into(),
            ..Self::default()
        }
    }

    /// An empty response to this message: from its receiver to its sender, with its type, transaction, path and importance.
    #[must_use]
    pub fn response(&self) -> Self {
        Self {
            msg_type: self.msg_type,
            source: self.dest.clone(),
            dest: self.source.clone(),
            transaction_uuid: self.transaction_uuid.clone(),
            path: self.path.clone(),
            qos: self.qos,
            ..Self::default()
        }
    }

    /// Decodes a message from v3 msgpack, as devices and event receivers exchange it.
    ///
    /// # Errors
    /// As for [`MessageRef::decode_v3`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        MessageRef::decode_v3(bytes).map(|message| message.to_owned())
    }

    /// The message as v3 msgpack. [`MessageRef::encode_v3`] writes into a buffer that exists.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.as_ref().encode_v3(&mut bytes);
        bytes
    }

    /// Sets the body and its media type.
    #[must_use]
    pub fn with_payload(mut self, content_type: impl Into<TextBuf>, payload: impl Into<Vec<u8>>) -> Self {
        self.content_type = content_type.into();
        self.payload = Some(payload.into());
        self
    }

    /// Adds a metadata entry, or replaces the one with this key.
    #[must_use]
    pub fn with_metadata(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.metadata.get_or_insert_default().insert(key, value);
        self
    }

    /// Sets the partners that the message is for or from.
    #[must_use]
    pub fn with_partner_ids(mut self, ids: impl Into<StringsBuf>) -> Self {
        self.partner_ids = Some(ids.into());
        self
    }

    /// Sets the headers, `Name: value` lines.
    #[must_use]
    pub fn with_headers(mut self, headers: impl Into<StringsBuf>) -> Self {
        self.headers = Some(headers.into());
        self
    }

    /// Sets the object that a CRUD message acts on.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<TextBuf>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the status of a response, an HTTP status code.
    #[must_use]
    pub const fn with_status(mut self, status: i64) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets the importance: a number, or a level.
    #[must_use]
    pub fn with_qos(mut self, qos: impl Into<Qos>) -> Self {
        self.qos = qos.into();
        self
    }

    /// The value of the metadata entry with this key.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<Text<'_>> {
        self.metadata.as_ref()?.get(key)
    }

    /// Borrows all fields. Does not allocate.
    #[inline]
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
            headers: self.headers.as_ref().map(StringsBuf::as_strings),
            metadata: self.metadata.as_ref().map(MetadataBuf::as_metadata),
            spans: self.spans.as_deref().map(Spans::from),
            include_spans: self.include_spans,
            path: self.path.as_text(),
            payload: self.payload.as_deref(),
            service_name: self.service_name.as_text(),
            url: self.url.as_text(),
            partner_ids: self.partner_ids.as_ref().map(StringsBuf::as_strings),
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
            headers: self.headers.map(|list| list.to_buf()),
            metadata: self.metadata.as_ref().map(Metadata::to_buf),
            spans: self.spans.map(|spans| spans.to_vec()),
            include_spans: self.include_spans,
            path: self.path.into(),
            payload: self.payload.map(Into::into),
            service_name: self.service_name.into(),
            url: self.url.into(),
            partner_ids: self.partner_ids.map(|list| list.to_buf()),
            session_id: self.session_id.into(),
            qos: self.qos,
        }
    }
}
