//! Dead letters: the publisher against librdkafka's mock cluster.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wrpkafka::mock::{MockKafka, RDKafkaApiKey, RDKafkaRespErr};
use wrpkafka::{
    Config, DeadLetterOutcome, DeadLetterReason, Listener, Outcome, PublishError, PublishEvent, Publisher,
};

use crate::support::events::event;
use crate::support::{PATIENCE, config, header, result, started, submit};

const LETTERS: &str = "letters";
const UNAUTHORIZED: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
const TOO_LARGE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;

/// Sends each dead letter's result to the test, and notes the topics of the publish events.
struct Told(Mutex<Sender<(DeadLetterReason, DeadLetterOutcome)>>, Mutex<Vec<String>>);

impl Listener for Told {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        self.1.lock().push(event.topic.to_owned());
    }

    fn on_dead_letter(&self, reason: DeadLetterReason, outcome: DeadLetterOutcome) {
        // The test may be over.
        let _ = self.0.lock().send((reason, outcome));
    }
}

type Letters = Receiver<(DeadLetterReason, DeadLetterOutcome)>;

fn listened(publisher: &Publisher) -> (Letters, Arc<Told>) {
    let (told, letters) = channel();
    let listener = Arc::new(Told(Mutex::new(told), Mutex::default()));
    publisher.add_listener(Arc::clone(&listener));
    (letters, listener)
}

fn with_letters(kafka: &MockKafka) -> Config {
    kafka.create_topic(LETTERS, 1).unwrap();
    let mut config = config(kafka);
    config.dead_letter.topic = LETTERS.to_owned();
    config
}

#[tokio::test]
async fn what_a_broker_refuses_arrives_whole_and_says_why_while_its_own_fate_stays_what_it_was() {
    let kafka = MockKafka::start(1).unwrap();
    let mut config = with_letters(&kafka);
    config.dynamic.headers = vec![("source".into(), vec!["wrp.Source".into()])];
    config.max_record_retries = 0;
    let publisher = started(config);
    let (letters, listener) = listened(&publisher);
    kafka.fail_requests(RDKafkaApiKey::Produce, &[UNAUTHORIZED]).unwrap();
    let refused = result(&submit(&publisher, &event(1, 0))).unwrap_err();
    assert_eq!(refused.to_string(), "TopicAuthorizationFailed: Broker: Topic authorization failed");
    assert_eq!(
        letters.recv_timeout(PATIENCE),
        Ok((DeadLetterReason::Unauthorized, DeadLetterOutcome::Delivered))
    );
    assert_eq!(*listener.1.lock(), ["wrp-events"], "a dead letter is no publish event of its own");

    let records = kafka.records(LETTERS, 1, PATIENCE).unwrap();
    let record = &records[0];
    assert_eq!(record.key.as_deref(), Some(&b"mac:112233445566"[..]));
    let mut value = Vec::new();
    event(1, 0).as_ref().encode_v5(&mut value);
    assert_eq!(record.value, value);
    for (name, expected) in [
        ("source", Some("mac:112233445566")),
        ("dead-letter-reason", Some("unauthorized")),
        ("dead-letter-error", Some("TopicAuthorizationFailed: Broker: Topic authorization failed")),
        ("dead-letter-topic", Some("wrp-events")),
        ("dead-letter-event-type", Some("device-status")),
        ("dead-letter-full-size", None),
        ("content-type", None),
    ] {
        assert_eq!(header(record, name), expected, "{name}");
    }
    let time: u64 = header(record, "dead-letter-time").unwrap().parse().unwrap();
    assert!(time > 1_700_000_000_000, "milliseconds since 1970");
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn the_value_of_a_record_that_is_too_large_is_cut_to_fit() {
    let kafka = MockKafka::start(1).unwrap();
    let mut config = with_letters(&kafka);
    config.dynamic.batch_max_bytes = 200_000;
    let publisher = started(config);
    let (letters, _) = listened(&publisher);
    let mut large = event(1, 0);
    large.payload = Some(vec![b'x'; 300_000]);
    let too_large = result(&submit(&publisher, &large)).unwrap_err();
    assert!(matches!(too_large, PublishError::TooLarge { limit: 200_000, .. }), "{too_large}");
    assert_eq!(publisher.publish(&large).await, Ok(Outcome::Attempted));
    let cut = Ok((DeadLetterReason::TooLarge, DeadLetterOutcome::Delivered));
    assert_eq!([letters.recv_timeout(PATIENCE), letters.recv_timeout(PATIENCE)], [cut, cut]);
    // Too large for a broker, in its batch and alone: nothing is to be cut.
    kafka.fail_requests(RDKafkaApiKey::Produce, &[TOO_LARGE; 2]).unwrap();
    assert!(result(&submit(&publisher, &event(2, 75))).is_err());
    assert_eq!(letters.recv_timeout(PATIENCE), cut);
    let mut value = Vec::new();
    large.as_ref().encode_v5(&mut value);
    let size = value.len().to_string();
    let records = kafka.records(LETTERS, 3, PATIENCE).unwrap();
    for record in &records[..2] {
        assert_eq!(record.value, value[..64 << 10]);
        assert_eq!(header(record, "dead-letter-full-size"), Some(size.as_str()));
    }
    assert_eq!(header(&records[2], "dead-letter-full-size"), None);
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn headers_that_are_too_large_themselves_are_left_out() {
    let kafka = MockKafka::start(1).unwrap();
    let mut config = with_letters(&kafka);
    config.dynamic.batch_max_bytes = 4096;
    config.dynamic.headers = vec![("path".into(), vec!["wrp.Path".into()])];
    let publisher = started(config);
    let (letters, _) = listened(&publisher);
    let mut large = event(1, 75);
    large.path = "x".repeat(5000).as_str().into();
    assert!(result(&submit(&publisher, &large)).is_err());
    let told = letters.recv_timeout(PATIENCE);
    assert_eq!(told, Ok((DeadLetterReason::TooLarge, DeadLetterOutcome::Delivered)));
    let records = kafka.records(LETTERS, 1, PATIENCE).unwrap();
    assert_eq!(header(&records[0], "path"), None);
    assert!(records[0].value.len() > 2000, "{}", records[0].value.len());
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn there_is_no_dead_letter_of_a_dead_letter() {
    let kafka = MockKafka::start(1).unwrap();
    let publisher = started(Config { max_record_retries: 0, ..with_letters(&kafka) });
    let (letters, _) = listened(&publisher);
    kafka.fail_requests(RDKafkaApiKey::Produce, &[UNAUTHORIZED, TOO_LARGE, TOO_LARGE]).unwrap();
    assert!(result(&submit(&publisher, &event(1, 0))).is_err());
    let told = letters.recv_timeout(PATIENCE);
    assert_eq!(told, Ok((DeadLetterReason::Unauthorized, DeadLetterOutcome::Lost)));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    assert!(letters.try_recv().is_err(), "told once");
}

#[tokio::test]
async fn without_a_topic_for_them_dead_letters_are_counted() {
    let kafka = MockKafka::start(1).unwrap();
    let publisher = started(config(&kafka));
    let (letters, _) = listened(&publisher);
    kafka.fail_requests(RDKafkaApiKey::Produce, &[TOO_LARGE; 2]).unwrap();
    assert!(result(&submit(&publisher, &event(1, 75))).is_err());
    let told = letters.recv_timeout(PATIENCE);
    assert_eq!(told, Ok((DeadLetterReason::TooLarge, DeadLetterOutcome::Discarded)));
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_dead_letter_of_low_level_that_finds_the_buffer_full_is_lost_and_nobody_waits() {
    let kafka = MockKafka::start(1).unwrap();
    let mut config = with_letters(&kafka);
    (config.max_buffered_records, config.dynamic.batch_max_bytes) = (1, 4096);
    let publisher = started(config);
    let (letters, _) = listened(&publisher);
    kafka.broker_down().unwrap();
    submit(&publisher, &event(1, 25));
    let mut large = event(2, 0);
    large.payload = Some(vec![b'x'; 5000]);
    assert!(result(&submit(&publisher, &large)).is_err());
    assert_eq!(letters.try_recv(), Ok((DeadLetterReason::TooLarge, DeadLetterOutcome::Lost)));
    publisher.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_record_for_an_unknown_topic_is_a_dead_letter_when_it_is_given_up() {
    let kafka = MockKafka::start(1).unwrap();
    let mut config = with_letters(&kafka);
    config.dynamic.topic_map =
        vec![wrpkafka::Route { pattern: "*".into(), topic: "nowhere".into(), ..wrpkafka::Route::default() }];
    config.record_delivery_timeout = Duration::from_secs(2);
    let publisher = started(config);
    let (letters, _) = listened(&publisher);
    let begun = Instant::now();
    for (qos, least) in [(0, 1), (75, 2)] {
        let unknown = result(&submit(&publisher, &event(1, qos))).unwrap_err();
        assert_eq!(unknown.dead_letter_reason(), Some(DeadLetterReason::UnknownTopic), "{unknown}");
        assert!(begun.elapsed() >= Duration::from_secs(least), "{:?}", begun.elapsed());
        let told = letters.recv_timeout(PATIENCE);
        assert_eq!(told, Ok((DeadLetterReason::UnknownTopic, DeadLetterOutcome::Delivered)));
    }
    publisher.stop(PATIENCE).await;
}
