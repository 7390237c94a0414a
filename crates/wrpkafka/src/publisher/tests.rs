//! The publisher with a scripted client: what the contract promises, without a broker and without waiting for time.

#[cfg(feature = "mock")]
mod fatal_error;
mod lanes;
mod live;
mod logged;
mod pending;
mod qos_vectors;
mod topics;

use std::future::{Future as _, poll_fn};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::task::Poll;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wrp::{Message, Qos};

use crate::client::DeliveryError;
use crate::client::scripted::{Answer, Script};
use crate::config::{Config, WaitingLimit};
use crate::{ErrorType, Listener, Outcome, PublishError, PublishEvent, Publisher};

type Fates = Receiver<Result<Outcome, PublishError>>;

/// How long a test waits for what must come. Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn event(key: &str, qos: i64) -> Message {
    Message {
        dest: "event:x".into(),
        metadata: Some([("hw-deviceid", key)].into()),
        qos: Qos(qos),
        ..Message::default()
    }
}

fn config(records: u64) -> Config {
    Config { brokers: vec!["b:1".to_owned()], max_buffered_records: records, ..Config::default() }
}

fn started(config: Config) -> (Publisher, Script) {
    let script = Script::default();
    let publisher = Publisher::with_client(config, script.connect()).unwrap();
    publisher.start().unwrap();
    (publisher, script)
}

fn submit(publisher: &Publisher, key: &str, qos: i64) -> (Result<Outcome, PublishError>, Fates) {
    let (told, fates) = channel();
    let receipt = Box::new(move |fate| drop(told.send(fate)));
    (publisher.submit_with(event(key, qos), Some(receipt)), fates)
}

/// The number of the client that gets records; none while one is replaced.
fn current(publisher: &Publisher) -> Option<u64> {
    publisher.shared.as_ref().and_then(|shared| shared.engine.current_client())
}

/// What a test waits for, without being told.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The one result that a receipt gets.
fn fate(fates: &Fates) -> Result<Outcome, PublishError> {
    let fate = fates.recv_timeout(PATIENCE).expect("a receipt is called");
    assert!(fates.recv_timeout(PATIENCE).is_err(), "a receipt is called once");
    fate
}

/// What listeners were told: topic, error type.
#[derive(Default)]
struct Events(Mutex<Vec<(String, Option<ErrorType>)>>);

impl Listener for Events {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        assert_eq!(event.error.map(PublishError::error_type), event.error_type);
        self.0.lock().push((event.topic.to_owned(), event.error_type));
    }
}

fn listen(publisher: &Publisher) -> Arc<Events> {
    let events = Arc::new(Events::default());
    publisher.add_listener(Arc::clone(&events));
    events
}

#[test]
fn a_low_message_is_dropped_when_the_buffer_is_full_and_a_medium_one_waits() {
    let (publisher, script) = started(config(1));
    let events = listen(&publisher);
    let (first, first_fate) = submit(&publisher, "1", 0);
    let (low, low_fate) = submit(&publisher, "2", 24);
    let (medium, medium_fate) = submit(&publisher, "3", 25);
    assert_eq!((first, low, medium), (Ok(Outcome::Attempted), Ok(Outcome::Attempted), Ok(Outcome::Queued)));
    assert_eq!(fate(&low_fate), Err(PublishError::BufferFull));
    let buffered = publisher.buffered();
    assert_eq!((buffered.records, buffered.waiting_records, buffered.max_records), (1, 1, 1));
    script.deliver(1, Ok(()));
    assert_eq!(fate(&first_fate), Ok(Outcome::Accepted));
    script.deliver(1, Ok(()));
    assert_eq!(fate(&medium_fate), Ok(Outcome::Accepted));
    assert_eq!(script.keys(), ["1", "3"]);
    let topic = || "wrp-events".to_owned();
    let told = [(topic(), Some(ErrorType::BufferFull)), (topic(), None), (topic(), None)];
    assert_eq!(*events.0.lock(), told);
}

#[test]
fn bytes_bound_the_buffer_too() {
    let mut config = config(100);
    // One event takes about 40 bytes.
    config.max_buffered_bytes = 60;
    let (publisher, _script) = started(config);
    submit(&publisher, "1", 0).0.unwrap();
    let (_, fates) = submit(&publisher, "2", 0);
    assert_eq!(fate(&fates), Err(PublishError::BufferFull));
}

#[test]
fn records_that_wait_leave_in_their_order_and_nobody_overtakes_them() {
    let (publisher, script) = started(config(1));
    let fates: Vec<Fates> = (0..6).map(|i| submit(&publisher, &i.to_string(), 25 + i * 12).1).collect();
    for fates in fates {
        script.deliver(1, Ok(()));
        assert_eq!(fate(&fates), Ok(Outcome::Accepted));
    }
    assert_eq!(script.keys(), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn a_full_waiting_room_gives_up_the_lowest_and_then_the_oldest() {
    let mut config = config(1);
    config.waiting = WaitingLimit { records: 2, bytes: 1000 };
    let (publisher, script) = started(config);
    let (_, sent) = submit(&publisher, "sent", 0);
    let (_, high) = submit(&publisher, "high", 50);
    let (_, medium) = submit(&publisher, "medium", 25);
    let (_, critical) = submit(&publisher, "critical", 99);
    assert_eq!(fate(&medium), Err(PublishError::Displaced));
    let (outcome, refused) = submit(&publisher, "refused", 25);
    assert_eq!(outcome, Ok(Outcome::Failed));
    assert_eq!(fate(&refused), Err(PublishError::BufferFull));
    for fates in [sent, high, critical] {
        script.deliver(1, Ok(()));
        assert_eq!(fate(&fates), Ok(Outcome::Accepted));
    }
}

#[tokio::test]
async fn a_caller_that_can_wait_waits_for_room_and_displaces_nobody() {
    let mut config = config(1);
    config.waiting = WaitingLimit { records: 1, bytes: 1000 };
    let (publisher, script) = started(config);
    for key in ["client", "room"] {
        assert_eq!(publisher.publish(event(key, 25)).await, Ok(Outcome::Queued));
    }
    let waits = event("waits", 50);
    let waits = waits.as_ref();
    let mut waits = std::pin::pin!(publisher.publish(&waits));
    let pending = poll_fn(|context| Poll::Ready(waits.as_mut().poll(context).is_pending()));
    assert!(pending.await);
    script.deliver(1, Ok(()));
    assert_eq!(waits.await, Ok(Outcome::Queued));
    script.deliver(1, Ok(()));
    script.deliver(1, Ok(()));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    assert_eq!(script.keys(), ["client", "room", "waits"]);
}

#[tokio::test]
async fn a_caller_that_waits_for_room_learns_of_the_stop() {
    let mut config = config(1);
    config.waiting.records = 0;
    let (publisher, _script) = started(config);
    publisher.submit_with(event("client", 0), None).unwrap();
    let waits = event("waits", 25);
    let waits = waits.as_ref();
    let (waited, stopped) = tokio::join!(publisher.publish(&waits), publisher.stop(Duration::ZERO));
    assert_eq!(waited, Err(PublishError::Stopped));
    assert_eq!(stopped.undelivered, 1, "the one in the client");
}

#[tokio::test]
async fn a_stop_delivers_what_it_can_and_fails_the_rest_truthfully() {
    let (publisher, script) = started(config(2));
    let fates: Vec<Fates> = (0..4).map(|i| submit(&publisher, &i.to_string(), 50).1).collect();
    script.deliver(1, Ok(()));
    assert_eq!(fate(&fates[0]), Ok(Outcome::Accepted));
    assert_eq!(publisher.stop(Duration::ZERO).await.undelivered, 3);
    for fates in &fates[1..] {
        assert_eq!(fate(fates), Err(PublishError::Stopped));
    }
    let (after, after_fate) = submit(&publisher, "late", 0);
    assert_eq!((after, fate(&after_fate)), (Err(PublishError::Stopped), Err(PublishError::Stopped)));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0, "a second stop does nothing");
}

#[test]
fn a_dropped_publisher_fails_what_it_holds() {
    let (publisher, _script) = started(config(1));
    let fates: Vec<Fates> = (0..2).map(|i| submit(&publisher, &i.to_string(), 50).1).collect();
    drop(publisher);
    for fates in &fates {
        assert_eq!(fate(fates), Err(PublishError::Stopped));
    }
}

#[test]
fn a_client_beyond_use_is_replaced_and_its_records_are_sent_again_in_order() {
    let (publisher, script) = started(config(3));
    let fates: Vec<Fates> = (0..5).map(|i| submit(&publisher, &i.to_string(), 25).1).collect();
    script.deliver(1, Ok(()));
    assert_eq!(fate(&fates[0]), Ok(Outcome::Accepted));
    script.break_connect(1);
    script.fail();
    for fates in &fates[1..] {
        // Whatever the client holds by now, until this one has been told.
        while fates.try_recv().is_err() {
            script.deliver(1, Ok(()));
            std::thread::yield_now();
        }
    }
    assert_eq!(script.clients(), 2);
    let keys = script.keys();
    let again = &keys[keys.len() - 4..];
    assert_eq!(again, ["1", "2", "3", "4"], "in all {keys:?}");
}

#[test]
fn a_low_record_is_sent_again_only_as_often_as_configured() {
    let mut config = config(1);
    config.max_record_retries = 0;
    let (publisher, script) = started(config);
    let (_, fates) = submit(&publisher, "1", 0);
    script.fail();
    assert_eq!(fate(&fates).unwrap_err().error_type(), ErrorType::BrokerError);
}

#[test]
fn a_transient_error_gives_up_no_record_above_low() {
    let (publisher, script) = started(config(1));
    let transient = PublishError::Broker { code: "NotEnoughReplicas".into(), reason: "".into() };
    script.answer([Answer::Delivered(Err(DeliveryError::Transient(transient))), Answer::Delivered(Ok(()))]);
    let (_, fates) = submit(&publisher, "1", 25);
    assert_eq!(fate(&fates), Ok(Outcome::Accepted));
    assert_eq!(script.keys(), ["1", "1"]);
}

#[test]
fn a_record_that_waits_longer_than_its_delivery_timeout_fails() {
    let mut config = config(1);
    config.record_delivery_timeout = Duration::from_secs(1);
    let (publisher, _script) = started(config);
    let (_, _sent) = submit(&publisher, "sent", 0);
    let (_, waits) = submit(&publisher, "waits", 99);
    assert_eq!(fate(&waits), Err(PublishError::Timeout));
}

#[test]
fn a_record_that_is_too_large_fails_at_once() {
    let mut config = config(10);
    config.dynamic.batch_max_bytes = 512;
    let (publisher, _script) = started(config);
    let mut message = event("1", 75);
    message.payload = Some(vec![0; 512]);
    let (told, fates) = channel();
    let outcome = publisher.submit_with(&message, Some(Box::new(move |fate| told.send(fate).unwrap())));
    assert_eq!(outcome, Ok(Outcome::Failed));
    assert!(matches!(fate(&fates), Err(PublishError::TooLarge { limit: 512, .. })));
}

#[test]
fn a_fan_out_is_acknowledged_when_its_last_record_is() {
    let mut config = config(10);
    let route = |topic: &str| crate::Route {
        pattern: "*".to_owned(),
        topic: topic.to_owned(),
        ..crate::Route::default()
    };
    config.dynamic.topic_map = vec![route("a"), route("b")];
    let (publisher, script) = started(config);
    let events = listen(&publisher);
    let (outcome, fates) = submit(&publisher, "1", 75);
    assert_eq!(outcome, Ok(Outcome::Queued));
    script.deliver(1, Ok(()));
    script.deliver(1, Err(DeliveryError::Final(PublishError::Timeout)));
    assert_eq!(fate(&fates), Err(PublishError::Timeout));
    assert_eq!(*events.0.lock(), [("a".to_owned(), None), ("b".to_owned(), Some(ErrorType::Timeout))]);
}

#[test]
fn a_receipt_may_publish_in_its_turn() {
    let (publisher, script) = started(config(1));
    script.answer([Answer::Delivered(Ok(())), Answer::Delivered(Ok(()))]);
    let (told, fates) = channel();
    let again = publisher.clone();
    let receipt = Box::new(move |_| {
        let message = event("2", 0);
        again.submit_with(&message, Some(Box::new(move |fate| told.send(fate).unwrap()))).unwrap();
    });
    publisher.submit_with(event("1", 0), Some(receipt)).unwrap();
    assert_eq!(fate(&fates), Ok(Outcome::Accepted));
    assert_eq!(script.keys(), ["1", "2"]);
}

#[test]
fn a_running_publisher_does_not_start_and_one_that_does_not_run_takes_nothing() {
    let script = Script::default();
    let publisher = Publisher::with_client(config(1), script.connect()).unwrap();
    let events = listen(&publisher);
    let (outcome, fates) = submit(&publisher, "1", 50);
    assert_eq!((outcome, fate(&fates)), (Err(PublishError::NotStarted), Err(PublishError::NotStarted)));
    assert_eq!(*events.0.lock(), [(String::new(), Some(ErrorType::NotStarted))]);
    publisher.start().unwrap();
    assert_eq!(publisher.start().unwrap_err().error_type(), ErrorType::AlreadyStarted);
}

#[test]
fn a_message_that_no_route_takes_is_refused_as_a_whole() {
    let mut config = config(1);
    config.dynamic.topic_map =
        vec![crate::Route { pattern: "iot".to_owned(), topic: "t".to_owned(), ..crate::Route::default() }];
    let (publisher, _script) = started(config);
    let events = listen(&publisher);
    let (outcome, fates) = submit(&publisher, "1", 0);
    assert_eq!(outcome.unwrap_err().error_type(), ErrorType::NoTopicMatch);
    assert_eq!(fate(&fates).unwrap_err().error_type(), ErrorType::NoTopicMatch);
    assert_eq!(*events.0.lock(), [(String::new(), Some(ErrorType::NoTopicMatch))]);
}

#[test]
fn other_routes_and_headers_hold_from_the_next_message_on() {
    let (publisher, script) = started(config(10));
    let events = listen(&publisher);
    let headers = vec![("h".to_owned(), vec!["wrp.Nothing".to_owned()])];
    let mut dynamic = crate::DynamicConfig { headers, ..crate::DynamicConfig::default() };
    assert!(publisher.update_config(dynamic.clone()).is_err());
    dynamic.headers.clear();
    dynamic.topic_map =
        vec![crate::Route { pattern: "*".to_owned(), topic: "other".to_owned(), ..crate::Route::default() }];
    submit(&publisher, "1", 0).0.unwrap();
    publisher.update_config(dynamic).unwrap();
    let (_, fates) = submit(&publisher, "2", 0);
    script.deliver(2, Ok(()));
    assert_eq!(fate(&fates), Ok(Outcome::Accepted));
    assert_eq!(*events.0.lock(), [("wrp-events".to_owned(), None), ("other".to_owned(), None)]);
}

#[test]
fn a_listener_that_was_removed_hears_nothing() {
    let (publisher, script) = started(config(10));
    let (kept, removed) = (listen(&publisher), Arc::new(Events::default()));
    let id = publisher.add_listener(Arc::clone(&removed));
    publisher.remove_listener(id);
    script.answer([Answer::Delivered(Ok(()))]);
    assert_eq!(fate(&submit(&publisher, "1", 0).1), Ok(Outcome::Accepted));
    assert_eq!((kept.0.lock().len(), removed.0.lock().len()), (1, 0));
}

#[tokio::test]
async fn a_disabled_publisher_takes_everything_silently() {
    let publisher = Publisher::disabled();
    assert!(!publisher.is_enabled());
    publisher.start().unwrap();
    assert_eq!(publisher.publish(event("1", 99)).await, Ok(Outcome::Queued));
    let (outcome, fates) = submit(&publisher, "1", 0);
    assert_eq!((outcome, fate(&fates)), (Ok(Outcome::Attempted), Ok(Outcome::Attempted)));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
}
