//! A message that is over its limits is refused, whatever it consists of.
//!
//! That the work on a message is proportional to its length is tested beside the code that finds repeated keys
//! (`msgpack/repeated.rs`), and by the fuzz targets (`fuzz/src/cost.rs`).

use wrp::{DeviceId, Limits, MessageRef, Qos, WireError, json};

/// A message with one field, which is a collection with this header and body.
fn with(field: &str, header: u8, count: usize, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82, 0xa0 | u8::try_from(field.len()).unwrap()];
    frame.extend_from_slice(field.as_bytes());
    frame.push(header);
    frame.extend_from_slice(&u32::try_from(count).unwrap().to_be_bytes());
    frame.extend_from_slice(body);
    frame.extend_from_slice(b"\xa3qos\x37");
    frame
}

/// Keys of three bytes that are all different, each with an empty value.
fn different_keys(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| [0xa3, (n >> 16) as u8, (n >> 8) as u8, n as u8, 0xa0]).collect()
}

/// The worst messages of about `length` bytes, by name.
fn worst(length: usize) -> Vec<(&'static str, Vec<u8>)> {
    let repeated = |field, header, unit: &[u8]| {
        let count = length / unit.len();
        with(field, header, count, &unit.repeat(count))
    };
    let one_byte_keys: Vec<u8> = (0..length / 3).flat_map(|n| [0xa1, n as u8, 0xa0]).collect();
    let mut deep = b"\x91".repeat(1000);
    deep.push(0xc0);
    let pairs = length / 4;
    let mut many_fields = vec![0xdf];
    many_fields.extend_from_slice(&u32::try_from(pairs + 1).unwrap().to_be_bytes());
    many_fields.extend_from_slice(&b"\xa1x\x91\xc0".repeat(pairs));
    many_fields.extend_from_slice(b"\xa3qos\x37");
    vec![
        ("keys of one byte", with("metadata", 0xdf, length / 3, &one_byte_keys)),
        ("equal keys", repeated("metadata", 0xdf, b"\xa1a\xa0")),
        ("different keys", with("metadata", 0xdf, length / 5, &different_keys(length / 5))),
        ("empty keys", repeated("metadata", 0xdf, b"\xa0\xa0")),
        ("empty headers", repeated("headers", 0xdd, b"\xa0")),
        ("nil partners", repeated("partner_ids", 0xdd, b"\xc0")),
        ("empty spans", repeated("spans", 0xdd, b"\x90")),
        ("spans of one text", repeated("spans", 0xdd, b"\x91\xa0")),
        ("an unknown list", repeated("x", 0xdd, b"\xc0")),
        ("an unknown map", repeated("x", 0xdf, b"\xc0\xc0")),
        ("ext values", repeated("x", 0xdd, b"\xd4\x01\x00")),
        ("deep values", repeated("x", 0xdd, &deep)),
        ("unknown fields", many_fields),
    ]
}

fn within(frame: &[u8]) -> Result<MessageRef<'_>, WireError> {
    MessageRef::decode_v3_within(frame, &Limits::default()).map_err(|error| error.problem)
}

#[test]
fn the_worst_messages_are_refused_and_their_qos_is_still_known() {
    for (name, frame) in worst(1 << 20) {
        assert_eq!(within(&frame).unwrap_err(), WireError::TooManyEntries, "{name}");
        assert!(WireError::TooManyEntries.is_limit());
        assert_eq!(MessageRef::decode_v3_head(&frame).unwrap().qos, Qos(55), "{name}");
    }
}

#[test]
fn entries_are_counted_over_all_maps_and_lists() {
    let limits = |entries| Limits { entries, ..Limits::default() };
    // Two fields, two headers, one entry under an unknown key.
    let frame = b"\x82\xa7headers\x92\xa0\xa0\xa1x\x91\xc0";
    assert!(MessageRef::decode_v3_within(frame, &limits(5)).is_ok());
    let refused = MessageRef::decode_v3_within(frame, &limits(4)).unwrap_err();
    assert_eq!((refused.problem, refused.field), (WireError::TooManyEntries, None));
    let text = br#"{"headers":["",""],"x":[null]}"#;
    assert!(json::decode_v3_within(text, &limits(5)).is_ok());
    let refused = json::decode_v3_within(text, &limits(4)).unwrap_err();
    assert_eq!(refused.problem, WireError::TooManyEntries);
}

#[test]
fn a_payload_counts_neither_as_entries_nor_as_bytes_of_fields() {
    let limits = Limits { entries: 2, field_bytes: 64, ..Limits::default() };
    let mut frame = b"\x82\xa7payload\xc5\xff\xff".to_vec();
    frame.extend_from_slice(&[7; 0xffff]);
    frame.extend_from_slice(b"\xa3qos\x37");
    let message = MessageRef::decode_v3_within(&frame, &limits).unwrap();
    assert_eq!(message.payload.map(<[u8]>::len), Some(0xffff));
    let text = format!("{{\"payload\":[{}1]}}", "7,".repeat(5000));
    assert_eq!(
        json::decode_v3_within(text.as_bytes(), &limits).unwrap().payload.map(|p| p.len()),
        Some(5001)
    );
}

#[test]
fn long_fields_keys_and_ids_are_refused() {
    let texts = |key: &str, length: u16| {
        let mut frame = vec![0x81, 0xa0 | u8::try_from(key.len()).unwrap()];
        frame.extend_from_slice(key.as_bytes());
        frame.push(0xda);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&vec![b'x'; usize::from(length)]);
        frame
    };
    assert!(within(&texts("transaction_uuid", 256)).is_ok());
    assert_eq!(within(&texts("transaction_uuid", 257)).unwrap_err(), WireError::IdTooLong);
    assert_eq!(within(&texts("session_id", 257)).unwrap_err(), WireError::IdTooLong);
    assert!(within(&texts("source", 60_000)).is_ok());
    assert_eq!(within(&texts("source", u16::MAX)).unwrap_err(), WireError::FieldsTooLong);
    // What stands under an unknown key counts as well.
    assert_eq!(within(&texts("x", u16::MAX)).unwrap_err(), WireError::FieldsTooLong);

    let entry = |length: u16| {
        let mut frame = b"\x81\xa8metadata\x81\xda".to_vec();
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&vec![b'k'; usize::from(length)]);
        frame.push(0xa0);
        frame
    };
    assert!(within(&entry(1024)).is_ok());
    assert_eq!(within(&entry(1025)).unwrap_err(), WireError::KeyTooLong);
}

#[test]
fn a_device_id_has_at_most_256_bytes() {
    let id = |length: usize| format!("uuid:{}/service", "x".repeat(length - 5)).parse::<DeviceId>();
    assert_eq!(id(DeviceId::MAX_BYTES).unwrap().as_str().len(), 256);
    assert!(id(DeviceId::MAX_BYTES + 1).is_err());
}
