//! The topic reader against a Kafka cluster in memory.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use talaria_sim::kafka::{KafkaReader, ReaderError};
use talaria_sim::ledger::{DeliveryClass, End, Ends, Ledger};
use talaria_sim::run::RunId;
use talaria_sim::sink::Sink;
use wrp::MessageRef;
use wrpkafka::mock::MockKafka;

use crate::support::eventually;

const TOPIC: &str = "some-events";

#[tokio::test]
async fn records_that_are_published_after_the_start_are_read_from_all_partitions() {
    let cluster = MockKafka::start(3).unwrap();
    cluster.create_topic(TOPIC, 3).unwrap();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.brokers()).create().unwrap();
    let publish = |payload: &[u8], partition| {
        producer.send(BaseRecord::<(), [u8]>::to(TOPIC).payload(payload).partition(partition)).unwrap();
        producer.flush(Duration::from_secs(10)).unwrap();
    };
    let ledger = Arc::new(Ledger::new(RunId::random(), Ends::NONE.with(End::Kafka, true)));
    let sink = Arc::new(Sink::new(End::Kafka, Arc::clone(&ledger)));

    publish(b"before the start", 0);
    let reader = KafkaReader::start(&cluster.brokers(), TOPIC, Arc::clone(&sink) as _).await.unwrap();
    assert_eq!(reader.partitions(), 3);
    for partition in 0..3 {
        let (key, mut event) = (ledger.send(DeliveryClass::Assured).to_string(), vec![]);
        MessageRef { transaction_uuid: key.as_str().into(), ..MessageRef::default() }.encode_v5(&mut event);
        publish(&event, partition);
    }
    publish(b"not a message", 1);
    eventually("four records", || reader.counts().records >= 4).await;
    let counts = ledger.counts();
    assert_eq!((counts.kafka.received, counts.kafka.lost, counts.done), (3, 0, 3));
    assert_eq!((sink.counts().undecodable, reader.counts().unkeyed), (1, 4));
}

#[tokio::test]
async fn without_a_cluster_there_is_an_error() {
    let ledger = Arc::new(Ledger::new(RunId::random(), Ends::NONE));
    let sink = Arc::new(Sink::new(End::Kafka, ledger));
    let error = KafkaReader::start("127.0.0.1:1", TOPIC, sink).await.unwrap_err();
    assert!(matches!(&error, ReaderError::Kafka { .. }), "{error}");
}
