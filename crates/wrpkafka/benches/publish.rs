//! What publishing costs the caller: `cargo bench -p wrpkafka --features mock --bench publish`
//!
//! `prepare` is everything before the client: routes, keys, headers, the v5 encoding (issue 4: under 700 ns with five
//! routes). `submit` is the whole call, into a real client whose records go to the mock cluster, in CPU time of the calling
//! thread (under 2 µs).

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::unwrap_used, reason = "a benchmark stops at what it cannot measure")]

mod cpu;
mod sample;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sample::{five_routes, message};
use wrpkafka::mock::MockKafka;
use wrpkafka::{Config, Publisher};

/// Records that are submitted in a row, so that no call meets a full buffer.
const BATCH: u64 = 2_000;

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
            bencher.iter_custom(|iterations| {
                let mut used = Duration::ZERO;
                for first in (0..iterations).step_by(usize::try_from(BATCH).unwrap()) {
                    // Not measured: until there is room for the batch.
                    while publisher.buffered().records > 8 * BATCH {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                    let before = cpu::of_thread();
                    for _ in first..iterations.min(first + BATCH) {
                        let _ = black_box(publisher.submit_with(black_box(&message), None));
                    }
                    used += cpu::of_thread() - before;
                }
                used
            });
        });
    }
}

criterion_group!(benches, publish);
criterion_main!(benches);
