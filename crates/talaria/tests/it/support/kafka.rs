//! One real Apache Kafka for a test binary.

use std::sync::LazyLock;

use realkafka::{Kafka, Record, Setup};
use tokio::sync::{Mutex, MutexGuard};
use wrp::{Message, MessageRef};

/// The topic that the minimal configuration writes to, and how many partitions it has here.
pub(crate) const TOPIC: &str = "wrp-events";
const PARTITIONS: u32 = 12;

static BROKER: LazyLock<Option<Mutex<Kafka>>> = LazyLock::new(|| {
    let setup = Setup { topics: vec![(TOPIC.to_owned(), PARTITIONS)], ..Setup::default() };
    setup.start().map(Mutex::new)
});

/// The broker, with its one topic, for the caller alone and running; `None` where it cannot be had, which has been said loudly then.
pub(crate) async fn broker() -> Option<MutexGuard<'static, Kafka>> {
    let mut kafka = BROKER.as_ref()?.lock().await;
    if !kafka.is_up() {
        kafka.restart(); // the test before this one failed while it had the broker down
    }
    Some(kafka)
}

/// The record's value, as WRP v5 to its last byte.
pub(crate) fn message(record: &Record) -> Message {
    let bytes = record.value();
    let (message, rest) = MessageRef::decode_v5(&bytes).unwrap_or_else(|e| panic!("{e}, in {record:?}"));
    assert!(rest.is_empty(), "bytes after the message: {record:?}");
    message.to_owned()
}
