//! WRP messages in both versions and both formats: any bytes.
//!
//! The same bytes go to all four decoders, and through the checks of a device's message. What decodes must encode, and
//! decode again to the same. No memory is allocated for a length that the bytes only claim.

use talaria_protocol::inbound::{self, SourceCheck, Stamps};
use wrp::{DeviceId, Limits, Locator, Message, MessageRef, Text, json};

use crate::allocation;
use crate::cost::Cost;

static MSGPACK: Cost = Cost::measured("msgpack", 25);
static JSON: Cost = Cost::measured("json", 60);
static DEVICE: Cost = Cost::promised("device message");
static ENCODE: Cost = Cost::measured("encode", 70);

/// One input.
pub fn run(data: &[u8]) {
    v3(data);
    v5(data);
    for decode in [json::decode_v3, json::decode_v5] {
        let (decoded, peak) = JSON.hold(data.len(), || allocation::peak(|| decode(data)));
        // `"",` is three bytes of text and an owned text of sixteen in a list that grows by doubling.
        assert!(peak <= 32 * data.len() + 4096, "{peak} bytes for {} of JSON", data.len());
        match decoded {
            Ok(message) => reencodes(&message.as_ref(), data.len()),
            Err(error) => assert!(error.offset <= data.len()),
        }
    }
}

fn v3(data: &[u8]) {
    let (decoded, peak) = MSGPACK.hold(data.len(), || allocation::peak(|| MessageRef::decode_v3(data)));
    // Nothing, but for four bytes an entry of a map in which a key occurs twice: an entry has two bytes at least.
    assert!(peak <= 4 * data.len(), "{peak} bytes for {} of msgpack", data.len());
    let message = match decoded {
        Ok(message) => message,
        Err(error) => return assert!(error.offset <= data.len()),
    };
    reencodes(&message, data.len());
    let Ok(device) = "mac:112233445566".parse::<DeviceId>() else { return };
    let limits = Limits::default();
    for check in [SourceCheck::Monitor, SourceCheck::Enforce] {
        let stamps = Stamps {
            device_id: &device,
            partner_ids: &["partner"],
            trust: "0",
            account_id: "",
            session_id: "2ZzF0Zb8h5Q1",
            timestamp: "2026-11-24T04:00:00Z",
        };
        DEVICE.hold(data.len(), || for_both_sinks(data, &stamps, check));
        if let Ok(accepted) = inbound::read(data, &stamps, check, &limits) {
            assert_eq!(accepted.message.check_utf8(), Ok(()));
            assert_eq!(accepted.message.metadata("/xmidt-timestamp"), Some(stamps.timestamp.into()));
            reencodes(&accepted.message, data.len());
        }
    }
}

/// All that the gateway does with a device's message before the sinks have it: checks and stamps, the bytes for HTTP and
/// for Kafka; or the acknowledgement of a message that is over its limits. Returns how many bytes it wrote.
pub fn for_both_sinks(data: &[u8], stamps: &Stamps<'_>, check: SourceCheck) -> usize {
    let limits = Limits::default();
    let (mut http, mut kafka) = (Vec::new(), Vec::new());
    match inbound::read(data, stamps, check, &limits) {
        Ok(accepted) => {
            let mut message = accepted.message;
            let _locator = message.dest.to_str().map(Locator::parse_v3);
            message.encode_v3(&mut http);
            message.set_metadata("/account-id", "4711");
            if message.metadata("/hw-deviceid").is_none_or(Text::is_empty) {
                message.set_metadata("/hw-deviceid", stamps.device_id.as_str());
            }
            message.encode_v5(&mut kafka);
        }
        Err(error) if error.is_limit() => {
            if let Some(head) = inbound::read_oversized(data, stamps, check, &limits) {
                head.encode_v3(&mut http);
            }
        }
        Err(_) => {}
    }
    http.len() + kafka.len()
}

fn v5(data: &[u8]) {
    let (decoded, peak) = MSGPACK.hold(data.len(), || allocation::peak(|| MessageRef::decode_v5(data)));
    assert!(peak <= 4 * data.len(), "{peak} bytes for {} of msgpack", data.len());
    match decoded {
        Ok((message, rest)) => {
            assert!(data.ends_with(rest));
            reencodes(&message, data.len());
        }
        Err(error) => assert!(error.offset <= data.len()),
    }
}

/// Whatever was decoded is the same message after a way through each encoder.
fn reencodes(message: &MessageRef<'_>, length: usize) {
    let owned = message.to_owned();
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        ENCODE.hold(length, || {
            let mut out = Vec::new();
            encode(&mut out);
            out
        })
    };
    let frame = encoded(&|out| message.encode_v3(out));
    let again = MessageRef::decode_v3(&frame).expect("a message that was encoded");
    assert_eq!(again.to_owned(), without_empty(&owned));

    let record = encoded(&|out| message.encode_v5(out));
    let (again, rest) = MessageRef::decode_v5(&record).expect("a record that was encoded");
    assert!(rest.is_empty());
    let shared = Message { spans: None, include_spans: None, ..owned.clone() };
    assert_eq!(without_empty(&again.to_owned()), without_empty(&shared));

    let text = encoded(&|out| json::encode_v3(message, out));
    assert!(json::decode_v3(&text).is_ok(), "v3 JSON that was encoded");
    let text = encoded(&|out| json::encode_v5(message, out));
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
