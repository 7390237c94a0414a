//! Messages: a map with the keys of WRP v3.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Field, Message, MessageRef, Text};

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().serialize(serializer)
    }
}

impl Serialize for MessageRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_for_humans = serializer.is_human_readable();
        let is_present = |field: &Field| match field {
            Field::MsgType | Field::Qos => true,
            Field::Status => self.status.is_some(),
            Field::Rdr => self.rdr.is_some(),
            Field::Headers => self.headers.is_some(),
            Field::Metadata => self.metadata.is_some(),
            Field::Spans => self.spans.is_some(),
            Field::IncludeSpans => self.include_spans.is_some(),
            Field::Payload => self.payload.is_some(),
            Field::PartnerIds => self.partner_ids.is_some(),
            _ => !self.text(*field).is_empty(),
        };
        let count = Field::ALL.iter().filter(|field| is_present(field)).count();
        let mut map = serializer.serialize_map(Some(count))?;
        for field in Field::ALL.into_iter().filter(is_present) {
            let key = field.key();
            match field {
                Field::MsgType => map.serialize_entry(key, &self.msg_type),
                Field::Qos => map.serialize_entry(key, &self.qos),
                Field::Status => map.serialize_entry(key, &self.status.unwrap_or_default()),
                Field::Rdr => map.serialize_entry(key, &self.rdr.unwrap_or_default()),
                Field::Headers => map.serialize_entry(key, &self.headers.unwrap_or_default()),
                Field::Metadata => map.serialize_entry(key, &self.metadata.clone().unwrap_or_default()),
                Field::Spans => map.serialize_entry(key, &self.spans.unwrap_or_default()),
                Field::IncludeSpans => map.serialize_entry(key, &self.include_spans.unwrap_or_default()),
                Field::PartnerIds => map.serialize_entry(key, &self.partner_ids.unwrap_or_default()),
                Field::Payload if is_for_humans => {
                    map.serialize_entry(key, &STANDARD.encode(self.payload.unwrap_or_default()))
                }
                Field::Payload => map.serialize_entry(key, &Bytes(self.payload.unwrap_or_default())),
                _ => map.serialize_entry(key, &self.text(field)),
            }?;
        }
        map.end()
    }
}

impl<'a> MessageRef<'a> {
    fn text(&self, field: Field) -> Text<'a> {
        match field {
            Field::Source => self.source,
            Field::Dest => self.dest,
            Field::TransactionUuid => self.transaction_uuid,
            Field::ContentType => self.content_type,
            Field::Accept => self.accept,
            Field::Path => self.path,
            Field::ServiceName => self.service_name,
            Field::Url => self.url,
            Field::SessionId => self.session_id,
            _ => Text::default(),
        }
    }
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_for_humans = deserializer.is_human_readable();
        deserializer.deserialize_map(MessageVisitor { is_for_humans })
    }
}

struct MessageVisitor {
    is_for_humans: bool,
}

impl MessageVisitor {
    /// A value. In formats for humans, `null` is an absent one.
    fn value<'de, A: MapAccess<'de>, T: Deserialize<'de>>(&self, map: &mut A) -> Result<Option<T>, A::Error> {
        if self.is_for_humans { map.next_value() } else { map.next_value().map(Some) }
    }
}

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a WRP message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
        let mut message = Message::default();
        let map = &mut map;
        while let Some(key) = map.next_key::<String>()? {
            let Some(field) = Field::from_key(key.as_bytes()) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            match field {
                Field::MsgType => message.msg_type = self.value(map)?.unwrap_or_default(),
                Field::Source => message.source = self.value(map)?.unwrap_or_default(),
                Field::Dest => message.dest = self.value(map)?.unwrap_or_default(),
                Field::TransactionUuid => message.transaction_uuid = self.value(map)?.unwrap_or_default(),
                Field::ContentType => message.content_type = self.value(map)?.unwrap_or_default(),
                Field::Accept => message.accept = self.value(map)?.unwrap_or_default(),
                Field::Status => message.status = self.value(map)?,
                Field::Rdr => message.rdr = self.value(map)?,
                Field::Headers => message.headers = self.value(map)?,
                Field::Metadata => message.metadata = self.value(map)?,
                Field::Spans => message.spans = self.value(map)?,
                Field::IncludeSpans => message.include_spans = self.value(map)?,
                Field::Path => message.path = self.value(map)?.unwrap_or_default(),
                Field::Payload if self.is_for_humans => {
                    let encoded: Option<String> = map.next_value()?;
                    let decoded = encoded.map(|text| STANDARD.decode(text)).transpose();
                    message.payload = decoded.map_err(A::Error::custom)?;
                }
                Field::Payload => message.payload = Some(map.next_value_seed(Payload)?),
                Field::ServiceName => message.service_name = self.value(map)?.unwrap_or_default(),
                Field::Url => message.url = self.value(map)?.unwrap_or_default(),
                Field::PartnerIds => message.partner_ids = self.value(map)?,
                Field::SessionId => message.session_id = self.value(map)?.unwrap_or_default(),
                Field::Qos => message.qos = self.value(map)?.unwrap_or_default(),
            }
        }
        Ok(message)
    }
}

struct Payload;

impl<'de> DeserializeSeed<'de> for Payload {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_byte_buf(self)
    }
}

impl Visitor<'_> for Payload {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a payload")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        Ok(text.as_bytes().to_vec())
    }
}
