//! Three real brokers that are restarted one after the other, leaders that move, and a configuration that changes, all under load:
//! nothing that matters is lost or reordered, none but what librdkafka may double is doubled, and what was counted here is what the
//! topics hold.
//!
//! Needs Java and Maven, and says `SKIPPED` where they are missing; with `TALARIA_REQUIRE_KAFKA=1` it fails instead.
//! Small by default; CONTRIBUTING has the command for the whole drill.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use realkafka::{Kafka, Setup};
use wrpkafka::config::{Sasl, Tls};
use wrpkafka::{ClientStats, Config, DynamicConfig, ErrorType, Listener, PublishEvent, Publisher, Route};

use crate::support::events::numbered;
use crate::support::{PATIENCE, eventually, pass_time, real_kafka, started};

const BROKERS: u32 = 3;
const TOPICS: [&str; 3] = ["drill-a", "drill-b", "drill-c"];
const DEVICES: usize = 200;
/// Levels of quality of service, in turn. The first may be dropped when there is no room, the others may not be lost.
const QOS: [i64; 4] = [0, 30, 60, 90];
const LISTENER: &str = "SASL_PLAINTEXT";
const USERS: [(&str, &str); 2] = [("gateway", "first-password"), ("successor", "second-password")];
const MECHANISMS: [&str; 3] = ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"];
/// The load goes on this long before the first change and after the last.
const CALM: Duration = Duration::from_secs(2);
/// From one change of the configuration to the next.
const PERIOD: Duration = Duration::from_millis(1500);
/// Between the client's reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// The marker of messages that matter, and that of the others.
const MARKERS: [&str; 2] = ["seq=", "low="];

#[tokio::test]
async fn restarts_leader_changes_and_new_configurations_under_load_cost_nothing_that_matters() {
    let drill = Drill::from_environment();
    let _alone = real_kafka().await;
    let Some(kafka) = cluster() else { return };
    assert_faults_are_seen(&kafka).await;
    let publisher = started(Settings::new().config(&kafka));
    let tally = Arc::new(Tally::default());
    publisher.add_listener(Arc::<Tally>::clone(&tally));

    let load = Load::start(&publisher, drill.rate);
    pass_time(CALM);
    drill.run(&kafka, &publisher);
    pass_time(CALM);
    let sent = load.stop();
    let over = Instant::now();
    eventually("the result of every message is known", PATIENCE, || {
        sent.receipts() == sent.low + sent.matter
    });
    println!("all results were known {:?} after the last message", over.elapsed());
    let delivered = tally.delivered();
    eventually("the client's statistics have every record of each topic", PATIENCE, || {
        let produced = produced(&publisher);
        delivered.iter().all(|(topic, records)| produced.get(topic).copied().unwrap_or_default() >= *records)
    });
    println!("the client's statistics: {:?}", produced(&publisher));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);

    let [counts, low] = MARKERS.map(|marker| kafka.count_marked(&TOPICS, marker));
    println!(
        "sent {} that matter and {} others; told: {tally:?}; in the topics: {counts:?}",
        sent.matter, sent.low
    );
    let mut written = delivered;
    for (marker, counts) in MARKERS.into_iter().zip([&counts, &low]) {
        assert_eq!(counts.duplicated.len() as u64, counts.duplicates, "more than once: {counts:?}");
        for again in &counts.duplicated {
            let stay = sent.stays.lock()[&(again.key.clone(), marker, again.number as usize)];
            let epochs = tally.epochs.lock();
            assert!(may_be_doubled(stay, &epochs), "twice: {again:?}, {stay:?}, {epochs:?}: {counts:?}");
            *written.get_mut(&again.topic).unwrap() += 1;
        }
    }
    assert_eq!((counts.distinct, counts.gaps), (sent.matter, 0), "lost: {counts:?}");
    assert_eq!(counts.disordered, 0, "the order within a key: {counts:?}");
    assert_eq!(counts.misplaced, 0, "where a Java producer would put it: {counts:?}");
    assert_eq!(counts.keys, DEVICES as u64);
    assert_eq!(counts.topics, written, "what the publish events counted, by topic");
    let failures = tally.failures();
    let dropped = failures.get(&ErrorType::BufferFull).copied().unwrap_or_default();
    assert_eq!(failures.values().sum::<u64>(), dropped, "nothing failed but for want of room: {failures:?}");
    let in_topics: u64 = counts.topics.values().sum();
    assert_eq!(
        in_topics + dropped,
        sent.low + sent.matter + counts.duplicates + low.duplicates,
        "a low event is in a topic or was counted as dropped"
    );
}

/// Whether librdkafka may have written a record twice (its issue 4953): only one that was under way when the client began another
/// producer epoch, which it has told by one of these reports.
fn may_be_doubled(stay: Stay, epochs: &[Instant]) -> bool {
    // A report may be late by one interval where the machine is busy.
    epochs.iter().any(|&told| stay.sent <= told && stay.ended + 2 * REPORT_INTERVAL >= told)
}

#[test]
fn only_what_was_under_way_when_a_producer_epoch_began_may_be_doubled() {
    let begun = Instant::now();
    let at = |millis| begun + Duration::from_millis(millis);
    let stay = Stay { sent: at(1000), ended: at(1200) };
    assert!(!may_be_doubled(stay, &[]));
    assert!(may_be_doubled(stay, &[at(1100)]) && may_be_doubled(stay, &[at(1), at(2200)]));
    assert!(!may_be_doubled(stay, &[at(999), at(2201)]));
}

/// The count that all rests upon sees a record that is missing, doubled or behind a later one.
async fn assert_faults_are_seen(kafka: &Kafka) {
    let topic = "faulty";
    kafka.create_topic(topic, 12);
    let mut settings = Settings::new();
    settings.dynamic.topic_map = vec![route(&[topic], "")];
    let publisher = started(settings.config(kafka));
    for number in [0, 2, 1, 1, 5] {
        publisher.publish(numbered("mac:faulty", "seq=", number, 75)).await.unwrap();
    }
    publisher.stop(PATIENCE).await;
    let counts = kafka.count(&[topic]);
    assert_eq!((counts.numbered, counts.distinct, counts.duplicates), (5, 4, 1), "{counts:?}");
    assert_eq!((counts.gaps, counts.disordered, counts.misplaced), (2, 1, 0), "{counts:?}");
}

/// The records that the clients have sent, by topic. One that is sent again counts again.
fn produced(publisher: &Publisher) -> BTreeMap<String, u64> {
    let mut produced = BTreeMap::new();
    for topic in publisher.client_stats().topics {
        *produced.entry(topic.topic).or_default() += topic.produced_records;
    }
    produced
}

fn cluster() -> Option<Kafka> {
    let name = LISTENER.to_lowercase();
    let users: String = USERS.iter().map(|(user, password)| format!(" user_{user}=\"{password}\"")).collect();
    let login = "org.apache.kafka.common.security";
    Setup {
        brokers: BROKERS,
        topics: TOPICS.map(|topic| (topic.to_owned(), 12)).to_vec(),
        listeners: vec![(LISTENER, LISTENER)],
        properties: format!(
            "sasl.enabled.mechanisms={}\n\
             listener.name.{name}.plain.sasl.jaas.config={login}.plain.PlainLoginModule required{users};\n\
             listener.name.{name}.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;\n\
             listener.name.{name}.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;\n",
            MECHANISMS.join(",")
        ),
        users: USERS.to_vec(),
    }
    .start()
}

/// What happens to the cluster and to the publisher.
struct Drill {
    /// Messages a second.
    rate: u64,
    /// Brokers that are restarted, one after the other.
    restarts: u32,
    /// Brokers that are killed, after that.
    crashes: u32,
    /// Live configuration changes.
    changes: usize,
}

impl Drill {
    fn from_environment() -> Self {
        let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
        Self {
            rate: number("TALARIA_CLUSTER_RATE", 1000),
            restarts: number("TALARIA_CLUSTER_RESTARTS", 1) as u32,
            crashes: number("TALARIA_CLUSTER_CRASHES", 0) as u32,
            changes: number("TALARIA_CLUSTER_CHANGES", 6) as usize,
        }
    }

    /// Moves leaders and restarts brokers, and changes the configuration meanwhile.
    fn run(&self, kafka: &Kafka, publisher: &Publisher) {
        let begun = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                kafka.move_leaders(TOPICS[0]);
                println!("{:.1?}: the leaders of {} have moved", begun.elapsed(), TOPICS[0]);
                for node in 1..=self.restarts.min(BROKERS) {
                    kafka.shut_down_node(node);
                    println!("{:.1?}: broker {node} is down", begun.elapsed());
                    kafka.restart_node(node);
                    kafka.await_in_sync();
                    println!("{:.1?}: broker {node} is back and in sync", begun.elapsed());
                }
                for node in 1..=self.crashes.min(BROKERS) {
                    kafka.kill_node(node);
                    println!("{:.1?}: broker {node} is killed", begun.elapsed());
                    kafka.restart_node(node);
                    kafka.await_in_sync();
                    println!("{:.1?}: broker {node} is back and in sync", begun.elapsed());
                }
            });
            let mut settings = Settings::new();
            for change in 0..self.changes {
                let what = settings.change(change, publisher);
                println!("{:.1?}: change {change}: {what}", begun.elapsed());
                pass_time(PERIOD);
            }
        });
    }
}

/// The settings that change; acks stay `all`.
struct Settings {
    dynamic: DynamicConfig,
    /// How often the credentials were changed.
    login: usize,
}

impl Settings {
    fn new() -> Self {
        let topic_map = vec![route(&TOPICS[..1], "")];
        Self { dynamic: DynamicConfig { topic_map, ..DynamicConfig::default() }, login: 0 }
    }

    fn config(&self, kafka: &Kafka) -> Config {
        Config {
            brokers: kafka.listener(LISTENER).split(',').map(str::to_owned).collect(),
            sasl: self.sasl(),
            statistics_interval: REPORT_INTERVAL,
            dynamic: self.dynamic.clone(),
            ..Config::default()
        }
    }

    fn sasl(&self) -> Sasl {
        let (user, password) = USERS[self.login % USERS.len()];
        Sasl {
            mechanism: MECHANISMS[self.login % MECHANISMS.len()].parse().ok(),
            username: user.to_owned(),
            password: password.into(),
            ..Sasl::default()
        }
    }

    /// Changes one setting, each in its turn, to what it was not; returns what changed.
    fn change(&mut self, number: usize, publisher: &Publisher) -> String {
        let round = number / 6;
        let dynamic = &mut self.dynamic;
        match number % 6 {
            0 => {
                let all = ["lz4", "zstd", "gzip", "snappy", "none"];
                dynamic.compression = all[round % all.len()].parse().unwrap();
            }
            1 => dynamic.linger = Duration::from_millis([5, 20, 0][round % 3]),
            2 => {
                dynamic.topic_map = vec![match round % 4 {
                    0 => route(&TOPICS, "deviceid"),
                    1 => route(&TOPICS[..2], "roundrobin"),
                    2 => route(&TOPICS[2..], ""),
                    _ => route(&TOPICS, "metadata:hw-deviceid"),
                }];
            }
            3 => dynamic.batch_max_bytes = [100_000, 20_000, 0][round % 3],
            4 => {
                let values = vec![round.to_string(), "wrp.Source".to_owned()];
                dynamic.headers = vec![("round".to_owned(), values)];
            }
            _ => {
                self.login += 1;
                let sasl = self.sasl();
                let what = format!("{:?} of {}", sasl.mechanism, sasl.username);
                publisher.update_security(Tls::default(), sasl).unwrap();
                return what;
            }
        }
        publisher.update_config(dynamic.clone()).unwrap();
        let Route { topic, topics, topic_shard_strategy, .. } = &dynamic.topic_map[0];
        format!(
            "{} for {:?}, batches of {}, headers {:?}, topics {topic}{topics:?} {topic_shard_strategy:?}",
            dynamic.compression, dynamic.linger, dynamic.batch_max_bytes, dynamic.headers
        )
    }
}

/// Everything to one topic, or to one of several by this strategy.
fn route(topics: &[&str], strategy: &str) -> Route {
    let names = topics.iter().map(|topic| (*topic).to_owned());
    let route =
        Route { pattern: "*".to_owned(), topic_shard_strategy: strategy.parse().ok(), ..Route::default() };
    match strategy {
        "" => Route { topic: names.collect(), ..route },
        _ => Route { topics: names.collect(), ..route },
    }
}

/// Messages at a steady rate, from all devices in turn, until it is stopped.
struct Load {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Sent>,
}

/// What was sent, in messages.
struct Sent {
    /// Of QoS 25 and above.
    matter: u64,
    low: u64,
    receipts: Arc<AtomicU64>,
    /// By device, marker and number.
    stays: Arc<Mutex<Stays>>,
}

type Stays = HashMap<(String, &'static str, usize), Stay>;

/// When a message was with the publisher.
#[derive(Debug, Clone, Copy)]
struct Stay {
    sent: Instant,
    /// When its result came.
    ended: Instant,
}

impl Sent {
    /// Messages whose result is known.
    fn receipts(&self) -> u64 {
        self.receipts.load(Ordering::Relaxed)
    }
}

impl Load {
    fn start(publisher: &Publisher, rate: u64) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (end, publisher) = (Arc::clone(&ended), publisher.clone());
        let thread = thread::spawn(move || send_until(&end, &publisher, rate));
        Self { ended, thread }
    }

    fn stop(self) -> Sent {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn send_until(ended: &AtomicBool, publisher: &Publisher, rate: u64) -> Sent {
    let devices: Vec<String> = (0..DEVICES).map(|n| format!("mac:{n:012x}")).collect();
    // Those that matter and the others each have numbers of their own.
    let mut numbers = vec![[0; 2]; DEVICES];
    let mut sent = Sent { matter: 0, low: 0, receipts: Arc::default(), stays: Arc::default() };
    let begun = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        let due = begun.elapsed().as_millis() as u64 * rate / 1000;
        while sent.matter + sent.low < due {
            let count = (sent.matter + sent.low) as usize;
            let (device, qos) = (count % DEVICES, QOS[count / DEVICES % QOS.len()]);
            let matters = qos >= 25;
            let number = &mut numbers[device][usize::from(matters)];
            let marker = MARKERS[usize::from(!matters)];
            let message = numbered(&devices[device], marker, *number, qos);
            let name = (devices[device].clone(), marker, *number);
            *number += 1;
            *(if matters { &mut sent.matter } else { &mut sent.low }) += 1;
            let (receipts, stays) = (Arc::clone(&sent.receipts), Arc::clone(&sent.stays));
            let now = Instant::now();
            let receipt = Box::new(move |_| {
                stays.lock().insert(name, Stay { sent: now, ended: Instant::now() });
                receipts.fetch_add(1, Ordering::Relaxed);
            });
            publisher.submit_with(&message, Some(receipt)).unwrap();
        }
        pass_time(Duration::from_millis(1));
    }
    sent
}

/// What the publisher told of each record.
#[derive(Debug, Default)]
struct Tally {
    delivered: Mutex<BTreeMap<String, u64>>,
    failures: Mutex<HashMap<ErrorType, u64>>,
    /// When a report told of each producer epoch that a client has begun beyond its first.
    epochs: Mutex<Vec<Instant>>,
}

impl Tally {
    fn delivered(&self) -> BTreeMap<String, u64> {
        let mut delivered = self.delivered.lock().clone();
        // A short drill may leave a topic empty.
        TOPICS.iter().for_each(|topic| _ = delivered.entry((*topic).to_owned()).or_default());
        delivered
    }

    fn failures(&self) -> HashMap<ErrorType, u64> {
        self.failures.lock().clone()
    }
}

impl Listener for Tally {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        match event.error_type {
            None => *self.delivered.lock().entry(event.topic.to_owned()).or_default() += 1,
            Some(error) => *self.failures.lock().entry(error).or_default() += 1,
        }
    }

    fn on_client_stats(&self, stats: &ClientStats) {
        self.epochs.lock().resize_with(stats.producer_epochs as usize, Instant::now);
    }
}
