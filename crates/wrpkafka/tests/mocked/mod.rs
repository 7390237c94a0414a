//! What the tests of the publisher share.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use wrp::{Message, MessageType, Qos};
use wrpkafka::mock::{MockKafka, MockRecord};
use wrpkafka::{Config, Outcome, PublishError, Publisher};

pub(crate) type Fates = Receiver<Result<Outcome, PublishError>>;

/// How long a test waits for what must come. Reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An event of a device, which tells its number in its session id.
pub(crate) fn event(number: u32, qos: i64) -> Message {
    Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "mac:112233445566".into(),
        dest: "event:device-status/mac:112233445566/online".into(),
        metadata: Some([("/hw-deviceid".into(), "mac:112233445566".into())].into()),
        session_id: number.to_string().as_str().into(),
        qos: Qos(qos),
        ..Message::default()
    }
}

pub(crate) fn config(kafka: &MockKafka) -> Config {
    Config { brokers: vec![kafka.brokers()], ..Config::default() }
}

pub(crate) fn started(config: Config) -> Publisher {
    let publisher = Publisher::new(config).unwrap();
    publisher.start().unwrap();
    publisher
}

pub(crate) fn submit(publisher: &Publisher, message: &Message) -> Fates {
    let (told, fates) = channel();
    let receipt = Box::new(move |fate| drop(told.send(fate)));
    publisher.submit(&message.as_ref(), Some(receipt)).unwrap();
    fates
}

pub(crate) fn fate(fates: &Fates) -> Result<Outcome, PublishError> {
    fates.recv_timeout(PATIENCE).expect("a receipt is told")
}

/// A record's header, as text.
pub(crate) fn header<'r>(record: &'r MockRecord, name: &str) -> Option<&'r str> {
    let (_, value) = record.headers.iter().find(|(other, _)| other == name)?;
    str::from_utf8(value).ok()
}
