//! A message that borrows its fields, and what the gateway does with it: change fields, check UTF-8.
//!
//! The codecs that make it from bytes and write it are in `msgpack/` and `json/`.

use crate::{Field, MessageType, Metadata, NotUtf8Error, Qos, Spans, Strings, Text};

/// A message that borrows its fields: decoding copies nothing, changing a field changes no bytes, encoding writes each byte
/// once.
///
/// An empty text means an absent one. The fields stand in the order in which they are encoded (contract §1.1).
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
    /// The type of the message.
    pub msg_type: MessageType,
    /// The locator of the sender.
    pub source: Text<'a>,
    /// The locator of the receiver.
    pub dest: Text<'a>,
    /// The id that a request and its response share.
    pub transaction_uuid: Text<'a>,
    /// The media type of the payload.
    pub content_type: Text<'a>,
    /// The media type that the response should have.
    pub accept: Text<'a>,
    /// The status of a response, an HTTP status code.
    pub status: Option<i64>,
    /// The result of delivering the message that this one acknowledges: see [`Rdr`](crate::Rdr).
    pub rdr: Option<i64>,
    /// `Name: value` lines.
    pub headers: Option<Strings<'a>>,
    /// Facts about the message or its sender.
    pub metadata: Option<Metadata<'a>>,
    /// Times that the senders measured (v3 only).
    pub spans: Option<Spans<'a>>,
    /// Whether the response should have spans (v3 only).
    pub include_spans: Option<bool>,
    /// The object that a CRUD message acts on.
    pub path: Text<'a>,
    /// The body.
    pub payload: Option<&'a [u8]>,
    /// The name of a service that registers.
    pub service_name: Text<'a>,
    /// The address of a service that registers.
    pub url: Text<'a>,
    /// The partners that the message is for or from.
    pub partner_ids: Option<Strings<'a>>,
    /// The id of the connection that the message came over.
    pub session_id: Text<'a>,
    /// The importance of the message.
    pub qos: Qos,
}

impl<'a> MessageRef<'a> {
    /// Checks that all top-level texts are UTF-8. Headers, metadata, spans and partner ids are not checked (contract §1.7).
    ///
    /// # Errors
    /// Names the first field that is not UTF-8.
    pub fn check_utf8(&self) -> Result<(), NotUtf8Error> {
        for (field, text) in self.texts() {
            // Nearly all texts are ASCII, and that check is the faster one.
            if !text.as_bytes().is_ascii() {
                text.to_str().map_err(|source| NotUtf8Error { field, source })?;
            }
        }
        Ok(())
    }

    /// Adds a metadata entry, or replaces the one with this key: see [`Metadata::set`].
    pub fn set_metadata(&mut self, key: &'a str, value: impl Into<Text<'a>>) {
        self.metadata.get_or_insert_default().set(key, value);
    }

    /// The value of the metadata entry with this key.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<Text<'a>> {
        self.metadata.as_ref()?.get(key)
    }

    /// Replaces all partner ids.
    pub fn set_partner_ids(&mut self, ids: &'a [&'a str]) {
        self.partner_ids = Some(ids.into());
    }

    /// Replaces all headers.
    pub fn set_headers(&mut self, headers: &'a [&'a str]) {
        self.headers = Some(headers.into());
    }

    /// Whether the message is part of a transaction (contract §1.4): a request or its response.
    #[must_use]
    pub const fn is_transaction_part(&self) -> bool {
        self.msg_type.requires_transaction() && !self.transaction_uuid.is_empty()
    }

    /// Whether the sender waits for an acknowledgement (contract §1.5): an event with a level above Low.
    #[must_use]
    pub const fn wants_ack(&self) -> bool {
        self.msg_type.0 == MessageType::SIMPLE_EVENT.0 && self.qos.wants_ack()
    }

    /// The top-level texts (contract §1.7).
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
