//! The cost of the codec: the whole work on a device's event, and its parts one by one.
//!
//! The event has 350 bytes, with its keys in the order of the encoders, as most devices send it.

mod event;
mod work;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use wrp::MessageRef;

fn codec(c: &mut Criterion) {
    let mut frame = Vec::new();
    event::event().as_ref().encode_v3(&mut frame);
    assert_eq!(frame.len(), 350, "figures are only comparable for events of the same length");
    let (mut http, mut kafka) = (Vec::new(), Vec::new());
    c.bench_function("event to both sinks", |b| {
        b.iter(|| {
            work::both_sinks(black_box(&frame), &mut http, &mut kafka);
            black_box((&http, &kafka));
        });
    });

    c.bench_function("acknowledgement", |b| {
        b.iter(|| {
            work::acknowledge(black_box(&frame), &mut http);
            black_box(&http);
        });
    });
    c.bench_function("message that is passed on", |b| {
        b.iter(|| {
            work::pass_on(black_box(&frame), &mut http);
            black_box(&http);
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
