//! Decoding takes at most a small multiple of the input's length in memory, whatever the bytes claim (contract §1.6).
//!
//! The allocator below serves all tests of this binary. It counts for each thread, so tests on other threads do not
//! disturb a count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use wrp::{Message, MessageRef, json};

/// The system's allocator, which also counts the bytes that each thread asks for.
struct CountingAllocator;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[expect(
    unsafe_code,
    reason = "`GlobalAlloc` is an unsafe trait; each call is passed on to the system's allocator"
)]
// SAFETY: each call is passed on unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + layout.size()));
        // SAFETY: `System` has the same requirements, and the caller meets them.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `System` has the same requirements, and the caller meets them.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The number of bytes that `work` allocated, freed or not, and its result.
fn allocated<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATED.get();
    let result = work();
    (ALLOCATED.get() - before, result)
}

/// Short frames with huge length prefixes: a header of each type under each key.
fn huge_length_prefixes() -> impl Strategy<Value = Vec<u8>> {
    let keys = prop::sample::select(vec![
        "msg_type",
        "source",
        "status",
        "headers",
        "metadata",
        "spans",
        "include_spans",
        "payload",
        "partner_ids",
        "x",
    ]);
    let header = prop::sample::select(vec![0xc6_u8, 0xc9, 0xdb, 0xdd, 0xdf]);
    (keys, header, any::<u32>(), vec(any::<u8>(), 0..30)).prop_map(|(key, header, length, rest)| {
        let mut frame = vec![0xdf, 0xff, 0xff, 0xff, 0xff, 0xa0 | u8::try_from(key.len()).unwrap()];
        frame.extend_from_slice(key.as_bytes());
        frame.push(header);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&rest);
        frame
    })
}

/// A message of nothing but empty texts, lists or entries: the most memory for its length.
fn dense(field: &str, header: u8, count: u16, unit: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81, 0xa0 | u8::try_from(field.len()).unwrap()];
    frame.extend_from_slice(field.as_bytes());
    frame.push(header);
    frame.extend_from_slice(&count.to_be_bytes());
    frame.extend_from_slice(&unit.repeat(usize::from(count)));
    frame
}

#[test]
fn decoding_an_event_and_setting_fields_does_not_allocate() {
    let message = Message {
        dest: "event:iot".into(),
        metadata: Some([("/a", "b"), ("/c", "d")].into()),
        payload: Some(vec![7; 100]),
        headers: Some(["x: y"].into()),
        ..Message::default()
    };
    let (mut frame, mut http, mut kafka) = (Vec::new(), Vec::with_capacity(1024), Vec::with_capacity(1024));
    message.as_ref().encode_v3(&mut frame);
    let (bytes, ()) = allocated(|| {
        let mut event = MessageRef::decode_v3(&frame).unwrap();
        event.check_utf8().unwrap();
        event.set_metadata("/xmidt-timestamp", "now");
        event.set_partner_ids(&["comcast"]);
        event.session_id = "session".into();
        event.encode_v3(&mut http);
        event.set_metadata("/account-id", "1");
        event.set_metadata("/hw-deviceid", "mac:112233445566");
        event.encode_v5(&mut kafka);
    });
    assert_eq!(bytes, 0);
}

#[test]
fn the_densest_messages_take_a_bounded_multiple_of_their_length() {
    let frames = [
        dense("headers", 0xdc, 60_000, &[0xa0]),
        dense("spans", 0xdc, 60_000, &[0x90]),
        dense("metadata", 0xde, 30_000, &[0xa0, 0xa0]),
    ];
    for frame in &frames {
        let (bytes, decoded) = allocated(|| MessageRef::decode_v3(frame).unwrap());
        assert!(bytes <= 4 * frame.len(), "decoding {} took {bytes}", frame.len());
        let (bytes, _) = allocated(|| decoded.to_owned());
        assert!(bytes <= 32 * frame.len(), "owning {} took {bytes}", frame.len());
    }
    let texts = ["\"\",", "[],", "null,"];
    for text in texts {
        let text = format!("{{\"spans\":[{}null]}}", text.repeat(10_000)).replace("\"\",", "[\"\"],");
        let (bytes, decoded) = allocated(|| json::decode_v3(text.as_bytes()));
        assert!(decoded.is_ok());
        assert!(bytes <= 64 * text.len(), "decoding {} took {bytes}", text.len());
    }
}

#[test]
fn a_map_of_equal_keys_does_not_keep_the_decoder_busy() {
    // Half a million entries with two keys. If each were compared with each, this would take hours.
    let mut frame = b"\x81\xa8metadata\xdf\x00\x07\xa1\x20".to_vec();
    frame.extend_from_slice(&b"\xa1a\xa0\xa1b\xa0".repeat(250_000));
    let decoded = MessageRef::decode_v3(&frame).unwrap();
    assert_eq!(decoded.metadata.unwrap().len(), 2);
}

proptest! {
    #[test]
    fn no_length_prefix_is_trusted(frame in huge_length_prefixes()) {
        let (bytes, _) = allocated(|| {
            let _ = MessageRef::decode_v3(&frame);
            let _ = MessageRef::decode_v5(&frame);
        });
        prop_assert!(bytes <= 4 * frame.len(), "{} took {bytes}", frame.len());
    }

    #[test]
    fn any_bytes_take_a_small_multiple_of_their_length(frame in vec(any::<u8>(), 0..300)) {
        let (bytes, _) = allocated(|| {
            let _ = MessageRef::decode_v3(&frame);
            let _ = MessageRef::decode_v5(&frame);
        });
        prop_assert!(bytes <= 4 * frame.len(), "{} took {bytes}", frame.len());
        let (bytes, _) = allocated(|| {
            let _ = json::decode_v3(&frame);
            let _ = json::decode_v5(&frame);
        });
        prop_assert!(bytes <= 64 * frame.len(), "{} took {bytes}", frame.len());
    }
}
