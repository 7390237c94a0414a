//! Schema-framed records through a real registry (Apicurio) and a real Kafka, read by a Java consumer with the registry's
//! own deserializers. Skipped, loudly, where there is no Java or Maven.

use realkafka::{Format, FramedRecord, Kafka, Registry, Setup};
use serde_json::{Value, json};
use wrp::{Message, MessageRef, MessageType, Qos};
use wrpkafka::config::{SchemaFormat, SchemaRegistry, WhenDown};
use wrpkafka::{Config, DeadLetterReason, Outcome, PublishError, Publisher, Route};

use crate::support::{PATIENCE, real_kafka, started};

/// The largest batch that the brokers take, in bytes.
const BROKER_LIMIT: usize = 150_000;

fn config(kafka: &Kafka, registry: &Registry, topic: &str, format: SchemaFormat) -> Config {
    let urls = vec![registry.url().to_owned()];
    let mut config = Config {
        brokers: vec![kafka.bootstrap().to_owned()],
        schema_registry: SchemaRegistry { urls, format, ..SchemaRegistry::default() },
        ..Config::default()
    };
    config.dynamic.topic_map = vec![Route { pattern: "*".into(), topic: topic.into(), ..Route::default() }];
    config
}

/// A message with every field of v5.
fn full() -> Message {
    Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "mac:112233445566/config".into(),
        dest: "event:device-status/mac:112233445566/online".into(),
        transaction_uuid: "c2f0".into(),
        content_type: "application/json".into(),
        accept: "*/*".into(),
        status: Some(-200),
        rdr: Some(i64::MAX),
        headers: Some(["X-A: b", "X-Ü: é"].into()),
        metadata: Some([("/hw-deviceid", "mac:112233445566"), ("k", "")].into()),
        path: "/p".into(),
        payload: Some(vec![0, 1, 0xfe, 0xff]),
        service_name: "config".into(),
        url: "http://localhost".into(),
        partner_ids: Some(["comcast"].into()),
        session_id: "s".repeat(200).as_str().into(),
        qos: Qos(75),
        ..Message::default()
    }
}

/// One with hardly any, and bytes in its metadata that are no UTF-8.
fn sparse() -> Message {
    Message {
        msg_type: MessageType::SIMPLE_EVENT,
        dest: "event:x".into(),
        metadata: Some([("k", b"a\xffb")].into()),
        qos: Qos(75),
        ..Message::default()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a consumer reads of [`full`], but for its payload.
fn full_value(payload: &Value) -> Value {
    json!({
        "msg_type": 4, "source": "mac:112233445566/config",
        "dest": "event:device-status/mac:112233445566/online", "transaction_uuid": "c2f0",
        "content_type": "application/json", "accept": "*/*", "status": -200, "rdr": i64::MAX,
        "headers": ["X-A: b", "X-Ü: é"], "metadata": {"/hw-deviceid": "mac:112233445566", "k": ""},
        "path": "/p", "payload": payload, "service_name": "config", "url": "http://localhost",
        "partner_ids": ["comcast"], "session_id": "s".repeat(200), "qos": 75,
    })
}

async fn publish(publisher: &Publisher) {
    for message in [full(), sparse()] {
        assert_eq!(publisher.publish(&message).await, Ok(Outcome::Accepted));
    }
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
}

/// The two records in the order in which they were published; their topic has one partition.
fn read(kafka: &Kafka, registry: &Registry, topic: &str, format: Format) -> [FramedRecord; 2] {
    let records = registry.read(kafka, topic, format, 2);
    println!("{topic}: {} records read with the registry's deserializer", records.len());
    let records: [FramedRecord; 2] = records.try_into().unwrap();
    for record in &records {
        assert_eq!(record.error, None);
        assert!(record.schema_id.is_some());
    }
    records
}

/// A request to the registry's own API, for what a publisher does not do.
fn ask(request: ureq::RequestBuilder<ureq::typestate::WithBody>, body: &Value) {
    let answer = request.content_type("application/json").send(body.to_string()).unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

#[tokio::test]
async fn a_java_consumer_reads_every_format_with_the_registrys_deserializer() {
    let _alone = real_kafka().await;
    let topics = ["avro", "json", "raw", "late", "letters", "refused"];
    let topics = topics.map(|topic| (topic.to_owned(), 1)).to_vec();
    let properties = format!("message.max.bytes={BROKER_LIMIT}\n");
    let Some(kafka) = (Setup { topics, properties, ..Setup::default() }).start() else { return };
    let Some(registry) = Registry::start() else { return };

    publish(&started(config(&kafka, &registry, "avro", SchemaFormat::Avro))).await;
    let [first, second] = read(&kafka, &registry, "avro", Format::Avro);
    assert_eq!(first.schema.as_deref(), Some("xmidt.wrp.Message"));
    assert_eq!(first.value, full_value(&json!({"hex": "0001feff"})));
    assert_eq!(second.value["metadata"], json!({"k": "a\u{fffd}b"}));
    assert!(second.value["payload"].is_null() && second.value["status"].is_null());

    publish(&started(config(&kafka, &registry, "json", SchemaFormat::Json))).await;
    let [first, second] = read(&kafka, &registry, "json", Format::Json);
    assert_eq!(first.value, full_value(&json!("AAH+/w==")));
    assert_eq!(
        second.value,
        json!({"msg_type": 4, "dest": "event:x", "metadata": {"k": "a\u{fffd}b"}, "qos": 75})
    );

    publish(&started(config(&kafka, &registry, "raw", SchemaFormat::Raw))).await;
    for (record, message) in read(&kafka, &registry, "raw", Format::Avro).iter().zip([full(), sparse()]) {
        let mut msgpack = Vec::new();
        message.as_ref().encode_v5(&mut msgpack);
        assert_eq!(record.value, json!({"message": {"hex": hex(&msgpack)}}));
    }

    a_registry_that_comes_back(&kafka, &registry).await;
    a_schema_that_is_refused(&kafka, &registry).await;
    a_record_that_the_broker_finds_too_large(&kafka, &registry).await;
}

async fn a_registry_that_comes_back(kafka: &Kafka, registry: &Registry) {
    registry.kill();
    let publisher = started(config(kafka, registry, "late", SchemaFormat::Avro));
    let mut fates = Vec::new();
    for message in [full(), sparse()] {
        let (told, fate) = tokio::sync::oneshot::channel();
        let receipt = Box::new(move |result| drop(told.send(result)));
        publisher.submit_with(&message, Some(receipt)).unwrap();
        fates.push(fate);
    }
    assert_eq!(publisher.buffered().waiting_records, 2);
    registry.restart();
    for fate in fates {
        assert_eq!(fate.await.unwrap(), Ok(Outcome::Accepted));
    }
    publisher.stop(PATIENCE).await;
    let [first, second] = read(kafka, registry, "late", Format::Avro);
    assert_eq!(first.value, full_value(&json!({"hex": "0001feff"})));
    assert_eq!(second.value["dest"], "event:x");
}

async fn a_schema_that_is_refused(kafka: &Kafka, registry: &Registry) {
    let url = registry.url();
    // Another schema has the subject, and only compatible ones may follow.
    ask(ureq::put(format!("{url}/config")), &json!({"compatibility": "FULL"}));
    let other = json!({"schema": r#"{"type":"record","name":"Other","fields":[{"name":"a","type":"int"}]}"#});
    ask(ureq::post(format!("{url}/subjects/refused-value/versions")), &other);
    let mut config = config(kafka, registry, "refused", SchemaFormat::Avro);
    config.dead_letter.topic = "letters".to_owned();
    config.schema_registry.when_down = WhenDown::Buffer;
    let publisher = started(config);
    let refused = publisher.publish(full()).await.unwrap_err();
    println!("refused: {refused}");
    assert!(matches!(refused, PublishError::SchemaRefused { status: 409, .. }), "{refused:?}");
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
}

async fn a_record_that_the_broker_finds_too_large(kafka: &Kafka, registry: &Registry) {
    let mut config = config(kafka, registry, "raw", SchemaFormat::Raw);
    config.schema_registry = SchemaRegistry::default();
    config.dead_letter.topic = "letters".to_owned();
    let publisher = started(config);
    let mut large = full();
    large.payload = Some(vec![b'x'; 2 * BROKER_LIMIT]);
    let refused = publisher.publish(&large).await.unwrap_err();
    assert_eq!(refused.dead_letter_reason(), Some(DeadLetterReason::TooLarge), "{refused}");
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);

    let letters = kafka.read("letters", "mac:", 2);
    let header = |at: usize, wanted: &str| {
        let header = letters[at].headers.iter().find(|(name, _)| name == wanted);
        header.and_then(|(_, value)| value.clone())
    };
    assert_eq!(letters.len(), 2);
    assert_eq!(header(0, "dead-letter-reason").as_deref(), Some("schema_refused"));
    assert_eq!(header(0, "content-type").as_deref(), Some("avro/binary"));
    assert_eq!(header(1, "dead-letter-reason").as_deref(), Some("too_large"));
    assert_eq!(header(1, "dead-letter-topic").as_deref(), Some("raw"));
    let mut value = Vec::new();
    large.as_ref().encode_v5(&mut value);
    assert_eq!(header(1, "dead-letter-full-size"), Some(value.len().to_string()));
    assert_eq!(letters[1].value(), value[..64 << 10]);
    assert!(MessageRef::decode_v5(&letters[1].value()).is_err(), "what is cut is no message");
}
