//! The tests of the ledger.

use super::*;

const BOTH: Ends = Ends::NONE.with(End::Http, true).with(End::Kafka, true);

fn ledger() -> Ledger {
    Ledger::new(RunId::new(1), BOTH)
}

fn is_done(arrival: Arrival) -> bool {
    matches!(arrival, Arrival::First { done: true, .. })
}

#[test]
fn a_message_is_done_once_both_sinks_have_it() {
    let ledger = ledger();
    let key = ledger.send(DeliveryClass::Assured);
    assert!(!is_done(ledger.arrived(End::Http, key)));
    assert!(is_done(ledger.arrived(End::Kafka, key)));
    assert!(!is_done(ledger.arrived(End::Ack, key)), "done is reported once");
    let counts = ledger.counts();
    assert_eq!(
        (counts.sent, counts.done, counts.http.lost, counts.kafka.lost, counts.ack.lost),
        (1, 1, 0, 0, 0)
    );
}

#[test]
fn a_second_arrival_at_the_same_end_is_a_duplicate() {
    let ledger = ledger();
    let key = ledger.send(DeliveryClass::Assured);
    ledger.arrived(End::Http, key);
    assert_eq!(ledger.arrived(End::Http, key), Arrival::Duplicate);
    let http = ledger.counts().http;
    assert_eq!((http.received, http.duplicated), (1, 1));
}

#[test]
fn a_message_that_was_never_sent_is_unknown() {
    let ledger = ledger();
    assert_eq!(ledger.arrived(End::Http, RunId::new(1).key(0)), Arrival::Unknown);
    ledger.send(DeliveryClass::Assured);
    assert_eq!(ledger.arrived(End::Http, RunId::new(2).key(0)), Arrival::Unknown);
}

#[test]
fn messages_that_do_not_arrive_are_lost_and_counted_by_class() {
    let ledger = ledger();
    ledger.send(DeliveryClass::Assured);
    ledger.send(DeliveryClass::BestEffort);
    let counts = ledger.counts();
    assert_eq!((counts.kafka.lost, counts.kafka.lost_best_effort, counts.kafka.lost_assured()), (2, 1, 1));
}

#[test]
fn a_cancelled_message_was_not_sent() {
    let ledger = ledger();
    let key = ledger.send(DeliveryClass::BestEffort);
    ledger.cancel(key);
    ledger.cancel(key);
    assert_eq!(ledger.counts(), Counts::default());
    assert_eq!(ledger.arrived(End::Http, key), Arrival::Unknown);
}

#[test]
fn an_expired_message_is_counted_when_it_arrives_but_is_not_done() {
    let ledger = ledger();
    let late = ledger.send(DeliveryClass::Assured);
    let finished = ledger.send(DeliveryClass::Assured);
    for end in [End::Http, End::Kafka] {
        ledger.arrived(end, finished);
    }
    std::thread::yield_now();
    assert_eq!(ledger.expire(Duration::ZERO), 1);
    assert_eq!(ledger.expire(Duration::ZERO), 0, "a message expires once");
    ledger.arrived(End::Http, late);
    assert!(!is_done(ledger.arrived(End::Kafka, late)));
    let counts = ledger.counts();
    assert_eq!((counts.http.lost, counts.kafka.lost, counts.expired, counts.done), (0, 0, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_full_window_has_a_free_slot_when_a_message_is_done_or_expires() {
    let ledger = ledger().with_window(2);
    let mut keys = vec![];
    for _ in 0..2 {
        ledger.acquire_slot().await;
        keys.push(ledger.send(DeliveryClass::Assured));
    }
    let full = || tokio::time::timeout(Duration::from_secs(1), ledger.acquire_slot());
    assert!(full().await.is_err());
    ledger.arrived(End::Http, keys[0]);
    ledger.arrived(End::Kafka, keys[0]);
    assert!(full().await.is_ok());
    assert!(full().await.is_err());
    ledger.expire(Duration::ZERO);
    assert!(full().await.is_ok());
}

#[test]
fn duplicates_are_found_after_their_chunk_was_dropped() {
    let ledger = ledger();
    let keys: Vec<_> = (0..3 * CHUNK).map(|_| ledger.send(DeliveryClass::Assured)).collect();
    for end in End::ALL {
        keys.iter().for_each(|key| assert!(matches!(ledger.arrived(end, *key), Arrival::First { .. })));
    }
    assert_eq!(ledger.chunks.read().chunks.len(), 0);
    assert_eq!(ledger.arrived(End::Kafka, keys[5]), Arrival::Duplicate);
    let key = ledger.send(DeliveryClass::Assured);
    assert!(matches!(ledger.arrived(End::Http, key), Arrival::First { .. }));
    assert_eq!(ledger.counts().kafka.duplicated, 1);
}

#[test]
fn counts_are_exact_with_many_threads() {
    let ledger = ledger();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..CHUNK {
                    let key = ledger.send(DeliveryClass::Assured);
                    for end in End::ALL {
                        ledger.arrived(end, key);
                    }
                }
            });
        }
    });
    let counts = ledger.counts();
    assert_eq!((counts.sent, counts.done), (4 * CHUNK as u64, 4 * CHUNK as u64));
    assert_eq!((counts.http.lost, counts.kafka.lost, counts.ack.lost), (0, 0, 0));
}
