//! What is written is read by a decoder that knows nothing but the schema's text.

use serde_json::{Map, Value, json};
use wrp::{Message, MessageRef, MessageType, Qos, StringsBuf, Text};

use super::*;

/// Decodes Avro by its schema (Avro 1.12, "Binary Encoding"); bytes become a list of numbers.
struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    fn value(&mut self, schema: &Value) -> Value {
        if let Some(branches) = schema.as_array() {
            let branch = usize::try_from(self.long()).unwrap();
            return self.value(&branches[branch]);
        }
        let kind = schema.as_str().or(schema["type"].as_str()).unwrap();
        match kind {
            "null" => Value::Null,
            "long" => self.long().into(),
            "bytes" => self.bytes().into(),
            "string" => str::from_utf8(self.bytes()).unwrap().into(),
            "array" => {
                let mut items = Vec::new();
                self.blocks(|decoder| items.push(decoder.value(&schema["items"])));
                items.into()
            }
            "map" => {
                let mut map = Map::new();
                self.blocks(|decoder| {
                    let key = str::from_utf8(decoder.bytes()).unwrap();
                    let value = decoder.value(&schema["values"]);
                    assert!(map.insert(key.to_owned(), value).is_none(), "{key} twice");
                });
                map.into()
            }
            "record" => {
                let field = |field: &Value| {
                    let value = self.value(&field["type"]);
                    (field["name"].as_str().unwrap().to_owned(), value)
                };
                schema["fields"].as_array().unwrap().iter().map(field).collect::<Map<_, _>>().into()
            }
            other => panic!("no such type in our schemas: {other}"),
        }
    }

    fn blocks(&mut self, mut item: impl FnMut(&mut Self)) {
        loop {
            match self.long() {
                0 => return,
                count => (0..count).for_each(|_| item(self)),
            }
        }
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::try_from(self.long()).unwrap();
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    fn long(&mut self) -> i64 {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let (byte, rest) = self.0.split_first().unwrap();
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
            }
        }
    }
}

fn decoded(schema: &str, bytes: &[u8]) -> Value {
    let mut decoder = Decoder(bytes);
    let value = decoder.value(&serde_json::from_str(schema).unwrap());
    assert_eq!(decoder.0, b"", "bytes after the record");
    value
}

fn as_avro(message: &MessageRef<'_>) -> Value {
    let mut out = Vec::new();
    super::message(message, &mut out);
    decoded(include_str!("../../../schemas/wrp.avsc"), &out)
}

#[test]
fn every_field_is_read_back_under_the_schema() {
    let full = Message {
        msg_type: MessageType(i64::MIN),
        source: "mac:112233445566".into(),
        dest: "event:device-status".into(),
        transaction_uuid: "uuid".into(),
        content_type: "text/plain".into(),
        accept: "*/*".into(),
        status: Some(i64::MAX),
        rdr: Some(-65),
        headers: Some(["a: b", "ü"].into()),
        metadata: Some([("/k", "v"), ("", "")].into()),
        path: "/p".into(),
        payload: Some((0..=255).collect()),
        service_name: "s".into(),
        url: "u".into(),
        partner_ids: Some(StringsBuf::new()),
        session_id: "x".repeat(300).as_str().into(),
        qos: Qos(64),
        ..Message::default()
    };
    let payload: Vec<u8> = (0..=255).collect();
    let expected = json!({
        "msg_type": i64::MIN, "source": "mac:112233445566", "dest": "event:device-status",
        "transaction_uuid": "uuid", "content_type": "text/plain", "accept": "*/*",
        "status": i64::MAX, "rdr": -65, "headers": ["a: b", "ü"], "metadata": {"/k": "v", "": ""},
        "path": "/p", "payload": payload, "service_name": "s", "url": "u",
        "partner_ids": [], "session_id": "x".repeat(300), "qos": 64,
    });
    assert_eq!(as_avro(&full.as_ref()), expected);
}

#[test]
fn what_a_message_lacks_is_null() {
    let event = MessageRef { dest: "event:x".into(), payload: Some(b""), ..MessageRef::default() };
    let read = as_avro(&event);
    let null = |name: &str| read[name].is_null();
    for name in ["transaction_uuid", "content_type", "status", "rdr", "headers", "metadata", "partner_ids"] {
        assert!(null(name), "{name}");
    }
    assert_eq!(
        (&read["dest"], &read["source"], &read["payload"]),
        (&json!("event:x"), &json!(""), &json!([]))
    );
}

#[test]
fn what_is_not_utf8_is_replaced() {
    let mut event = MessageRef { dest: "event:x".into(), ..MessageRef::default() };
    event.set_metadata("/k", Text::new(b"a\xffb\xe2\x82"));
    assert_eq!(as_avro(&event)["metadata"], json!({"/k": "a\u{fffd}b\u{fffd}"}));
}

#[test]
fn a_raw_message_is_its_msgpack_byte_for_byte() {
    for size in [0, 40, 60, 5000] {
        let payload = vec![0xff; size];
        let event = MessageRef { dest: "event:x".into(), payload: Some(&payload), ..MessageRef::default() };
        let (mut out, mut msgpack) = (b"frame".to_vec(), Vec::new());
        raw_message(&event, &mut out);
        event.encode_v5(&mut msgpack);
        let read = decoded(include_str!("../../../schemas/wrp-raw.avsc"), &out[5..]);
        assert_eq!(read, json!({"message": msgpack}), "{size}");
    }
}

#[test]
fn json_has_the_fields_that_its_schema_has() {
    let schema: Value = serde_json::from_str(include_str!("../../../schemas/wrp.schema.json")).unwrap();
    let mut named: Vec<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let v5_has = |field: &wrp::Field| !matches!(field, wrp::Field::Spans | wrp::Field::IncludeSpans);
    let mut fields: Vec<_> = wrp::Field::ALL.into_iter().filter(v5_has).map(wrp::Field::key).collect();
    let avro: Value = serde_json::from_str(include_str!("../../../schemas/wrp.avsc")).unwrap();
    let avro: Vec<_> =
        avro["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(avro, fields, "in the order of the encoders");
    named.sort_unstable();
    fields.sort_unstable();
    assert_eq!(named, fields);
}
