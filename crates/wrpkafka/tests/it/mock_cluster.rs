//! The publisher against librdkafka's mock cluster: real sockets, real protocol, in process.

use std::collections::HashMap;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use wrp::{Message, MessageRef, Qos};
use wrpkafka::config::{Acks, Compression, HashKey, SaslMechanism};
use wrpkafka::mock::{MockKafka, RDKafkaApiKey, RDKafkaRespErr};
use wrpkafka::{Config, ErrorType, Outcome, PublishError, Publisher, Route};

use crate::support::events::of_device;
use crate::support::{PATIENCE, config, eventually, result, started, submit};

fn event(device: u32, qos: i64) -> Message {
    of_device(&format!("mac:{device:012x}"), qos)
}

#[tokio::test]
async fn an_event_arrives_as_v5_under_its_device_id_with_its_headers() {
    let kafka = MockKafka::start(4).unwrap();
    let mut config = config(&kafka);
    config.dynamic.headers = vec![
        ("X-Source".to_owned(), vec!["wrp.Source".to_owned()]),
        ("x-fixed".to_owned(), vec!["one".to_owned(), "".to_owned()]),
    ];
    let publisher = started(config);
    let message = event(1, 75);
    assert_eq!(publisher.publish(&message).await, Ok(Outcome::Accepted));
    assert_eq!(result(&submit(&publisher, &event(2, 50))), Ok(Outcome::Accepted));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);

    let records = kafka.records("wrp-events", 2, PATIENCE).unwrap();
    assert_eq!(records.len(), 2);
    let first = records.iter().find(|record| record.key.as_deref() == Some(b"mac:000000000001")).unwrap();
    let (decoded, rest) = MessageRef::decode_v5(&first.value).unwrap();
    assert_eq!((decoded.to_owned(), rest), (message, &[][..]));
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    assert_eq!(
        first.headers,
        [header("X-Source", "mac:000000000001"), header("x-fixed", "one"), header("x-fixed", "")]
    );
}

#[tokio::test]
async fn keyed_records_go_where_a_java_producer_would_send_them() {
    let partitions = 16;
    let kafka = MockKafka::start(partitions).unwrap();
    let mut config = config(&kafka);
    config.dynamic.topic_map = vec![Route {
        pattern: "*".to_owned(),
        topic: "wrp-events".to_owned(),
        hash_key: HashKey::Metadata("key".to_owned()),
        ..Route::default()
    }];
    let publisher = started(config);
    let mut expected = HashMap::new();
    for case in vectors::cases("partitions.json") {
        let key = vectors::hex(case.value["key"].as_str().unwrap());
        let chosen = case.value["partitions"].as_array().unwrap().iter().find(|pair| pair[0] == partitions);
        // An empty text is no key; the others are texts that a device may have.
        let (Some(chosen), false) = (chosen, key.is_empty()) else { continue };
        let message = Message {
            dest: "event:x".into(),
            metadata: Some([("key", &key)].into()),
            qos: Qos(25),
            ..Message::default()
        };
        publisher.submit_with(&message, None).unwrap();
        expected.insert(key, i32::try_from(chosen[1].as_u64().unwrap()).unwrap());
    }
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    let records = kafka.records("wrp-events", expected.len(), PATIENCE).unwrap();
    println!("partitions read back: {}", records.len());
    let read: HashMap<_, _> =
        records.into_iter().map(|record| (record.key.unwrap(), record.partition)).collect();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn what_waits_for_a_broker_is_delivered_when_it_comes_back_in_order_and_once() {
    let kafka = MockKafka::start(1).unwrap();
    let mut config = config(&kafka);
    config.max_buffered_records = 8;
    let publisher = started(config);
    assert_eq!(result(&submit(&publisher, &event(0, 25))), Ok(Outcome::Accepted));
    kafka.broker_down().unwrap();
    let mut fates = Vec::new();
    for i in 0..40 {
        let mut message = event(1, 25);
        message.session_id = format!("{i}").as_str().into();
        fates.push(submit(&publisher, &message));
    }
    assert_eq!(result(&submit(&publisher, &event(2, 0))), Err(PublishError::BufferFull));
    let buffered = publisher.buffered();
    assert_eq!((buffered.records, buffered.waiting_records), (8, 32));
    kafka.broker_up().unwrap();
    for fates in &fates {
        assert_eq!(result(fates), Ok(Outcome::Accepted));
    }
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    let records = kafka.records("wrp-events", 42, Duration::from_secs(2)).unwrap();
    let sessions: Vec<String> = records
        .iter()
        .map(|record| MessageRef::decode_v5(&record.value).unwrap().0.session_id.to_string())
        .filter(|session| !session.is_empty())
        .collect();
    assert_eq!(sessions, (0..40).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_publisher_starts_without_a_broker_and_its_stop_is_bounded() {
    let kafka = MockKafka::start(1).unwrap();
    kafka.broker_down().unwrap();
    let publisher = started(config(&kafka));
    let fates = submit(&publisher, &event(1, 75));
    let begun = Instant::now();
    assert_eq!(publisher.stop(Duration::from_millis(50)).await.undelivered, 1);
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(result(&fates), Err(PublishError::Stopped));
}

#[tokio::test]
async fn a_delivery_timeout_ends_the_wait() {
    let kafka = MockKafka::start(1).unwrap();
    kafka.broker_down().unwrap();
    let mut config = config(&kafka);
    config.record_delivery_timeout = Duration::from_secs(1);
    let publisher = started(config);
    assert_eq!(publisher.publish(event(1, 75)).await, Err(PublishError::Timeout));
}

#[tokio::test]
async fn what_a_broker_refuses_for_good_is_a_broker_error() {
    let kafka = MockKafka::start(1).unwrap();
    let publisher = started(config(&kafka));
    for (errors, text) in [
        (
            // The batch, and the record alone.
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2][..],
            "MessageSizeTooLarge: Broker: Message size too large",
        ),
        (&[RDKafkaRespErr::RD_KAFKA_RESP_ERR_POLICY_VIOLATION], "PolicyViolation: Broker: Policy violation"),
    ] {
        kafka.fail_requests(RDKafkaApiKey::Produce, errors).unwrap();
        let refused = publisher.publish(event(1, 75)).await.unwrap_err();
        assert_eq!(refused.error_type(), ErrorType::BrokerError);
        assert_eq!(refused.to_string(), text);
    }
}

#[tokio::test]
async fn what_a_broker_refuses_for_now_is_sent_again() {
    let kafka = MockKafka::start(1).unwrap();
    let publisher = started(config(&kafka));
    let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 5];
    kafka.fail_requests(RDKafkaApiKey::Produce, &errors).unwrap();
    assert_eq!(publisher.publish(event(1, 75)).await, Ok(Outcome::Accepted));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    assert_eq!(kafka.records("wrp-events", 2, Duration::from_secs(2)).unwrap().len(), 1);
}

#[tokio::test]
async fn a_topic_that_is_not_authorized_is_waited_for() {
    let kafka = MockKafka::start(1).unwrap();
    let publisher = started(config(&kafka));
    assert_eq!(publisher.publish(event(1, 75)).await, Ok(Outcome::Accepted));
    let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 2];
    kafka.fail_requests(RDKafkaApiKey::Produce, &errors).unwrap();
    let waiting: Vec<_> = (2..7).map(|number| submit(&publisher, &event(number, 50))).collect();
    eventually("the topic fails", PATIENCE, || publisher.topics().iter().any(|usage| usage.outage.is_some()));
    assert!(waiting.iter().all(|results| result(results) == Ok(Outcome::Accepted)));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    let records = kafka.records("wrp-events", 7, Duration::from_secs(2)).unwrap();
    let mut numbers: Vec<_> = records
        .iter()
        .map(|record| MessageRef::decode_v5(&record.value).unwrap().0.source.to_string())
        .collect();
    // They are of different devices: a batch behind the two that are refused may be written before these.
    numbers.sort();
    assert_eq!(numbers, (1..7).map(|number| event(number, 0).source.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_fan_out_ends_with_its_last_record() {
    let kafka = MockKafka::start(1).unwrap();
    kafka.create_topic("second", 1).unwrap();
    let mut config = config(&kafka);
    let route = |topic: &str| Route { pattern: "*".to_owned(), topic: topic.to_owned(), ..Route::default() };
    config.dynamic.topic_map = vec![route("wrp-events"), route("second")];
    let publisher = started(config);
    assert_eq!(result(&submit(&publisher, &event(1, 75))), Ok(Outcome::Accepted));
    assert_eq!(publisher.publish(event(2, 75)).await, Ok(Outcome::Accepted));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    for topic in ["wrp-events", "second"] {
        assert_eq!(kafka.records(topic, 2, PATIENCE).unwrap().len(), 2, "{topic}");
    }
}

#[tokio::test]
async fn every_setting_makes_a_client_that_delivers() {
    let kafka = MockKafka::start(1).unwrap();
    for &compression in Compression::ALL {
        for &acks in Acks::ALL {
            let mut config = config(&kafka);
            config.dynamic.compression = compression;
            config.dynamic.acks = acks;
            config.dynamic.linger = Duration::from_micros(500);
            config.dynamic.batch_max_bytes = 4096;
            let publisher = started(config);
            assert_eq!(
                result(&submit(&publisher, &event(1, 75))),
                Ok(Outcome::Accepted),
                "{compression}, {acks}"
            );
            publisher.stop(PATIENCE).await;
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_at_the_start() {
    let mut config = Config { brokers: vec!["localhost:1".to_owned()], ..Config::default() };
    config.tls.enabled = true;
    config.tls.ca_file = "/nonexistent/ca.pem".to_owned();
    config.sasl.mechanism = Some(SaslMechanism::Plain);
    config.sasl.username = "someone".to_owned();
    config.sasl.password = "hunter2".into();
    let error = Publisher::new(config).unwrap().start().unwrap_err().to_string();
    assert!(error.contains("/nonexistent/ca.pem") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn another_producer_epoch_is_counted() {
    let kafka = MockKafka::start(1).unwrap();
    let mut config = config(&kafka);
    config.statistics_interval = Duration::from_millis(100);
    let publisher = started(config);
    assert_eq!(publisher.publish(event(1, 75)).await, Ok(Outcome::Accepted));
    assert_eq!(publisher.client_stats().producer_epochs, 0);
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID;
    kafka.fail_requests(RDKafkaApiKey::Produce, &[error]).unwrap();
    assert_eq!(publisher.publish(event(2, 75)).await, Ok(Outcome::Accepted));
    eventually("the client reports it", PATIENCE, || publisher.client_stats().producer_epochs == 1);
}

#[tokio::test]
async fn the_client_counts_what_it_does() {
    let kafka = MockKafka::start(1).unwrap();
    let mut config = config(&kafka);
    config.statistics_interval = Duration::from_secs(1);
    let publisher = started(config);
    assert_eq!(publisher.publish(event(1, 75)).await, Ok(Outcome::Accepted));
    let (told, reports) = channel();
    struct Reports(parking_lot::Mutex<std::sync::mpsc::Sender<wrpkafka::ClientStats>>);
    impl wrpkafka::Listener for Reports {
        fn on_publish(&self, _: &wrpkafka::PublishEvent<'_>) {}
        fn on_client_stats(&self, stats: &wrpkafka::ClientStats) {
            drop(self.0.lock().send(stats.clone()));
        }
    }
    publisher.add_listener(std::sync::Arc::new(Reports(parking_lot::Mutex::new(told))));
    let stats = reports.recv_timeout(PATIENCE).unwrap();
    assert_eq!(stats, publisher.client_stats());
    let topic = stats.topics.iter().find(|topic| topic.topic == "wrp-events").unwrap();
    assert_eq!((topic.node_id.as_str(), topic.produced_records, topic.produced_batches), ("1", 1, 1));
    assert!(topic.produced_bytes > 0);
    let node = stats.nodes.iter().find(|node| node.node_id == "1").unwrap();
    assert!(node.write_bytes > 0 && node.read_bytes > 0, "{node:?}");
}
