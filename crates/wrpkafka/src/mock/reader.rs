//! Reads a topic of the mock cluster with a consumer.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// A record as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockRecord {
    /// Its partition.
    pub partition: i32,
    /// Its position in the partition.
    pub offset: i64,
    /// Its key; none is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// Its value: a WRP v5 message.
    pub value: Vec<u8>,
    /// Its headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

pub(super) fn read(
    brokers: &str,
    topic: &str,
    count: usize,
    within: Duration,
) -> Result<Vec<MockRecord>, KafkaError> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "mock-reader")
        .set("enable.auto.commit", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), within)?;
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        partitions.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    let mut records = Vec::new();
    while records.len() < count {
        let message = match consumer.poll(within) {
            None => break,
            Some(Ok(message)) => message,
            // The client reconnects by itself.
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
            ))) => continue,
            Some(Err(error)) => return Err(error),
        };
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        records.push(MockRecord {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().unwrap_or_default().to_vec(),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
                .collect(),
        });
    }
    Ok(records)
}
