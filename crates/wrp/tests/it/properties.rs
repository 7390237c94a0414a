//! What must be true for any message and for any bytes.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use wrp::{Message, MessageRef, MessageType, MetadataBuf, Qos, StringsBuf, Text, TextBuf, json};

/// Mostly short texts, with lengths around those at which the header changes.
fn text() -> impl Strategy<Value = TextBuf> {
    prop_oneof![
        6 => "\\PC{0,12}".prop_map(TextBuf::from),
        2 => "[ -~]{28,36}".prop_map(TextBuf::from),
        1 => (250_usize..260).prop_map(|len| TextBuf::from("x".repeat(len))),
        1 => vec(any::<u8>(), 0..6).prop_map(TextBuf::from),
    ]
}

/// UTF-8 texts: JSON cannot hold others.
fn utf8() -> impl Strategy<Value = TextBuf> {
    any::<String>().prop_map(TextBuf::from)
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        -300_i64..300,
        any::<i64>(),
        any::<i32>().prop_map(i64::from),
        any::<i16>().prop_map(i64::from)
    ]
}

fn message_of<S: Strategy<Value = TextBuf> + 'static>(text: fn() -> S) -> impl Strategy<Value = Message> {
    let texts = || option::of(vec(text(), 0..20).prop_map(StringsBuf::from));
    let spans = option::of(vec(vec(text(), 0..4).prop_map(StringsBuf::from), 0..4));
    let metadata = option::of(btree_map(text(), text(), 0..20).prop_map(MetadataBuf::from_iter));
    let payload = option::of(vec(any::<u8>(), 0..300));
    let names = vec(text(), 9);
    let numbers = (integer(), option::of(integer()), option::of(integer()), integer());
    (numbers, names, texts(), metadata, (spans, option::of(any::<bool>())), payload, texts()).prop_map(
        |(
            (msg_type, status, rdr, qos),
            names,
            headers,
            metadata,
            (spans, include_spans),
            payload,
            partner_ids,
        )| {
            let [source, dest, transaction_uuid, content_type, accept, path, service_name, url, session_id] =
                <[TextBuf; 9]>::try_from(names).unwrap();
            Message {
                msg_type: MessageType(msg_type),
                source,
                dest,
                transaction_uuid,
                content_type,
                accept,
                status,
                rdr,
                headers,
                metadata,
                spans,
                include_spans,
                path,
                payload,
                service_name,
                url,
                partner_ids,
                session_id,
                qos: Qos(qos),
            }
        },
    )
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    message_of(text)
}

#[cfg(feature = "serde")]
pub(crate) fn utf8_message() -> impl Strategy<Value = Message> {
    message_of(utf8)
}

/// The message with its empty collections removed.
fn without_empty(message: &Message) -> Message {
    let mut message = message.clone();
    message.headers = message.headers.filter(|list| !list.is_empty());
    message.metadata = message.metadata.filter(|map| !map.is_empty());
    message.spans = message.spans.filter(|list| !list.is_empty());
    message.payload = message.payload.filter(|bytes| !bytes.is_empty());
    message.partner_ids = message.partner_ids.filter(|list| !list.is_empty());
    message
}

/// The message as v5 gives it back: without spans, and with empty lists and payloads removed.
fn through_v5(message: &Message) -> Message {
    let metadata = message.metadata.clone();
    Message { spans: None, include_spans: None, metadata, ..without_empty(message) }
}

fn encoded(encode: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

/// A message's frame with a few bytes changed or inserted, or with its end cut off.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let frame = message().prop_map(|message| encoded(|out| message.as_ref().encode_v3(out)));
    (frame, vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..4)).prop_map(|(mut frame, changes)| {
        for (at, byte, change) in changes {
            if frame.is_empty() {
                break;
            }
            let at = at.index(frame.len());
            match change {
                0 => frame[at] = byte,
                1 => frame.truncate(at),
                _ => frame.insert(at, byte),
            }
        }
        frame
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn v3_msgpack_decodes_to_what_was_encoded(message in message()) {
        let frame = encoded(|out| message.as_ref().encode_v3(out));
        let decoded = MessageRef::decode_v3(&frame).unwrap();
        prop_assert_eq!(decoded.to_owned(), without_empty(&message));
    }

    #[test]
    fn v5_msgpack_decodes_to_what_was_encoded_except_spans(message in message()) {
        let mut record = encoded(|out| message.as_ref().encode_v5(out));
        record.extend_from_slice(b"more");
        let (decoded, rest) = MessageRef::decode_v5(&record).unwrap();
        prop_assert_eq!(decoded.to_owned(), through_v5(&message));
        prop_assert_eq!(rest, b"more");
    }

    #[test]
    fn v3_json_decodes_to_what_was_encoded(message in message_of(utf8)) {
        let text = encoded(|out| json::encode_v3(&message.as_ref(), out));
        prop_assert_eq!(json::decode_v3(&text).unwrap(), without_empty(&message));
    }

    #[test]
    fn v5_json_decodes_to_what_was_encoded_except_spans(message in message_of(utf8)) {
        let text = encoded(|out| json::encode_v5(&message.as_ref(), out));
        let expected = Message { metadata: without_empty(&message).metadata, ..through_v5(&message) };
        prop_assert_eq!(json::decode_v5(&text).unwrap(), expected);
    }

    #[test]
    fn encoded_json_is_valid_for_any_texts(message in message()) {
        for encode in [json::encode_v3, json::encode_v5] {
            let text = encoded(|out| encode(&message.as_ref(), out));
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
        }
    }

    #[test]
    fn a_decoded_message_equals_its_owned_copy(frame in damaged()) {
        let Ok(decoded) = MessageRef::decode_v3(&frame) else { return Ok(()) };
        let owned = decoded.to_owned();
        prop_assert_eq!(&owned.as_ref(), &decoded);
        prop_assert_eq!(owned.as_ref().check_utf8(), decoded.check_utf8());

        let again = encoded(|out| decoded.encode_v3(out));
        prop_assert_eq!(MessageRef::decode_v3(&again).unwrap().to_owned(), without_empty(&owned));
        let record = encoded(|out| decoded.encode_v5(out));
        prop_assert_eq!(MessageRef::decode_v5(&record).unwrap().0.to_owned(), through_v5(&owned));
        // Only the order of metadata entries may differ, so the lengths are equal.
        prop_assert_eq!(again.len(), encoded(|out| owned.as_ref().encode_v3(out)).len());
    }

    #[test]
    fn setting_fields_of_a_borrowed_message_equals_changing_an_owned_one(
        message in message(),
        stamps in vec(("[abc]{1,2}", text()), 0..8),
        present in vec(("[abc]{1,2}", text()), 0..8),
    ) {
        let mut message = message;
        message.metadata.get_or_insert_default().extend(present);
        let frame = encoded(|out| message.as_ref().encode_v3(out));

        let mut stamped = MessageRef::decode_v3(&frame).unwrap();
        let mut changed = without_empty(&message);
        for (key, value) in &stamps {
            stamped.set_metadata(key, value);
            changed.metadata.get_or_insert_default().insert(key, value);
            prop_assert_eq!(stamped.metadata(key), Some(value.as_text()));
        }
        stamped.set_partner_ids(&["comcast"]);
        changed.partner_ids = Some(["comcast"].into());
        stamped.set_headers(&["a: b", "c: d"]);
        changed.headers = Some(["a: b", "c: d"].into());
        stamped.session_id = Text::from("session");
        changed.session_id = "session".into();

        prop_assert_eq!(stamped.metadata.as_ref().map_or(0, |m| m.len()), changed.metadata.as_ref().map_or(0, |m| m.len()));
        prop_assert_eq!(stamped.metadata.as_ref().map_or(0, |m| m.iter().count()), stamped.metadata.as_ref().map_or(0, |m| m.len()));
        prop_assert_eq!(&stamped.to_owned(), &changed);
        let frame = encoded(|out| stamped.encode_v3(out));
        prop_assert_eq!(MessageRef::decode_v3(&frame).unwrap().to_owned(), without_empty(&changed));
        let record = encoded(|out| stamped.encode_v5(out));
        prop_assert_eq!(MessageRef::decode_v5(&record).unwrap().0.to_owned(), through_v5(&changed));
    }

    #[test]
    fn of_repeated_metadata_keys_the_last_counts(entries in vec(("[ab]{1,3}", "[cd]{0,2}"), 0..60)) {
        let mut frame = b"\x81\xa8metadata\xde".to_vec();
        frame.extend_from_slice(&u16::try_from(entries.len()).unwrap().to_be_bytes());
        for text in entries.iter().flat_map(|(key, value)| [key, value]) {
            frame.push(0xa0 | u8::try_from(text.len()).unwrap());
            frame.extend_from_slice(text.as_bytes());
        }
        let map: BTreeMap<TextBuf, TextBuf> =
            entries.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
        prop_assert_eq!(MetadataBuf::from_iter(entries.iter().cloned()), MetadataBuf::from_iter(map.clone()));
        let decoded = MessageRef::decode_v3(&frame).unwrap();
        let metadata = decoded.metadata.as_ref().unwrap();
        prop_assert_eq!(metadata.len(), map.len());
        prop_assert_eq!(metadata.iter().count(), map.len());
        for (key, value) in &map {
            prop_assert_eq!(metadata.get(key.to_str().unwrap()), Some(value.as_text()));
        }
        let record = encoded(|out| decoded.encode_v5(out));
        prop_assert_eq!(MessageRef::decode_v5(&record).unwrap().0.to_owned().metadata, Some(MetadataBuf::from_iter(map)));
    }

    #[test]
    fn owned_metadata_changes_as_a_map_does(
        steps in vec(("[ab]{1,2}", option::of("[cd]{0,40}"), any::<bool>()), 0..60),
    ) {
        let (mut metadata, mut map) = (MetadataBuf::new(), BTreeMap::new());
        for (key, value, many) in steps {
            match value {
                Some(ref value) if many => metadata.extend([(&key, "x"), (&key, value.as_str())]),
                Some(ref value) => metadata.insert(&key, value),
                None => prop_assert_eq!(metadata.remove(&key), map.contains_key(&key)),
            }
            match value {
                Some(value) => drop(map.insert(key, value)),
                None => drop(map.remove(&key)),
            }
            prop_assert_eq!(metadata.len(), map.len());
            prop_assert!(map.iter().all(|(key, value)| metadata.get(key).unwrap() == value.as_str()));
            prop_assert_eq!(&metadata, &MetadataBuf::from_iter(&map));
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_rejected(bytes in vec(any::<u8>(), 0..200)) {
        let _ = MessageRef::decode_v3(&bytes);
        let _ = MessageRef::decode_v5(&bytes);
        let _ = json::decode_v3(&bytes);
        let _ = json::decode_v5(&bytes);
    }

    #[test]
    fn any_text_is_decoded_or_rejected(text in "[\\[\\]{}\",:\\\\a-z0-9.e ]{0,60}|\\PC*") {
        let _ = json::decode_v3(text.as_bytes());
        let _ = json::decode_v5(text.as_bytes());
        let _ = text.parse::<wrp::DeviceId>();
        let _ = wrp::Locator::parse_v3(&text);
        let _ = wrp::Locator::parse_v5(&text);
    }

    #[test]
    fn the_text_of_a_parsed_name_parses_to_the_same_name(
        text in "(mac|UUID|dns|Serial|event|self):[ 0-9a-fA-F:.,-]{0,20}(/ ?[a-z/ \n]{0,6})?",
    ) {
        if let Ok(id) = text.parse::<wrp::DeviceId>() {
            prop_assert_eq!(&id.as_str().parse::<wrp::DeviceId>().unwrap(), &id);
            prop_assert_eq!(format!("{}:{}", id.scheme(), id.id()), id.as_str());
        }
        if let Ok(locator) = wrp::Locator::parse_v5(&text) {
            let again = locator.to_string();
            prop_assert_eq!(wrp::Locator::parse_v5(&again).unwrap().authority, locator.authority);
        }
        if let Ok(locator) = wrp::Locator::parse_v3(&text) {
            prop_assert_eq!(locator.device_id().is_some_and(|id| locator.names(&id)), locator.device_id().is_some());
        }
    }
}
