//! Online and offline events: in order, and not lost when others have filled the queues (contract §14.22, §14.23).

use std::collections::BTreeMap;

use talaria_protocol::session::Reason;
use wrpkafka::config::WaitingLimit;

use super::*;
use crate::device::Events as _;
use crate::event::config::QueueLimit;
use crate::event::dispatcher::Undelivered;

/// Queues that a few devices fill.
fn small_queues() -> Config {
    Config { queue: QueueLimit { messages: 5, bytes: 1 << 20 }, workers: 10, ..config() }
}

fn small_publisher(kafka: &MockKafka) -> Publisher {
    let config = wrpkafka::Config {
        brokers: vec![kafka.brokers()],
        max_buffered_records: 20,
        waiting: WaitingLimit { records: 20, ..WaitingLimit::default() },
        ..wrpkafka::Config::default()
    };
    let publisher = Publisher::new(config).unwrap();
    publisher.start().unwrap();
    publisher
}

/// The last segments of the destinations, by device.
fn by_device<'m>(messages: impl Iterator<Item = &'m Message>) -> BTreeMap<String, Vec<String>> {
    let mut devices = BTreeMap::<_, Vec<_>>::new();
    for message in messages {
        let dest = message.dest.to_string();
        let (rest, what) = dest.rsplit_once('/').unwrap();
        devices.entry(rest.to_owned()).or_default().push(what.to_owned());
    }
    devices
}

#[tokio::test]
async fn a_storm_of_reconnects_loses_no_status_event_and_keeps_each_devices_order() {
    const DEVICES: usize = 300;
    let (receiver, kafka) = (Receiver::answering(Answer::Status(202)), MockKafka::start(4).unwrap());
    let gateway = Gateway::start(&small_queues(), small_publisher(&kafka), &receiver);
    let devices: Vec<_> = (0..DEVICES).map(|n| device(&format!("mac:{n:012x}"), &Value::Null)).collect();
    for _ in 0..2 {
        for device in &devices {
            gateway.dispatcher.online(device);
            gateway.dispatcher.offline(device, &Reason::Duplicate.into());
        }
    }
    assert_eq!(gateway.dispatcher.flush(PATIENCE).await, Undelivered::default());
    let expected = ["online", "offline", "online", "offline"];
    let posted: Vec<Message> =
        receiver.requests().iter().map(|got| MessageRef::decode_v3(&got.body).unwrap().to_owned()).collect();
    let records = kafka.records("wrp-events", DEVICES * 4, PATIENCE).unwrap();
    let published: Vec<Message> =
        records.iter().map(|record| MessageRef::decode_v5(&record.value).unwrap().0.to_owned()).collect();
    for (sink, messages) in [("http", &posted), ("kafka", &published)] {
        let devices = by_device(messages.iter());
        assert_eq!((devices.len(), messages.len()), (DEVICES, DEVICES * 4), "{sink}");
        assert!(devices.values().all(|events| *events == expected), "{sink}: {devices:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn status_events_have_room_when_the_queue_is_full_of_others_and_take_none_of_theirs() {
    let receiver = Receiver::answering(Answer::Silence);
    let config = Config { workers: 1, ..small_queues() };
    let gateway = Gateway::start(&config, Publisher::disabled(), &receiver);
    let (device, other) = (device("uuid:a", &Value::Null), device("uuid:b", &Value::Null));
    for _ in 0..20 {
        flow::send(&gateway, &device, "event:iot/x", 0);
    }
    let dropped =
        r#"outbound_dropped_messages{code="message_dropped",reason="full outbound queue",scheme="event"}"#;
    let dropped = format!("{dropped} 15");
    assert!(gateway.has_metric(&dropped), "the queue has room for five of them");
    for _ in 0..20 {
        gateway.dispatcher.online(&other);
    }
    assert!(gateway.has_metric(&dropped), "no status event is dropped, and none of the others for them");
    let queued = r#"total_outbound_events{outcome="success",reason="no_err",scheme="event"} 40"#;
    assert!(gateway.has_metric(queued), "twenty of the device and twenty status events");
}

#[tokio::test(start_paused = true)]
async fn the_room_of_status_events_is_bounded() {
    let receiver = Receiver::answering(Answer::Silence);
    let config = Config { status_queue: QueueLimit { messages: 3, bytes: 1 << 20 }, ..config() };
    let gateway = Gateway::start(&config, Publisher::disabled(), &receiver);
    for n in 0..5 {
        gateway.dispatcher.online(&device(&format!("uuid:{n}"), &Value::Null));
    }
    assert!(gateway.has_metric(
        r#"outbound_dropped_messages{code="message_dropped",reason="full outbound queue",scheme="event"} 2"#
    ));
}
