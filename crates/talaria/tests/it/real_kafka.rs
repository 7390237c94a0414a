//! The gateway in front of a real Apache Kafka, read back with Kafka's own Java client.
//!
//! Needs Java and Maven, and says `SKIPPED` where they are missing; with `TALARIA_REQUIRE_KAFKA=1` it fails instead.
//! The broker is shared, so the tests run one after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use realkafka::{Kafka, Record};

use crate::support::device::Device;
use crate::support::event::{event, number, text};
use crate::support::eventually;
use crate::support::kafka::{TOPIC, broker, message};
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

/// Levels of quality of service, one of each kind: the first may be lost when there is no room, the others may not.
const QOS: [i64; 4] = [0, 30, 60, 90];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_in_the_topic_as_wrp_v5_under_its_device_where_java_would_put_it() {
    const DEVICES: usize = 40;
    const EVENTS: usize = 8;
    let Some(kafka) = broker().await else { return };
    let receiver = Receiver::start().await;
    let gateway = GatewayProcess::start(&configuration(&kafka, &receiver, "")).await;
    let mut devices = connect(&gateway, "0a", DEVICES).await;
    for device in &devices {
        for n in 0..EVENTS {
            device.send(event(device.id(), n, QOS[n % QOS.len()]));
        }
    }
    eventually("the receiver has all", Duration::from_secs(20), async || {
        receiver.count() == DEVICES * (1 + EVENTS)
    })
    .await;
    // Half of the devices leave by themselves, the others stay until the gateway goes.
    devices.drain(..DEVICES / 2).for_each(Device::close);
    eventually("the receiver has heard who left", Duration::from_secs(20), async || {
        receiver.count() == DEVICES * (1 + EVENTS) + DEVICES / 2
    })
    .await;
    assert!(gateway.terminate().await.success());

    let records = kafka.read(TOPIC, "mac:0a", DEVICES * (2 + EVENTS));
    let mut found = BTreeMap::<String, usize>::new();
    for record in &records {
        let message = message(record);
        let device = record.key.as_deref().expect("a key");
        assert_eq!(Some(record.partition), record.expected_partition, "the partition of {device}");
        assert!(text(&message.dest).contains(device), "{} is under {device}", text(&message.dest));
        *found.entry(text(&message.dest).to_owned()).or_default() += 1;
    }
    let expected = ids("0a", DEVICES).flat_map(|id| {
        let own = (0..EVENTS).map(|n| text(&event(&id, n, 0).dest).to_owned()).collect::<Vec<_>>();
        own.into_iter().chain(["online", "offline"].map(|state| format!("event:device-status/{id}/{state}")))
    });
    let expected: BTreeSet<String> = expected.collect();
    let lost: Vec<_> = expected.iter().filter(|dest| !found.contains_key(*dest)).collect();
    let odd: Vec<_> =
        found.iter().filter(|(dest, count)| !expected.contains(*dest) || **count != 1).collect();
    assert!(lost.is_empty() && odd.is_empty(), "each exactly once; lost: {lost:?}, unexpected: {odd:?}");
    let partitions: BTreeSet<i32> = records.iter().map(|record| record.partition).collect();
    assert!(partitions.len() > 6, "40 devices are spread over the partitions: {partitions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_dies_and_comes_back_costs_no_event_that_matters_and_http_nothing_at_all() {
    const DEVICES: usize = 20;
    let outage = Outage::from_environment();
    let Some(mut kafka) = broker().await else { return };
    let receiver = Receiver::start().await;
    // Room for little, so that it is used up and what may be dropped is dropped.
    let gateway = GatewayProcess::start(&configuration(&kafka, &receiver, "maxBufferedRecords: 300")).await;
    let devices = connect(&gateway, "0b", DEVICES).await;

    let mut sent = Traffic::new(outage.rate);
    sent.run(&devices, Duration::from_secs(2)).await;
    let before = sent.latencies(&receiver);
    kafka.kill();
    let killed = Instant::now();
    sent.run(&devices, outage.length).await;
    for ack in devices.iter().flat_map(|device| device.acks().clone()) {
        let event = number(&ack).expect("an acknowledgement names its event");
        assert!(sent.times[&event] < killed, "{event:?} is acknowledged although there is no broker");
    }
    let (already, events) = (before.len(), sent.times.len());
    eventually("HTTP has all although the broker is away", Duration::from_secs(20), async || {
        receiver.count() >= events - already
    })
    .await;
    let during = sent.latencies(&receiver);
    println!("HTTP latency before: {}; without the broker: {}", quantiles(&before), quantiles(&during));
    assert!(during.last() < Some(&outage.length), "HTTP waits for no broker: {}", quantiles(&during));

    tokio::task::block_in_place(|| kafka.restart());
    sent.run(&devices, Duration::from_secs(1)).await;
    let matter = sent.qos.values().filter(|qos| **qos >= 25).count();
    eventually("all events that matter are acknowledged", Duration::from_secs(90), async || {
        acks(&devices) == matter
    })
    .await;
    assert!(devices.iter().all(Device::is_connected), "no device was disconnected");
    let all_delivered = devices.iter().all(|device| device.acks().iter().all(|ack| ack.rdr == Some(0)));
    assert!(all_delivered, "each was acknowledged as delivered");
    let dropped =
        gateway.metric("kafka_messages_published_total", &["error_type=\"buffer_full\""]).await as usize;
    assert!(gateway.terminate().await.success());

    let low = sent.qos.len() - matter;
    let records = kafka.read(TOPIC, "mac:0b", DEVICES * 2 + matter + low - dropped);
    let mut counts = HashMap::<(String, usize), usize>::new();
    for record in &records {
        if let Some(event) = number(&message(record)) {
            *counts.entry(event).or_default() += 1;
        }
    }
    let lost: Vec<_> =
        sent.qos.iter().filter(|(event, qos)| **qos >= 25 && !counts.contains_key(*event)).take(10).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let doubled: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).take(10).collect();
    assert!(doubled.is_empty(), "more than once: {doubled:?}");
    let low_found = counts.keys().filter(|event| sent.qos[*event] < 25).count();
    assert!(dropped > 0, "the buffer was full for a while");
    assert_eq!(low_found + dropped, low, "a low event is in the topic or counted as dropped");
    assert_in_order(&records, &sent.qos);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_without_its_broker_serves_and_delivers_when_the_broker_comes() {
    const DEVICES: usize = 10;
    const EVENTS: usize = 10;
    let Some(mut kafka) = broker().await else { return };
    kafka.kill();
    let receiver = Receiver::start().await;
    let gateway = GatewayProcess::start(&configuration(&kafka, &receiver, "")).await;
    assert!(gateway.is_healthy().await);
    let devices = connect(&gateway, "0c", DEVICES).await;
    for device in &devices {
        (0..EVENTS).for_each(|n| device.send(event(device.id(), n, 75)));
    }
    eventually("HTTP has all", Duration::from_secs(10), async || receiver.count() == DEVICES * (1 + EVENTS))
        .await;
    assert_eq!(acks(&devices), 0, "nothing is acknowledged before there is a broker");

    tokio::task::block_in_place(|| kafka.restart());
    eventually("all are acknowledged", Duration::from_secs(60), async || acks(&devices) == DEVICES * EVENTS)
        .await;
    assert!(gateway.terminate().await.success());
    let records = kafka.read(TOPIC, "mac:0c", DEVICES * (2 + EVENTS));
    let found: BTreeSet<_> = records.iter().filter_map(|record| number(&message(record))).collect();
    assert_eq!((found.len(), records.len()), (DEVICES * EVENTS, DEVICES * (2 + EVENTS)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_receiver_that_takes_its_time_holds_up_neither_kafka_nor_a_device() {
    const DEVICES: usize = 20;
    const EVENTS: usize = 100;
    const RECORDS: usize = DEVICES * (1 + EVENTS);
    let Some(kafka) = broker().await else { return };
    let receiver = Receiver::answering_after(Duration::from_secs(5)).await;
    let gateway = GatewayProcess::start(&configuration(&kafka, &receiver, "")).await;
    let devices = connect(&gateway, "0d", DEVICES).await;
    for device in &devices {
        (0..EVENTS).for_each(|n| device.send(event(device.id(), n, 75)));
    }
    // 2,000 events through a receiver that answers 20 a second would take well over a minute.
    eventually("Kafka has all records", Duration::from_secs(10), async || {
        gateway.metric("kafka_messages_published_total", &["error_type=\"success\""]).await as usize
            == RECORDS
    })
    .await;
    assert!(devices.iter().all(Device::is_connected), "no device was disconnected");
    assert_eq!(kafka.read(TOPIC, "mac:0d", RECORDS).len(), RECORDS);
    drop(gateway); // killed: it would wait for the receiver
}

/// The `kafka` section is the least that works; `more` is one more line of it. HTTP's queue has room for the pauses of a busy
/// machine, so that what is missing at the receiver was not dropped for want of room.
fn configuration(kafka: &Kafka, receiver: &Receiver, more: &str) -> String {
    format!(
        "device:\n  outbound:\n    source: \"dns:talaria.test\"\n    outboundQueueSize: 20000\n    \
         eventEndpoints: {{default: \"{}\"}}\n\
         kafka:\n  enabled: true\n  brokers: [\"{}\"]\n  {more}\n",
        receiver.url(),
        kafka.bootstrap(),
    )
}

fn quantiles(sorted: &[Duration]) -> String {
    let [p50, p99, max] = [50, 99, 100].map(|percent| sorted[(sorted.len() - 1) * percent / 100]);
    format!("p50 {p50:?}, p99 {p99:?}, max {max:?} of {}", sorted.len())
}

/// Device ids that no other test uses, if `test` is not used by another.
fn ids(test: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |n| format!("mac:{test}00{n:08x}"))
}

async fn connect(gateway: &GatewayProcess, test: &str, count: usize) -> Vec<Device> {
    let mut devices = Vec::new();
    for id in ids(test, count) {
        devices.push(Device::connect(gateway.primary(), &id).await);
    }
    devices
}

fn acks(devices: &[Device]) -> usize {
    devices.iter().map(|device| device.acks().len()).sum()
}

/// Events of one device that matter are in the topic in the order in which they were sent.
fn assert_in_order(records: &[Record], qos: &HashMap<(String, usize), i64>) {
    let mut order = HashMap::<String, Vec<(i64, usize)>>::new();
    for record in records {
        if let Some(event) = number(&message(record)).filter(|event| qos[event] >= 25) {
            order.entry(event.0).or_default().push((record.offset, event.1));
        }
    }
    for (device, mut events) in order {
        events.sort_unstable();
        assert!(events.is_sorted_by_key(|(_, number)| *number), "the order of {device}'s events: {events:?}");
    }
}

/// How long the broker is away, and what is sent meanwhile.
struct Outage {
    length: Duration,
    /// Events a second, of all devices together.
    rate: usize,
}

impl Outage {
    /// Short for every day; `TALARIA_OUTAGE_SECONDS=30 TALARIA_OUTAGE_RATE=2000` make it long and hard, best with an optimised
    /// gateway (`TALARIA_BINARY`).
    fn from_environment() -> Self {
        let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
        Self {
            length: Duration::from_secs(number("TALARIA_OUTAGE_SECONDS", 4)),
            rate: number("TALARIA_OUTAGE_RATE", 300) as usize,
        }
    }
}

/// Events at a steady rate, over all devices in turn and all levels of quality of service, and when each was sent.
struct Traffic {
    rate: usize,
    times: HashMap<(String, usize), Instant>,
    qos: HashMap<(String, usize), i64>,
}

impl Traffic {
    fn new(rate: usize) -> Self {
        Self { rate, times: HashMap::new(), qos: HashMap::new() }
    }

    async fn run(&mut self, devices: &[Device], length: Duration) {
        const TICK: Duration = Duration::from_millis(20);
        let mut ticks = tokio::time::interval(TICK);
        let begun = Instant::now();
        let already = self.times.len();
        while begun.elapsed() < length {
            let at = ticks.tick().await.into_std();
            let due = (at - begun.min(at)).as_secs_f64() * self.rate as f64;
            while self.times.len() - already < due as usize {
                self.send(devices);
            }
        }
    }

    fn send(&mut self, devices: &[Device]) {
        let count = self.times.len();
        let (device, n) = (&devices[count % devices.len()], count / devices.len());
        let qos = QOS[n % QOS.len()];
        self.times.insert((device.id().to_owned(), n), Instant::now());
        self.qos.insert((device.id().to_owned(), n), qos);
        device.send(event(device.id(), n, qos));
    }

    /// From sending to the receiver, sorted, of everything that it got since it was last asked.
    fn latencies(&self, receiver: &Receiver) -> Vec<Duration> {
        let posted = receiver.take();
        let mut latencies: Vec<_> =
            posted.iter().filter_map(|event| Some(event.at - self.times[&number(&event.message)?])).collect();
        latencies.sort_unstable();
        latencies
    }
}
