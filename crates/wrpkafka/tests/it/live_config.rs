//! Live changes of the client under load, against librdkafka's mock cluster (contract §8.12).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use wrp::{Message, MessageRef};
use wrpkafka::config::Compression;
use wrpkafka::mock::MockKafka;
use wrpkafka::{DynamicConfig, Outcome};

use crate::support::events::of_device;
use crate::support::{PATIENCE, config, eventually, pass_time, started};

const CHANGES: u64 = 20;
const DEVICES: u64 = 40;
/// Events between two changes.
const BETWEEN: u64 = 250;
/// As many records the client takes at a time.
const BUFFERED: u64 = 200;

fn event(number: u64) -> Message {
    let id = format!("mac:{:012x}", number % DEVICES);
    let qos = 25 + i64::try_from(number % 3).unwrap() * 25;
    Message { session_id: number.to_string().as_str().into(), ..of_device(&id, qos) }
}

/// Every setting of a client in turn, acks all in all of them.
fn change(number: u64) -> DynamicConfig {
    DynamicConfig {
        compression: Compression::ALL[usize::try_from(number % 5).unwrap()],
        linger: Duration::from_millis(number % 7),
        batch_max_bytes: [0, 16_384, 100_000][usize::try_from(number % 3).unwrap()],
        headers: vec![("change".to_owned(), vec![number.to_string()])],
        ..DynamicConfig::default()
    }
}

/// The events by their results.
#[derive(Default)]
struct Results {
    accepted: AtomicU64,
    failed: AtomicU64,
}

#[tokio::test]
async fn twenty_changes_under_load_lose_nothing_double_nothing_and_keep_the_order_of_each_device() {
    let kafka = MockKafka::start(4).unwrap();
    let mut config = config(&kafka);
    config.max_buffered_records = BUFFERED;
    let publisher = started(config);

    let (results, stop) = (Arc::new(Results::default()), Arc::new(AtomicBool::new(false)));
    let submitted = Arc::new(AtomicU64::new(0));
    let load = {
        let (publisher, results, stop, submitted) =
            (publisher.clone(), Arc::clone(&results), Arc::clone(&stop), Arc::clone(&submitted));
        std::thread::spawn(move || {
            while !stop.load(SeqCst) {
                let number = submitted.fetch_add(1, SeqCst);
                let results = Arc::clone(&results);
                let receipt = Box::new(move |result| {
                    let count =
                        if result == Ok(Outcome::Accepted) { &results.accepted } else { &results.failed };
                    count.fetch_add(1, SeqCst);
                });
                publisher.submit_with(event(number), Some(receipt)).unwrap();
                // About 4,000 a second; not what the test relies on.
                pass_time(Duration::from_micros(200));
            }
        })
    };
    let go_on = || {
        let count = submitted.load(SeqCst) + BETWEEN;
        eventually("the next events are accepted", PATIENCE, || results.accepted.load(SeqCst) >= count);
    };
    // The events of which the broker may have had the record, without having answered, when it went down.
    let mut unanswered = 0..0;
    for number in 1..=CHANGES {
        go_on();
        if number == CHANGES / 2 {
            unanswered.start = results.accepted.load(SeqCst).saturating_sub(BUFFERED);
            kafka.broker_down().unwrap();
        }
        publisher.update_config(change(number)).unwrap();
        if number == CHANGES / 2 {
            unanswered.end = submitted.load(SeqCst);
            kafka.broker_up().unwrap();
        }
    }
    go_on();
    stop.store(true, SeqCst);
    load.join().unwrap();
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    let count = submitted.load(SeqCst);
    assert_eq!((results.accepted.load(SeqCst), results.failed.load(SeqCst)), (count, 0));

    // More than there should be, so that records too many are seen.
    let wanted = usize::try_from(count + BUFFERED).unwrap();
    let records = kafka.records("wrp-events", wanted, Duration::from_secs(2)).unwrap();
    let mut numbers = HashSet::new();
    let mut latest: HashMap<Vec<u8>, u64> = HashMap::new();
    let mut changes = std::collections::BTreeSet::new();
    for record in records {
        let session = MessageRef::decode_v5(&record.value).unwrap().0.session_id.to_string();
        let number: u64 = session.parse().unwrap();
        if !numbers.insert(number) {
            // The mock cluster does not recognize a batch that it gets again, as a real broker does.
            assert!(
                unanswered.contains(&number),
                "{number} is there twice, and not for the outage {unanswered:?}"
            );
            continue;
        }
        let before = latest.insert(record.key.unwrap(), number);
        assert!(before.is_none_or(|before| before < number), "{before:?} comes before {number}");
        changes.extend(record.headers.into_iter().map(|(_, value)| value));
    }
    assert_eq!(numbers.len() as u64, count);
    assert_eq!(changes.len() as u64, CHANGES, "headers of every change");
}
