//! The cost of the codec: the whole work on a device's event, and its parts one by one.
//!
//! The event has 350 bytes, with its keys in the order of the encoders, as most devices send it.

mod event;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use wrp::{MessageRef, OCTET_STREAM};

const STAMP: &str = "2026-11-24T04:00:00.123456789Z";
const SESSION: &str = "2ZzF0Zb8h5Q1WkVqR7mT3xYp9Ls";
const PARTNERS: &[&str] = &["comcast"];

/// The gateway's work on an event from a device, up to the bytes for both sinks.
fn both_sinks(frame: &[u8], http: &mut Vec<u8>, kafka: &mut Vec<u8>) {
    let Ok(mut message) = MessageRef::decode_v3(frame) else { return };
    if message.check_utf8().is_err() {
        return;
    }
    if message.content_type.is_empty() {
        message.content_type = OCTET_STREAM.into();
    }
    message.set_metadata("/xmidt-timestamp", black_box(STAMP));
    message.set_partner_ids(black_box(PARTNERS));
    message.session_id = black_box(SESSION).into();
    http.clear();
    message.encode_v3(http);

    message.set_metadata("/account-id", black_box("4711"));
    message.set_metadata("/hw-deviceid", black_box("mac:112233445566"));
    kafka.clear();
    message.encode_v5(kafka);
}

fn codec(c: &mut Criterion) {
    let mut frame = Vec::new();
    event::event().as_ref().encode_v3(&mut frame);
    assert_eq!(frame.len(), 350, "figures are only comparable for events of the same length");
    let (mut http, mut kafka) = (Vec::new(), Vec::new());
    c.bench_function("event to both sinks", |b| {
        b.iter(|| {
            both_sinks(black_box(&frame), &mut http, &mut kafka);
            black_box((&http, &kafka));
        });
    });

    c.bench_function("decode", |b| b.iter(|| black_box(MessageRef::decode_v3(black_box(&frame)).is_ok())));
    let Ok(message) = MessageRef::decode_v3(&frame) else { return };
    c.bench_function("check utf-8", |b| b.iter(|| black_box(black_box(&message).check_utf8().is_ok())));
    c.bench_function("encode v3", |b| {
        b.iter(|| {
            http.clear();
            black_box(&message).encode_v3(&mut http);
            black_box(&http);
        });
    });
    c.bench_function("encode v5", |b| {
        b.iter(|| {
            kafka.clear();
            black_box(&message).encode_v5(&mut kafka);
            black_box(&kafka);
        });
    });
    c.bench_function("encode json v3", |b| {
        b.iter(|| {
            http.clear();
            wrp::json::encode_v3(black_box(&message), &mut http);
            black_box(&http);
        });
    });
}

criterion_group!(benches, codec);
criterion_main!(benches);
