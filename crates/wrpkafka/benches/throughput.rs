//! The publisher against librdkafka's own producer in a bare loop, with the same record, in the same run:
//! `cargo bench -p wrpkafka --features mock --bench throughput`
//!
//! Both send to a mock cluster in a process of its own, by turns. The bare loop sends a value that is encoded already;
//! the publisher routes, keys and encodes each message. Issue 4 asks for at least 85 % of the bare loop's records a second,
//! and at most 1.5 times its CPU a record.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints what it has measured, and stops at what it cannot measure"
)]

mod cluster;
mod cpu;
mod sample;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use cluster::Cluster;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use sample::{TOPIC, five_routes, message};
use wrpkafka::{Config, Listener, PublishEvent, Publisher};

/// Records of one turn.
const RECORDS: u64 = 200_000;
const TURNS: usize = 7;
/// The records that either may hold.
const BUFFER: u64 = 100_000;
const LINGER: Duration = Duration::from_millis(5);
const WITHIN: Duration = Duration::from_secs(60);

/// A turn's measure.
#[derive(Clone, Copy)]
struct Measured {
    records_a_second: f64,
    cpu_nanoseconds: f64,
}

fn main() {
    if cluster::is_asked_for() {
        return cluster::serve();
    }
    let cluster = Cluster::start();
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    // The first turn of each warms up.
    for turn in 0..=TURNS {
        let measured = (bare_loop(&cluster.brokers), publisher(&cluster.brokers));
        if turn > 0 {
            bare.push(measured.0);
            ours.push(measured.1);
        }
    }
    let (bare, ours) = (median(&bare), median(&ours));
    for (name, measured) in [("bare BaseProducer", bare), ("wrpkafka submit", ours)] {
        let Measured { records_a_second, cpu_nanoseconds } = measured;
        println!("{name:>17}: {records_a_second:>9.0} records/s, {cpu_nanoseconds:>6.0} ns of CPU a record");
    }
    println!(
        "            ratio: {:.1} % of the records a second (at least 85), {:.2} times the CPU (at most 1.5)",
        100.0 * ours.records_a_second / bare.records_a_second,
        ours.cpu_nanoseconds / bare.cpu_nanoseconds,
    );
}

fn median(turns: &[Measured]) -> Measured {
    let middle = |value: fn(&Measured) -> f64| {
        let mut values: Vec<f64> = turns.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Measured {
        records_a_second: middle(|turn| turn.records_a_second),
        cpu_nanoseconds: middle(|turn| turn.cpu_nanoseconds),
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures of three digits")]
fn measure(work: impl FnOnce()) -> Measured {
    let (begun, used) = (Instant::now(), cpu::of_process());
    work();
    let (elapsed, used) = (begun.elapsed(), cpu::of_process() - used);
    Measured {
        records_a_second: RECORDS as f64 / elapsed.as_secs_f64(),
        cpu_nanoseconds: used.as_nanos() as f64 / RECORDS as f64,
    }
}

/// Counts acknowledged records, for either.
#[derive(Clone, Default)]
struct Acknowledged(Arc<AtomicU64>);

impl Acknowledged {
    fn wait(&self) {
        let begun = Instant::now();
        while self.0.load(Relaxed) < RECORDS {
            assert!(begun.elapsed() < WITHIN, "{} of {RECORDS} records", self.0.load(Relaxed));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        assert!(result.is_ok(), "a record was not delivered");
        self.0.fetch_add(1, Relaxed);
    }
}

impl Listener for Acknowledged {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        assert!(event.error.is_none(), "{:?}", event.error);
        self.0.fetch_add(1, Relaxed);
    }
}

/// librdkafka as `rdkafka_performance` uses it: send, and serve the reports when the queue is full.
fn bare_loop(brokers: &str) -> Measured {
    let acknowledged = Acknowledged::default();
    let producer: BaseProducer<Acknowledged> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("partitioner", "murmur2_random")
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", "0")
        .set("linger.ms", LINGER.as_millis().to_string())
        .set("queue.buffering.max.messages", BUFFER.to_string())
        .set("queue.buffering.max.kbytes", i32::MAX.to_string())
        .create_with_context(acknowledged.clone())
        .unwrap();
    let message = message();
    let mut value = Vec::new();
    message.encode_v5(&mut value);
    let (key, source) = ("mac:112233445566", message.source.to_string());
    let done = AtomicBool::new(false);
    measure(|| {
        std::thread::scope(|scope| {
            // As in the publisher, one thread serves the reports.
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    producer.poll(Duration::from_millis(100));
                }
            });
            for _ in 0..RECORDS {
                loop {
                    let headers = OwnedHeaders::new_with_capacity(2)
                        .insert(Header { key: "source", value: Some(source.as_str()) })
                        .insert(Header { key: "type", value: Some("SimpleEventMessageType") });
                    let record = BaseRecord::to(TOPIC).key(key).payload(&value).headers(headers);
                    match producer.send(record).map_err(|(error, _)| error) {
                        Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        sent => break sent.unwrap(),
                    }
                }
            }
            acknowledged.wait();
            done.store(true, Relaxed);
        });
        producer.flush(WITHIN).unwrap();
    })
}

fn publisher(brokers: &str) -> Measured {
    let mut config =
        Config { brokers: vec![brokers.to_owned()], max_buffered_records: BUFFER, ..Config::default() };
    five_routes(&mut config);
    config.dynamic.linger = LINGER;
    let publisher = Publisher::new(config).unwrap();
    let acknowledged = Acknowledged::default();
    publisher.add_listener(acknowledged.clone());
    publisher.start().unwrap();
    let message = message();
    measure(|| {
        for number in 0..RECORDS {
            // Checked often enough that the backlog never fills.
            while number % 1_000 == 0 && publisher.buffered().records + 1_000 > BUFFER {
                std::thread::sleep(Duration::from_millis(1));
            }
            publisher.submit_with(&message, None).unwrap();
        }
        acknowledged.wait();
    })
}
