//! What the gateway allocates for an event, a request and a connect, over real sockets, with far ends whose allocations are not
//! counted.
//!
//! One thing happens at a time, and is counted until all is quiet again: nearly all repetitions give the same number. In a burst, a device sends 64 events in one write; the result is the median of an event's share, which varies a little.
//!
//! `testdata/counts/allocations.txt` has the results of before, that of a disconnect on a busy machine, where ends wait for their turn. This test fails if one of them grows by one allocation;
//! `UPDATE=1` writes the file. Counted are all threads of the gateway, but not librdkafka's C code.

mod far_ends;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use talaria::auth::BasicKeys;
use talaria::config::{self, Config, Sources};
use talaria::gateway::Gateway;
use talaria::server::Address;
use tokio::runtime::Runtime;
use wrpkafka::PublishEvent;
use wrpkafka::mock::MockKafka;

use crate::support::allocator::Allocated;
use crate::support::{allocator, alone};
use far_ends::{CREDENTIALS, Device, Receiver, Service};

/// Repetitions that are counted, after half as many that are not.
const TIMES: usize = 100;

/// The least number of repetitions with the same count that is no accident.
const OFTEN: usize = 25;

/// The events of a burst, and how many bursts are counted.
const BURST: usize = 64;
const BURSTS: usize = 15;

/// The bound of each wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing may be allocated for so long before all is quiet.
const QUIET: Duration = Duration::from_millis(2);

/// What one event, request or connect allocates.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Count {
    allocations: f64,
    bytes: f64,
}

/// A gateway with its far ends.
struct Counted {
    runtime: Runtime,
    gateway: std::net::SocketAddr,
    receiver: Receiver,
    /// Records that the brokers have acknowledged.
    records: Arc<AtomicU64>,
    _kafka: MockKafka,
}

/// What has happened at the far ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arrived {
    http: u64,
    kafka: u64,
}

#[test]
fn an_event_a_request_and_a_connect_allocate_no_more_than_before() {
    alone("allocations::an_event_a_request_and_a_connect_allocate_no_more_than_before", || {
        allocator::except_this_thread();
        let counts = count_all();
        compare(&counts);
    });
}

fn count_all() -> BTreeMap<String, Count> {
    let counted = Counted::start();
    let gateway = counted.gateway;
    let nothing = counted.arrived();
    let mut device = Device::connect(gateway, 0);
    // Its online event.
    counted.quiet(nothing, 1);
    let mut counts = BTreeMap::new();
    for qos in [10, 80] {
        let acks = qos >= 25;
        let one = counted.each(|| {
            device.send(1, qos);
            if acks {
                device.receive();
            }
            1
        });
        counts.insert(format!("event-qos{qos}"), one);
        let burst = counted.bursts(|| {
            device.send(BURST, qos);
            for _ in 0..if acks { BURST } else { 0 } {
                device.receive();
            }
        });
        counts.insert(format!("event-qos{qos}-burst"), burst);
    }
    let mut service = Service::connect(gateway, &device);
    let request = counted.each(|| {
        service.send();
        device.answer();
        service.receive();
        0
    });
    counts.insert("request".to_owned(), request);
    let mut connected = Vec::new();
    let connect = counted.each(|| {
        connected.push(Device::connect(gateway, connected.len() + 1));
        1
    });
    counts.insert("connect".to_owned(), connect);
    let disconnect = counted.each(|| {
        drop(connected.pop());
        1
    });
    counts.insert("disconnect".to_owned(), disconnect);
    counted.runtime.shutdown_background();
    counts
}

impl Counted {
    fn start() -> Self {
        let kafka = MockKafka::start(4).expect("a mock of Kafka");
        let receiver = Receiver::start();
        // Its own threads are counted.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let config = configuration(&receiver, kafka.brokers());
        let bound = runtime.block_on(async { Gateway::build(config).expect("is built").bind() });
        let bound = bound.expect("free ports");
        let gateway = bound.addresses().primary;
        let records = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&records);
        bound.gateway().publisher().add_listener(move |event: &PublishEvent<'_>| {
            assert!(event.error_type.is_none(), "{:?}", event.error_type);
            counted.fetch_add(1, Relaxed);
        });
        runtime.spawn(Box::pin(bound.run(std::future::pending())));
        Self { runtime, gateway, receiver, records, _kafka: kafka }
    }

    /// What one call of `happen` allocates, which sends the events that it returns.
    fn each(&self, mut happen: impl FnMut() -> u64) -> Count {
        let mut counted = Vec::new();
        for time in 0..TIMES + TIMES / 2 {
            let (arrived, before) = (self.arrived(), Allocated::total());
            let events = happen();
            self.quiet(arrived, events);
            if time >= TIMES / 2 {
                let Allocated { allocations, bytes } = Allocated::total().since(before);
                counted.push((allocations, bytes));
            }
        }
        // Some repetitions have one more, as the threads happen to meet, or because a table grows. A few have one less, since a
        // part of them was counted to the one before.
        counted.sort_unstable();
        let times = |count: u64| counted.iter().filter(|(allocations, _)| *allocations == count).count();
        let (allocations, bytes) =
            *counted.iter().find(|(allocations, _)| times(*allocations) >= OFTEN).expect("many are equal");
        Count { allocations: allocations as f64, bytes: bytes as f64 }
    }

    /// What one event of a burst allocates, which `happen` sends.
    fn bursts(&self, mut happen: impl FnMut()) -> Count {
        let mut counted = Vec::new();
        for time in 0..BURSTS + BURSTS / 2 {
            let (arrived, before) = (self.arrived(), Allocated::total());
            happen();
            self.quiet(arrived, BURST as u64);
            if time >= BURSTS / 2 {
                let Allocated { allocations, bytes } = Allocated::total().since(before);
                counted.push((allocations, bytes));
            }
        }
        counted.sort_unstable();
        let (allocations, bytes) = counted[counted.len() / 2];
        let share = |count: u64| (count as f64 / BURST as f64 * 10.0).round() / 10.0;
        Count { allocations: share(allocations), bytes: share(bytes).round() }
    }

    fn arrived(&self) -> Arrived {
        Arrived { http: self.receiver.events(), kafka: self.records.load(Relaxed) }
    }

    /// Waits until so many more events than `before` have arrived at both far ends, and until nothing is allocated any more.
    fn quiet(&self, before: Arrived, events: u64) {
        let expected = Arrived { http: before.http + events, kafka: before.kafka + events };
        let until = Instant::now() + PATIENCE;
        let (mut last, mut since) = (Allocated::total(), Instant::now());
        while self.arrived() != expected || since.elapsed() < QUIET {
            let arrived = self.arrived();
            assert!(Instant::now() < until, "{arrived:?} have arrived, not {expected:?}");
            std::thread::park_timeout(Duration::from_micros(200));
            if Allocated::total() != last {
                (last, since) = (Allocated::total(), Instant::now());
            }
        }
    }
}

fn configuration(receiver: &Receiver, brokers: String) -> Config {
    let mut config = config::load(&Sources::default()).expect("the defaults").config;
    config.primary.address = Address::loopback(0);
    (config.health, config.metric) = (None, None);
    config.api.auth.keys = BasicKeys::parse([STANDARD.encode(CREDENTIALS)]).expect("credentials");
    config.event.endpoints.insert("default", [receiver.url().as_str()]);
    config.kafka = Some(wrpkafka::Config { brokers: vec![brokers], ..wrpkafka::Config::default() });
    config
}

/// Compares with the file, or writes it.
///
/// # Panics
/// When a count has grown by one allocation.
fn compare(counts: &BTreeMap<String, Count>) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/counts/allocations.txt"));
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let before = read(&before);
    let mut grown = Vec::new();
    println!("{:<20} {:>12} {:>12} {:>12}", "each", "allocations", "before", "bytes");
    for (name, count) in counts {
        let Count { allocations, bytes } = *count;
        let old = before.get(name.as_str()).map(|count| count.allocations);
        let shown = old.map_or("-".to_owned(), |old| old.to_string());
        println!("{name:<20} {allocations:>12} {shown:>12} {bytes:>12}");
        if old.is_none_or(|old| allocations >= old + 1.0) {
            grown.push(name);
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, written(counts)).expect("the file can be written");
        return;
    }
    assert!(
        grown.is_empty(),
        "more allocations than in {}: {grown:?}; see docs/performance.md",
        path.display()
    );
}

/// The lines of the file: name, allocations, bytes.
fn read(text: &str) -> BTreeMap<&str, Count> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [name, allocations, bytes] => {
                let number = |text: &str| text.parse().expect("a number");
                (name, Count { allocations: number(allocations), bytes: number(bytes) })
            }
            _ => panic!("not a name and two numbers: {line}"),
        })
        .collect()
}

fn written(counts: &BTreeMap<String, Count>) -> String {
    let mut text = String::from(
        "# What one of each allocates in the gateway: allocations, bytes. Written by `UPDATE=1 just count`; see\n\
         # docs/performance.md.\n",
    );
    for (name, Count { allocations, bytes }) in counts {
        // A share of a burst varies by less than one.
        writeln!(text, "{name:<20} {:>6} {bytes:>8}", allocations.ceil()).expect("a string");
    }
    text
}
