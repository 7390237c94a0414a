//! What publishing costs the caller: `cargo bench -p wrpkafka --features mock`
//!
//! `prepare` is everything before the client: routes, keys, headers, the v5 encoding. `submit` is the whole call, into a
//! real client whose records go to the mock cluster.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at what it cannot measure")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use wrp::{MessageRef, MessageType, Qos};
use wrpkafka::mock::MockKafka;
use wrpkafka::{Config, Publisher, Route};

/// As many records as a batch of the benchmark submits, so that no call meets a full buffer.
const BATCH: u64 = 2_000;

fn message() -> MessageRef<'static> {
    let mut message = MessageRef {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "mac:112233445566/config".into(),
        dest: "event:device-status/mac:112233445566/online".into(),
        content_type: "application/json".into(),
        payload: Some(&[b'x'; 120]),
        session_id: "2ZzF0Zb8h5Q12ZzF0Zb8h5Q1abc".into(),
        qos: Qos(25),
        ..MessageRef::default()
    };
    message.set_partner_ids(&["comcast"]);
    message.set_metadata("/hw-deviceid", "mac:112233445566");
    message.set_metadata("/xmidt-timestamp", "2026-11-24T04:00:00.123456789Z");
    message.set_metadata("/account-id", "4711");
    message
}

/// Five routes, of which the last takes the message, and two headers.
fn five_routes(config: &mut Config) {
    let route = |pattern: &str, topic: &str| Route {
        pattern: pattern.to_owned(),
        topic: topic.to_owned(),
        ..Route::default()
    };
    config.dynamic.topic_map = vec![
        route("iot", "iot"),
        route("reboot-*", "reboots"),
        route("*-change", "changes"),
        route("fully-manageable", "manageable"),
        route("device-*", "wrp-events"),
    ];
    config.dynamic.headers = vec![
        ("source".to_owned(), vec!["wrp.Source".to_owned()]),
        ("type".to_owned(), vec!["wrp.Type".to_owned()]),
    ];
}

fn publish(criterion: &mut Criterion) {
    let message = message();
    let mut config = Config { brokers: vec!["localhost:1".to_owned()], ..Config::default() };
    five_routes(&mut config);
    let bench = wrpkafka::bench::Preparation::new(&config).unwrap();
    criterion.bench_function("prepare: five routes, two headers", |bencher| {
        bencher.iter(|| bench.prepare(black_box(&message)));
    });

    for headers in [false, true] {
        let kafka = MockKafka::start(4).unwrap();
        let mut config =
            Config { brokers: vec![kafka.brokers()], max_buffered_records: 16 * BATCH, ..Config::default() };
        five_routes(&mut config);
        if !headers {
            config.dynamic.headers.clear();
        }
        config.dynamic.linger = Duration::from_millis(5);
        let publisher = Publisher::new(config).unwrap();
        publisher.start().unwrap();
        let name = if headers { "submit: two headers" } else { "submit: no headers" };
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(
                // The setup is not measured: it waits until there is room for the batch.
                || {
                    while publisher.buffered().records > 8 * BATCH {
                        std::thread::yield_now();
                    }
                },
                |()| publisher.submit(black_box(&message), None),
                BatchSize::NumIterations(BATCH),
            );
        });
    }
}

criterion_group!(benches, publish);
criterion_main!(benches);
