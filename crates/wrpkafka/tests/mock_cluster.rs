//! The publisher against librdkafka's mock cluster: real sockets, real protocol.

use std::sync::mpsc;
use std::time::Duration;

use wrp::{Message, MessageType, Qos};
use wrpkafka::mock::MockKafka;
use wrpkafka::{Config, Outcome, Publisher};

const PATIENCE: Duration = Duration::from_secs(20);

fn event(device: u32, qos: i64) -> Message {
    let id = format!("mac:{device:012x}");
    Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: id.as_str().into(),
        dest: format!("event:device-status/{id}/online").as_str().into(),
        metadata: Some([("/hw-deviceid".into(), id.as_str().into())].into()),
        qos: Qos(qos),
        ..Message::default()
    }
}

#[tokio::test]
async fn an_event_arrives_as_v5_under_its_device_id() {
    let kafka = MockKafka::start(4).unwrap();
    let publisher = Publisher::new(Config { brokers: vec![kafka.brokers()], ..Config::default() }).unwrap();
    publisher.start().unwrap();
    let message = event(1, 75);
    assert_eq!(publisher.publish(&message.as_ref()).await, Ok(Outcome::Accepted));
    let (told, receipt) = mpsc::channel();
    let submitted =
        publisher.submit(&event(2, 50).as_ref(), Some(Box::new(move |fate| told.send(fate).unwrap())));
    assert_eq!(submitted, Ok(Outcome::Queued));
    assert_eq!(receipt.recv_timeout(PATIENCE), Ok(Ok(Outcome::Accepted)));
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);

    let records = kafka.records("wrp-events", 2, PATIENCE).unwrap();
    assert_eq!(records.len(), 2);
    let first = records.iter().find(|record| record.key.as_deref() == Some(b"mac:000000000001")).unwrap();
    let (decoded, rest) = wrp::MessageRef::decode_v5(&first.value).unwrap();
    assert_eq!((decoded.to_owned(), rest), (message, &[][..]));
}
