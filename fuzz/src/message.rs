//! WRP messages in both versions and both formats: any bytes.
//!
//! The same bytes go to all four decoders, and to the gateway's way of a device's message. What decodes must encode, and
//! decode again to the same; and no length that the bytes claim makes anybody allocate.

use wrp::{DeviceId, Message, MessageRef, json};

use crate::allocation;
use crate::device::SourceCheck;
use crate::device::inbound::{self, Stamps};

/// One input.
pub fn run(data: &[u8]) {
    v3(data);
    v5(data);
    for decode in [json::decode_v3, json::decode_v5] {
        let (decoded, peak) = allocation::peak(|| decode(data));
        // `"",` is three bytes of text and an owned text of sixteen in a list that grows by doubling.
        assert!(peak <= 32 * data.len() + 4096, "{peak} bytes for {} of JSON", data.len());
        match decoded {
            Ok(message) => reencodes(&message.as_ref()),
            Err(error) => assert!(error.offset <= data.len()),
        }
    }
}

fn v3(data: &[u8]) {
    let (decoded, peak) = allocation::peak(|| MessageRef::decode_v3(data));
    // Nothing, but for four bytes an entry of a map in which a key occurs twice: an entry has two bytes at least.
    assert!(peak <= 4 * data.len(), "{peak} bytes for {} of msgpack", data.len());
    let message = match decoded {
        Ok(message) => message,
        Err(error) => return assert!(error.offset <= data.len()),
    };
    reencodes(&message);
    let Ok(device) = "mac:112233445566".parse::<DeviceId>() else { return };
    for check in [SourceCheck::Monitor, SourceCheck::Enforce] {
        let stamps = Stamps {
            device_id: &device,
            partner_ids: &["partner"],
            session_id: "2ZzF0Zb8h5Q1",
            timestamp: "2026-11-24T04:00:00Z",
        };
        if let Ok(accepted) = inbound::read(data, &stamps, check) {
            assert_eq!(accepted.message.check_utf8(), Ok(()));
            assert_eq!(accepted.message.metadata("/xmidt-timestamp"), Some(stamps.timestamp.into()));
            reencodes(&accepted.message);
        }
    }
}

fn v5(data: &[u8]) {
    let (decoded, peak) = allocation::peak(|| MessageRef::decode_v5(data));
    assert!(peak <= 4 * data.len(), "{peak} bytes for {} of msgpack", data.len());
    match decoded {
        Ok((message, rest)) => {
            assert!(data.ends_with(rest));
            reencodes(&message);
        }
        Err(error) => assert!(error.offset <= data.len()),
    }
}

/// Whatever was decoded is the same message after a way through each encoder.
fn reencodes(message: &MessageRef<'_>) {
    let owned = message.to_owned();
    let mut frame = Vec::new();
    message.encode_v3(&mut frame);
    let again = MessageRef::decode_v3(&frame).expect("a message that was encoded");
    assert_eq!(again.to_owned(), without_empty(&owned));

    let mut record = Vec::new();
    message.encode_v5(&mut record);
    let (again, rest) = MessageRef::decode_v5(&record).expect("a record that was encoded");
    assert!(rest.is_empty());
    let shared = Message { spans: None, include_spans: None, ..owned.clone() };
    assert_eq!(without_empty(&again.to_owned()), without_empty(&shared));

    let mut text = Vec::new();
    json::encode_v3(message, &mut text);
    assert!(json::decode_v3(&text).is_ok(), "v3 JSON that was encoded");
    text.clear();
    json::encode_v5(message, &mut text);
    assert!(json::decode_v5(&text).is_ok(), "v5 JSON that was encoded");
}

/// What is left of a message where empty collections are left out, as v3 leaves them.
fn without_empty(message: &Message) -> Message {
    let mut message = message.clone();
    message.headers = message.headers.filter(|list| !list.is_empty());
    message.metadata = message.metadata.filter(|map| !map.is_empty());
    message.spans = message.spans.filter(|list| !list.is_empty());
    message.payload = message.payload.filter(|bytes| !bytes.is_empty());
    message.partner_ids = message.partner_ids.filter(|list| !list.is_empty());
    message
}
