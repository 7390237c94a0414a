//! What one sink does when the other cannot, and which acknowledgement the device receives.

use talaria_protocol::session::Reason;
use wrp::{MessageType, Qos, QosLevel, Text};
use wrpkafka::Publisher;
use wrpkafka::mock::MockKafka;

use super::*;
use crate::device::{Acknowledged, Events as _};
use crate::event::config::{QueueLimit, RetryConfig};
use crate::event::dispatcher::Undelivered;
use crate::event::finalizer::AckPolicy;
use crate::event::verdict::Verdict;

/// Sends an event of this quality of service as a device's session does.
pub(super) fn send(gateway: &Gateway, device: &Arc<Device>, dest: &str, qos: i64) {
    let mut message = MessageRef {
        msg_type: MessageType::SIMPLE_EVENT,
        source: Text::from(device.id().as_str()),
        dest: Text::from(dest),
        payload: Some(b"hello"),
        qos: Qos(qos),
        ..MessageRef::default()
    };
    gateway.dispatcher.message(device, &mut message);
}

fn some_device() -> Arc<Device> {
    device("mac:112233445566", &json!({"partner-id": "comcast", "accountID": "acc"}))
}

/// A publisher whose broker is not there.
fn publisher_without_broker(delivery_timeout: Duration) -> Publisher {
    let config = wrpkafka::Config {
        brokers: vec!["127.0.0.1:1".to_owned()],
        record_delivery_timeout: delivery_timeout,
        ..wrpkafka::Config::default()
    };
    let publisher = Publisher::new(config).unwrap();
    publisher.start().unwrap();
    publisher
}

pub(super) async fn rdr(device: &Arc<Device>) -> Option<i64> {
    sent_to(device).await.rdr
}

#[tokio::test]
async fn an_event_goes_to_both_sinks_and_is_acknowledged() {
    let (receiver, kafka) = (Receiver::answering(Answer::Status(202)), MockKafka::start(4).unwrap());
    let gateway = Gateway::start(&config(), publisher(&kafka), &receiver);
    let device = some_device();
    for qos in [0, 25, 50, 75] {
        send(&gateway, &device, "event:iot/x", qos);
    }
    for _ in 0..3 {
        assert_eq!(rdr(&device).await, Some(0));
    }
    receiver.received(4).await;
    let records = kafka.records("wrp-events", 4, PATIENCE).unwrap();
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|record| record.key.as_deref() == Some(b"mac:112233445566")));
    let success = r#"kafka_total_outbound_events{outcome="success",reason="no_err",scheme="event"} 4"#;
    eventually("all four are counted", || gateway.has_metric(success).then_some(())).await;
    for line in [
        r#"publish_outcome_total{outcome="Attempted"} 1"#,
        r#"publish_outcome_total{outcome="Queued"} 2"#,
        r#"publish_outcome_total{outcome="Accepted"} 1"#,
        r#"kafka_messages_published_total{error_type="success",topic="wrp-events",topic_shard_strategy=""} 4"#,
    ] {
        assert!(gateway.has_metric(line), "no {line}");
    }
}

#[tokio::test]
async fn online_and_offline_events_go_to_both_sinks() {
    let (receiver, kafka) = (Receiver::answering(Answer::Status(202)), MockKafka::start(1).unwrap());
    let gateway = Gateway::start(&config(), publisher(&kafka), &receiver);
    let device = some_device();
    gateway.dispatcher.online(&device);
    gateway.dispatcher.offline(&device, &Reason::Drained.into());
    assert_eq!(gateway.dispatcher.flush(PATIENCE).await, Undelivered::default());
    let dests =
        ["event:device-status/mac:112233445566/online", "event:device-status/mac:112233445566/offline"];
    let mut posted: Vec<Message> =
        receiver.requests().iter().map(|got| MessageRef::decode_v3(&got.body).unwrap().to_owned()).collect();
    posted.sort_by_key(|message| message.dest != dests[0]);
    let published: Vec<Message> = kafka
        .records("wrp-events", 2, PATIENCE)
        .unwrap()
        .iter()
        .map(|record| MessageRef::decode_v5(&record.value).unwrap().0.to_owned())
        .collect();
    assert_eq!(posted.iter().map(|message| message.dest.to_string()).collect::<Vec<_>>(), dests);
    assert_eq!(posted, published);
}

#[tokio::test]
async fn a_kafka_without_brokers_does_not_touch_http() {
    let receiver = Receiver::answering(Answer::Status(202));
    let gateway = Gateway::start(&config(), publisher_without_broker(Duration::ZERO), &receiver);
    let device = some_device();
    for _ in 0..100 {
        send(&gateway, &device, "event:iot/x", 50);
    }
    receiver.received(100).await;
    assert!(device.take_frame().is_none(), "kafka has nothing yet, so nothing is acknowledged");
    let undelivered = gateway.dispatcher.flush(Duration::from_millis(100)).await;
    assert_eq!(undelivered, Undelivered { kafka: 100, ..Undelivered::default() });
    for _ in 0..100 {
        assert_eq!(rdr(&device).await, Some(Verdict::ShuttingDown.rdr().0));
    }
}

#[tokio::test]
async fn a_record_that_kafka_gives_up_is_told_and_counted() {
    let receiver = Receiver::answering(Answer::Status(202));
    let gateway = Gateway::start(&config(), publisher_without_broker(Duration::from_secs(1)), &receiver);
    let device = some_device();
    send(&gateway, &device, "event:iot/x", 75);
    assert_eq!(rdr(&device).await, Some(Verdict::KafkaFailed.rdr().0));
    for line in [
        r#"kafka_outbound_dropped_messages{code="message_dropped",reason="kafka_send_failure",scheme="event"} 1"#,
        r#"kafka_total_outbound_events{outcome="failure",reason="kafka_send_failure",scheme="event"} 1"#,
        r#"publish_outcome_total{outcome="Failed"} 1"#,
    ] {
        assert!(gateway.has_metric(line), "no {line}");
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_does_not_touch_kafka() {
    let (receiver, kafka) = (Receiver::answering(Answer::Silence), MockKafka::start(1).unwrap());
    let config = Config { workers: 1, queue: QueueLimit { messages: 1, bytes: 1000 }, ..config() };
    let gateway = Gateway::start(&config, publisher(&kafka), &receiver);
    let device = some_device();
    for _ in 0..50 {
        send(&gateway, &device, "event:iot/x", 30);
    }
    assert_eq!(kafka.records("wrp-events", 50, PATIENCE).unwrap().len(), 50);
    // Whether HTTP had no room for it or still tries: it is safe with Kafka.
    for _ in 0..50 {
        assert_eq!(rdr(&device).await, Some(0));
    }
}

/// contract §15.4
#[tokio::test]
async fn with_the_policy_all_an_event_is_acknowledged_when_kafka_and_the_receiver_have_it() {
    for (answer, verdict) in
        [(Answer::Status(202), Verdict::Delivered), (Answer::Status(400), Verdict::ReceiverRefused)]
    {
        let (receiver, kafka) = (Receiver::answering(answer), MockKafka::start(1).unwrap());
        let config = Config { ack_policy: AckPolicy::All, ..config() };
        let gateway = Gateway::start(&config, publisher(&kafka), &receiver);
        let device = some_device();
        send(&gateway, &device, "event:iot/x", 50);
        assert_eq!(rdr(&device).await, Some(verdict.rdr().0));
        assert_eq!(kafka.records("wrp-events", 1, PATIENCE).unwrap().len(), 1);
    }
}

#[tokio::test]
async fn without_kafka_the_receiver_decides_the_acknowledgement() {
    for (answer, verdict) in [
        (Answer::Status(202), Verdict::Delivered),
        (Answer::Status(400), Verdict::ReceiverRefused),
        (Answer::Close, Verdict::ReceiverUnreachable),
    ] {
        let receiver = Receiver::answering(answer);
        let retry = RetryConfig { retries: 0, ..RetryConfig::default() };
        let config = Config { retry, ..config() };
        let gateway = Gateway::start(&config, Publisher::disabled(), &receiver);
        let device = some_device();
        send(&gateway, &device, "event:iot/x", 25);
        assert_eq!(rdr(&device).await, Some(verdict.rdr().0));
    }
}

#[tokio::test]
async fn a_message_for_a_host_is_http_s_even_with_kafka() {
    let (receiver, kafka) = (Receiver::answering(Answer::Status(500)), MockKafka::start(1).unwrap());
    let gateway = Gateway::start(&config(), publisher(&kafka), &receiver);
    let device = some_device();
    send(&gateway, &device, "dns:http://h/x", 25);
    assert_eq!(rdr(&device).await, Some(Verdict::ReceiverRefused.rdr().0));
}

#[tokio::test(start_paused = true)]
async fn one_message_too_many_of_a_device_is_refused_at_once_and_no_other_device_suffers() {
    let receiver = Receiver::answering(Answer::Silence);
    let config = Config { max_unacknowledged_per_device: 2, ..config() };
    let gateway = Gateway::start(&config, Publisher::disabled(), &receiver);
    let (one, other) = (some_device(), device("mac:112233445567", &Value::Null));
    for _ in 0..3 {
        send(&gateway, &one, "event:iot/x", 25);
    }
    send(&gateway, &other, "event:iot/x", 25);
    assert_eq!(rdr(&one).await, Some(Verdict::NotEnqueued.rdr().0));
    receiver.received(3).await;
    assert!(one.take_frame().is_none() && other.take_frame().is_none());
    assert!(gateway.has_metric(
        r#"outbound_dropped_messages{code="message_dropped",reason="full outbound queue",scheme="unknown"} 1"#
    ));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_waits_for_goes_nowhere() {
    let receiver = Receiver::answering(Answer::Status(202));
    let gateway = Gateway::start(&config(), Publisher::disabled(), &receiver);
    let mut message = MessageRef {
        msg_type: MessageType::SIMPLE_REQUEST_RESPONSE,
        dest: Text::from("event:iot/x"),
        transaction_uuid: Text::from("uuid"),
        qos: Qos(75),
        ..MessageRef::default()
    };
    let device = some_device();
    gateway.dispatcher.message(&device, &mut message);
    assert_eq!(gateway.dispatcher.flush(PATIENCE).await, Undelivered::default());
    assert!(receiver.requests().is_empty() && device.take_frame().is_none());
    for line in [
        r#"outbound_dropped_messages{code="message_dropped",reason="unsupported event",scheme="unknown"} 1"#,
        r#"total_outbound_events{outcome="failure",reason="unsupported event",scheme="unknown"} 1"#,
    ] {
        assert!(gateway.has_metric(line), "no {line}");
    }
}

#[tokio::test]
async fn acknowledgements_are_counted_when_they_are_written_or_given_up() {
    let receiver = Receiver::answering(Answer::Status(202));
    let gateway = Gateway::start(&config(), Publisher::disabled(), &receiver);
    let device = some_device();
    let message =
        || Acknowledged { level: QosLevel::Medium, since: tokio::time::Instant::now(), trace: None };
    gateway.dispatcher.acknowledged(&device, &[message(), message(), message()]);
    gateway.dispatcher.unacknowledged(&device, &[message(), message()], Reason::Duplicate);
    for line in [
        r#"outbound_ack_success{message_type="SimpleEvent",partner_id="comcast",qos_level="Medium"} 3"#,
        r#"outbound_ack_failure{message_type="SimpleEvent",partner_id="comcast",qos_level="Medium"} 2"#,
        r#"outbound_ack_unsent_total{reason="duplicate"} 2"#,
    ] {
        assert!(gateway.has_metric(line), "no {line}");
    }
}

#[tokio::test]
async fn an_acknowledgement_repeats_neither_headers_nor_metadata_that_are_too_long() {
    let receiver = Receiver::answering(Answer::Status(202));
    let gateway = Gateway::start(&config(), Publisher::disabled(), &receiver);
    let device = some_device();
    let long = "x".repeat(5000);
    for (header, value, has_headers, has_metadata) in
        [("h", "v", true, true), (&*long, "v", false, true), ("h", &*long, false, false)]
    {
        let mut message = Message {
            msg_type: MessageType::SIMPLE_EVENT,
            source: "mac:112233445566".into(),
            dest: "event:iot/x".into(),
            headers: Some([header].into()),
            qos: Qos(50),
            ..Message::default()
        };
        message.metadata = Some([("key", value)].into());
        gateway.dispatcher.message(&device, &mut message.as_ref());
        let ack = sent_to(&device).await;
        assert_eq!(
            (ack.rdr, ack.headers.is_some(), ack.metadata.is_some()),
            (Some(0), has_headers, has_metadata)
        );
    }
}

#[tokio::test]
async fn how_full_kafka_s_buffer_is_can_be_seen() {
    let receiver = Receiver::answering(Answer::Status(202));
    let gateway = Gateway::start(&config(), publisher_without_broker(Duration::ZERO), &receiver);
    let device = some_device();
    for _ in 0..100 {
        send(&gateway, &device, "event:iot/x", 50);
    }
    // A hundred of ten thousand records.
    let line = "kafka_buffer_utilization 0.01";
    eventually("the gauge moves", || gateway.has_metric(line).then_some(())).await;
}

/// contract §15.2
#[tokio::test(start_paused = true)]
async fn a_device_that_floods_http_takes_no_room_of_another_and_low_events_give_way_to_high_ones() {
    let receiver = Receiver::answering(Answer::Silence);
    let queue = QueueLimit { messages: 10, bytes: 1 << 20 };
    let gateway = Gateway::start(&Config { workers: 1, queue, ..config() }, Publisher::disabled(), &receiver);
    let (loud, quiet) = (device("uuid:loud", &Value::Null), device("uuid:quiet", &Value::Null));
    send(&gateway, &loud, "event:iot/x", 0);
    receiver.received(1).await;
    (0..20).for_each(|_| send(&gateway, &loud, "event:iot/x", 30));
    for _ in 0..10 {
        assert_eq!(rdr(&loud).await, Some(102), "it holds all of the queue");
    }
    (0..5).for_each(|_| send(&gateway, &quiet, "event:iot/x", 30));
    for _ in 0..5 {
        assert_eq!(rdr(&loud).await, Some(102));
    }
    (0..5).for_each(|_| send(&gateway, &loud, "event:iot/x", 80));
    let displaced = std::iter::from_fn(|| quiet.take_frame().or_else(|| loud.take_frame()));
    assert_eq!(displaced.count(), 5, "of the ten lower ones");
    assert!(gateway.has_metric("outbound_queue_size 10"));
}
