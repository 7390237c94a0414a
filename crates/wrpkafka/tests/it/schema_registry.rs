//! Values framed for a schema registry: the publisher against the mock cluster and a registry inside the process.

use std::time::Instant;

use serde_json::Value;
use wrp::{Message, MessageRef};
use wrpkafka::config::{SchemaFormat, SchemaRegistry, SubjectStrategy, WhenDown};
use wrpkafka::mock::{MockKafka, MockRecord, MockRegistry};
use wrpkafka::{Config, DynamicConfig, ErrorType, Outcome, PublishError, Publisher, Route};

use crate::support::events::event;
use crate::support::{PATIENCE, config, eventually, header, result, started, submit};

const TOPIC: &str = "wrp-events";

fn with_registry(kafka: &MockKafka, registry: &MockRegistry, format: SchemaFormat) -> Config {
    let schema_registry = SchemaRegistry { urls: vec![registry.url()], format, ..SchemaRegistry::default() };
    Config { schema_registry, ..config(kafka) }
}

fn routes(topics: &[&str]) -> Vec<Route> {
    let route = |topic: &&str| Route { pattern: "*".into(), topic: (*topic).into(), ..Route::default() };
    topics.iter().map(route).collect()
}

/// The id in a record's frame, and what is behind it.
fn frame(record: &MockRecord) -> (Option<u32>, &[u8]) {
    match record.value.split_first_chunk::<5>() {
        Some(([0, id @ ..], rest)) => (Some(u32::from_be_bytes(*id)), rest),
        _ => (None, &record.value),
    }
}

/// The message in a raw record: behind the frame is the length of what follows.
fn raw_message(record: &MockRecord) -> Message {
    let (Some(_), value) = frame(record) else { panic!("{record:?} has no frame") };
    let length = value.iter().position(|byte| *byte < 0x80).unwrap() + 1;
    let (message, rest) = MessageRef::decode_v5(&value[length..]).unwrap();
    assert_eq!(rest, b"");
    message.to_owned()
}

#[tokio::test]
async fn every_topic_of_a_fan_out_has_the_id_of_its_own_subject() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    kafka.create_topic("second", 1).unwrap();
    // Another schema came first, so that the ids of the two subjects differ from each other's place.
    let other = serde_json::json!({"schema": "\"string\""});
    assert_eq!(registry.register("other-value", &other), 1);
    let mut config = with_registry(&kafka, &registry, SchemaFormat::Raw);
    config.dynamic.topic_map = routes(&[TOPIC, "second"]);
    let publisher = started(config);
    let message = event(1, 75);
    assert_eq!(publisher.publish(&message).await, Ok(Outcome::Accepted));
    assert_eq!(result(&submit(&publisher, &message)), Ok(Outcome::Accepted));
    for topic in [TOPIC, "second"] {
        let records = kafka.records(topic, 2, PATIENCE).unwrap();
        assert_eq!(records.len(), 2);
        for record in &records {
            assert_eq!(frame(record).0, registry.id(&format!("{topic}-value")), "{topic}");
            assert_eq!(raw_message(record), message);
        }
    }
    let stats = publisher.schema_stats();
    assert_eq!((stats.answers, stats.framed, stats.raw, stats.unknown_subjects), (2, 4, 0, 0));
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn json_values_have_the_fields_of_the_schema_that_is_registered() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    let mut config = with_registry(&kafka, &registry, SchemaFormat::Json);
    config.schema_registry.subjects = SubjectStrategy::Record;
    let publisher = started(config);
    assert_eq!(result(&submit(&publisher, &event(1, 75))), Ok(Outcome::Accepted));
    let records = kafka.records(TOPIC, 1, PATIENCE).unwrap();
    let (id, value) = frame(&records[0]);
    assert_eq!(id, registry.id("xmidt.wrp.Message"));
    assert_eq!(value.last(), Some(&b'}'));
    assert_eq!(wrp::json::decode_v5(value).unwrap(), event(1, 75));
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn records_of_every_level_wait_in_order_for_a_registry_that_is_down() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    registry.set_down(true);
    let publisher = started(with_registry(&kafka, &registry, SchemaFormat::Raw));
    let fates: Vec<_> =
        (0..40).map(|i| submit(&publisher, &event(i, [0, 25, 50, 75][i as usize % 4]))).collect();
    assert_eq!(publisher.buffered().waiting_records, 40);
    eventually("the registry is asked", PATIENCE, || publisher.schema_stats().failures > 0);
    registry.set_down(false);
    for fates in &fates {
        assert_eq!(result(fates), Ok(Outcome::Accepted));
    }
    let records = kafka.records(TOPIC, 40, PATIENCE).unwrap();
    let numbers: Vec<_> = records.iter().map(|record| raw_message(record).session_id.to_string()).collect();
    assert_eq!(numbers, (0..40).map(|i| i.to_string()).collect::<Vec<_>>());
    assert!(records.iter().all(|record| frame(record).0 == registry.id("wrp-events-value")));
    let stats = publisher.schema_stats();
    assert_eq!((stats.framed, stats.held), (40, 40));
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn an_id_once_known_outlives_the_registry_and_new_routes_ask_for_theirs() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    kafka.create_topic("second", 1).unwrap();
    let publisher = started(with_registry(&kafka, &registry, SchemaFormat::Raw));
    assert_eq!(result(&submit(&publisher, &event(1, 75))), Ok(Outcome::Accepted));
    registry.set_down(true);
    assert_eq!(result(&submit(&publisher, &event(2, 75))), Ok(Outcome::Accepted));
    registry.set_down(false);
    let dynamic = DynamicConfig { topic_map: routes(&["second"]), ..DynamicConfig::default() };
    publisher.update_config(dynamic).unwrap();
    assert_eq!(result(&submit(&publisher, &event(3, 75))), Ok(Outcome::Accepted));
    let records = kafka.records("second", 1, PATIENCE).unwrap();
    assert_eq!(frame(&records[0]).0, registry.id("second-value"));
    assert_eq!(registry.requests(), 2, "once for each subject");
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_topic_without_an_id_holds_up_no_other_topic() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    kafka.create_topic("second", 1).unwrap();
    let publisher = started(with_registry(&kafka, &registry, SchemaFormat::Raw));
    assert_eq!(result(&submit(&publisher, &event(1, 75))), Ok(Outcome::Accepted));
    // The first record may have come before the first id.
    let before = publisher.schema_stats().held;
    registry.set_down(true);
    let mut topic_map = routes(&["second", TOPIC]);
    (topic_map[0].pattern, topic_map[1].pattern) = ("device-status".into(), "known".into());
    publisher.update_config(DynamicConfig { topic_map, ..DynamicConfig::default() }).unwrap();
    let unknown = submit(&publisher, &event(2, 75));
    let mut low = event(3, 0);
    low.dest = "event:known".into();
    assert_eq!(result(&submit(&publisher, &low)), Ok(Outcome::Accepted));
    assert_eq!(publisher.buffered().waiting_records, 1);
    registry.set_down(false);
    assert_eq!(result(&unknown), Ok(Outcome::Accepted));
    assert_eq!(publisher.schema_stats().held, before + 1);
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn without_a_registry_raw_records_say_what_they_are() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    registry.set_down(true);
    let mut config = with_registry(&kafka, &registry, SchemaFormat::Avro);
    config.schema_registry.when_down = WhenDown::Raw;
    let publisher = started(config);
    let message = event(1, 75);
    assert_eq!(result(&submit(&publisher, &message)), Ok(Outcome::Accepted));
    assert_eq!(publisher.publish(&message).await, Ok(Outcome::Accepted));
    for record in kafka.records(TOPIC, 2, PATIENCE).unwrap() {
        assert_eq!(header(&record, "content-type"), Some("application/msgpack"));
        assert_eq!(MessageRef::decode_v5(&record.value).unwrap().0.to_owned(), message);
    }
    assert_eq!(publisher.schema_stats().raw, 2);
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn without_a_registry_records_that_may_not_wait_become_dead_letters() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    kafka.create_topic("letters", 1).unwrap();
    registry.set_down(true);
    let mut config = with_registry(&kafka, &registry, SchemaFormat::Json);
    config.schema_registry.when_down = WhenDown::DeadLetter;
    config.dead_letter.topic = "letters".into();
    let publisher = started(config);
    let message = event(1, 75);
    let unknown = PublishError::SchemaUnknown { subject: "wrp-events-value".into() };
    assert_eq!(result(&submit(&publisher, &message)), Err(unknown.clone()));
    assert_eq!(publisher.publish(&message).await, Err(unknown));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    for record in kafka.records("letters", 2, PATIENCE).unwrap() {
        assert_eq!(header(&record, "dead-letter-reason"), Some("schema_unknown"));
        assert_eq!(header(&record, "content-type"), Some("application/json"));
        assert_eq!(wrp::json::decode_v5(&record.value).unwrap(), message, "without the frame");
    }
}

#[tokio::test]
async fn a_registry_that_refuses_is_not_down_and_fails_what_waited() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    registry.set_down(true);
    let publisher = started(with_registry(&kafka, &registry, SchemaFormat::Avro));
    let waited = submit(&publisher, &event(1, 75));
    assert_eq!(publisher.buffered().waiting_records, 1);
    registry.refuse(Some(409));
    let refused = result(&waited).unwrap_err();
    assert_eq!(refused.error_type(), ErrorType::EncodingError);
    assert_eq!(
        refused.to_string(),
        "the schema registry refuses the schema of subject `wrp-events-value`: 409: told to refuse"
    );
    assert_eq!(result(&submit(&publisher, &event(2, 0))), Err(refused));
    assert_eq!(publisher.buffered().waiting_records, 0);
    assert_eq!(publisher.schema_stats().refusals, 1, "a refusal is not asked for again and again");
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_schema_that_may_only_be_looked_up_has_to_be_there() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    let mut config = with_registry(&kafka, &registry, SchemaFormat::Avro);
    config.schema_registry.auto_register = false;
    let publisher = started(config.clone());
    let Err(PublishError::SchemaRefused { status, .. }) = result(&submit(&publisher, &event(1, 75))) else {
        panic!("a schema that is not there is refused")
    };
    assert_eq!((status, registry.id("wrp-events-value")), (404, None));
    publisher.stop(PATIENCE).await;

    let text = include_str!("../../schemas/wrp.avsc");
    let id = registry.register("wrp-events-value", &serde_json::json!({"schema": text}));
    let publisher = started(config);
    assert_eq!(result(&submit(&publisher, &event(2, 75))), Ok(Outcome::Accepted));
    assert_eq!(frame(&kafka.records(TOPIC, 1, PATIENCE).unwrap()[0]).0, Some(id));
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn credentials_are_sent_and_a_wrong_password_is_an_error_without_it() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    registry.require_authorization("Basic bWU6aHVudGVyMg==");
    let mut config = with_registry(&kafka, &registry, SchemaFormat::Avro);
    config.schema_registry.username = "me".into();
    config.schema_registry.password = "hunter3".into();
    let publisher = started(config.clone());
    let refused = result(&submit(&publisher, &event(1, 75))).unwrap_err().to_string();
    assert!(refused.contains("401: unauthorized") && !refused.contains("hunter3"), "{refused}");
    publisher.stop(PATIENCE).await;

    let file = std::env::temp_dir().join(format!("wrpkafka-password-{}", std::process::id()));
    std::fs::write(&file, "hunter2\n").unwrap();
    config.schema_registry.password = "".into();
    config.schema_registry.password_file = file.display().to_string();
    let publisher = started(config);
    assert_eq!(result(&submit(&publisher, &event(1, 75))), Ok(Outcome::Accepted));
    publisher.stop(PATIENCE).await;
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_registry_behind_tls_is_believed_under_the_authority_that_is_configured() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
    let (kafka, registry) =
        (MockKafka::start(1).unwrap(), MockRegistry::start_tls(&certificate, &key).unwrap());
    let mut config = with_registry(&kafka, &registry, SchemaFormat::Avro);
    config.schema_registry.when_down = WhenDown::DeadLetter;
    let publisher = started(config.clone());
    let unknown = result(&submit(&publisher, &event(1, 75)));
    assert!(matches!(unknown, Err(PublishError::SchemaUnknown { .. })), "an unknown authority: {unknown:?}");
    publisher.stop(PATIENCE).await;

    let file = std::env::temp_dir().join(format!("wrpkafka-ca-{}.pem", std::process::id()));
    std::fs::write(&file, certificate).unwrap();
    config.schema_registry.when_down = WhenDown::Buffer;
    config.schema_registry.ca_file = file.display().to_string();
    let publisher = started(config);
    assert_eq!(result(&submit(&publisher, &event(2, 75))), Ok(Outcome::Accepted));
    publisher.stop(PATIENCE).await;
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn the_next_url_is_tried_when_the_first_does_not_answer() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    let mut config = with_registry(&kafka, &registry, SchemaFormat::Avro);
    // No registry listens on port 1.
    config.schema_registry.urls.insert(0, "http://localhost:1/".to_owned());
    let publisher = started(config);
    assert_eq!(result(&submit(&publisher, &event(1, 75))), Ok(Outcome::Accepted));
    publisher.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_publisher_that_never_reached_its_registry_stops_in_time_and_says_what_is_left() {
    let (kafka, registry) = (MockKafka::start(1).unwrap(), MockRegistry::start().unwrap());
    registry.set_down(true);
    let publisher = started(with_registry(&kafka, &registry, SchemaFormat::Avro));
    let fates = submit(&publisher, &event(1, 75));
    let begun = Instant::now();
    assert_eq!(publisher.stop(std::time::Duration::from_millis(50)).await.undelivered, 1);
    assert_eq!(result(&fates), Err(PublishError::Stopped));
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn a_file_that_cannot_be_read_is_named_at_the_start() {
    let mut config = Config { brokers: vec!["localhost:1".to_owned()], ..Config::default() };
    config.schema_registry.urls = vec!["https://localhost:1".to_owned()];
    config.schema_registry.ca_file = "/nonexistent/ca.pem".to_owned();
    let error = Publisher::new(config).unwrap().start().unwrap_err().to_string();
    assert!(error.contains("schemaRegistry.caFile: cannot read `/nonexistent/ca.pem`"), "{error}");
}

#[test]
fn the_mock_registry_gives_a_schema_back_by_its_id() {
    let registry = MockRegistry::start().unwrap();
    let schema = serde_json::json!({"schema": "\"bytes\""});
    let id = registry.register("s", &schema);
    let mut answer = ureq::get(format!("{}/schemas/ids/{id}", registry.url())).call().unwrap();
    let read: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!(read, schema);
}
