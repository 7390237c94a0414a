use crate::{
    DecodeError, Field, Message, MessageType, Metadata, NotUtf8, Qos, Spans, Strings, Text, msgpack,
};

/// A message that borrows: decoding copies nothing, changing a field changes no bytes, encoding writes once.
///
/// An empty text is an absent one. The fields are in the order of contract §1.1, which is the encoders'.
///
/// ```
/// use wrp::{MessageRef, MessageType};
///
/// let frame = b"\x82\xa8msg_type\x04\xa4dest\xa9event:iot";
/// let mut event = MessageRef::decode_v3(frame)?;
/// event.check_utf8()?;
/// event.set_metadata("/xmidt-timestamp", "2026-11-24T04:00:00Z");
/// event.session_id = "2ZzF0Zb8h5Q1".into();
///
/// let mut out = Vec::new();
/// event.encode_v3(&mut out);
/// let again = MessageRef::decode_v3(&out)?;
/// assert_eq!(again.msg_type, MessageType::SIMPLE_EVENT);
/// assert_eq!(again, event);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageRef<'a> {
    /// What kind of message it is.
    pub msg_type: MessageType,
    /// Who sends it: a locator.
    pub source: Text<'a>,
    /// Whom it is for: a locator.
    pub dest: Text<'a>,
    /// What brings a request and its response together.
    pub transaction_uuid: Text<'a>,
    /// The media type of the payload.
    pub content_type: Text<'a>,
    /// The media type that the response should have.
    pub accept: Text<'a>,
    /// The status of a response, in HTTP's numbers.
    pub status: Option<i64>,
    /// What became of the message that this one acknowledges: see [`Rdr`](crate::Rdr).
    pub rdr: Option<i64>,
    /// `Name: value` lines.
    pub headers: Option<Strings<'a>>,
    /// Facts about the message or its sender.
    pub metadata: Option<Metadata<'a>>,
    /// Times that the senders measured (v3 only).
    pub spans: Option<Spans<'a>>,
    /// Whether the response should have spans (v3 only).
    pub include_spans: Option<bool>,
    /// The object that a CRUD message is about.
    pub path: Text<'a>,
    /// The body.
    pub payload: Option<&'a [u8]>,
    /// The service that registers.
    pub service_name: Text<'a>,
    /// Where the service that registers is to be reached.
    pub url: Text<'a>,
    /// The partners that the message is meant for or comes from.
    pub partner_ids: Option<Strings<'a>>,
    /// The connection that the message came over.
    pub session_id: Text<'a>,
    /// How much it matters.
    pub qos: Qos,
}

impl<'a> MessageRef<'a> {
    /// Decodes a v3 message as leniently as its senders need (contract §1.6). What follows the message is ignored.
    ///
    /// Nothing is allocated, except when a key occurs twice among the metadata.
    ///
    /// # Errors
    /// If the bytes are not a message. No length prefix is trusted, and nesting has a limit.
    pub fn decode_v3(bytes: &'a [u8]) -> Result<MessageRef<'a>, DecodeError> {
        msgpack::decode_v3(bytes)
    }

    /// Decodes a v5 message, strictly, and returns it with the bytes that follow it.
    ///
    /// # Errors
    /// As for [`MessageRef::decode_v3`].
    pub fn decode_v5(bytes: &'a [u8]) -> Result<(MessageRef<'a>, &'a [u8]), DecodeError> {
        msgpack::decode_v5(bytes)
    }

    /// Appends the message as v3 msgpack.
    pub fn encode_v3(&self, out: &mut Vec<u8>) {
        msgpack::encode_v3(self, out);
    }

    /// Appends the message as v5 msgpack, without `spans` and `include_spans`, which v5 does not have.
    pub fn encode_v5(&self, out: &mut Vec<u8>) {
        msgpack::encode_v5(self, out);
    }

    /// Checks that all top-level texts are UTF-8. Headers, metadata, spans and partner ids are not checked (contract §1.7).
    ///
    /// # Errors
    /// Names the first field that is not.
    pub fn check_utf8(&self) -> Result<(), NotUtf8> {
        for (field, text) in self.texts() {
            // Nearly all are ASCII, which is told faster.
            if !text.as_bytes().is_ascii() {
                text.to_str().map_err(|source| NotUtf8 { field, source })?;
            }
        }
        Ok(())
    }

    /// Sets a metadata entry, in place of the one of that key if there is one. See [`Metadata::set`].
    pub fn set_metadata(&mut self, key: &'a str, value: impl Into<Text<'a>>) {
        self.metadata.get_or_insert_default().set(key, value);
    }

    /// The value of a metadata entry.
    pub fn metadata(&self, key: &str) -> Option<Text<'a>> {
        self.metadata.as_ref()?.get(key)
    }

    /// Replaces the partner ids.
    pub fn set_partner_ids(&mut self, ids: &'a [&'a str]) {
        self.partner_ids = Some(ids.into());
    }

    /// Replaces the headers.
    pub fn set_headers(&mut self, headers: &'a [&'a str]) {
        self.headers = Some(headers.into());
    }

    /// Whether it is a request or a response of a transaction: of a type that requires one, and with a transaction_uuid.
    pub const fn is_transaction_part(&self) -> bool {
        self.msg_type.requires_transaction() && !self.transaction_uuid.is_empty()
    }

    /// Whether its sender waits for an acknowledgement: an event with a quality of service above low.
    pub const fn wants_ack(&self) -> bool {
        self.msg_type.0 == MessageType::SIMPLE_EVENT.0 && self.qos.wants_ack()
    }

    /// An owned copy.
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

    /// The top-level texts.
    fn texts(&self) -> [(Field, Text<'a>); 9] {
        [
            (Field::Source, self.source),
            (Field::Dest, self.dest),
            (Field::TransactionUuid, self.transaction_uuid),
            (Field::ContentType, self.content_type),
            (Field::Accept, self.accept),
            (Field::Path, self.path),
            (Field::ServiceName, self.service_name),
            (Field::Url, self.url),
            (Field::SessionId, self.session_id),
        ]
    }
}
