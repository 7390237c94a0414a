//! A reader of the topic that the gateway publishes to. It has a Kafka client of its own, independent of the publisher's, and
//! reads all partitions from their ends at the start.

#![expect(clippy::disallowed_methods, reason = "the reader is a thread without tokio and owns its clock")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use wrp::MessageRef;

use crate::sink::ArrivalCounter;

/// The time limit for the topic to exist.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(10);

/// The time limit for a response of the cluster.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before a request is repeated.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A reader of one topic. It stops on drop.
pub struct KafkaReader {
    shared: Arc<Shared>,
    partitions: usize,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    records: AtomicU64,
    unkeyed: AtomicU64,
    errors: AtomicU64,
}

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The client or the cluster reported an error.
    #[error("cannot read topic `{topic}` at {brokers}: {source}")]
    Kafka {
        /// The bootstrap servers.
        brokers: String,
        /// The topic.
        topic: String,
        /// The client's error.
        source: Box<KafkaError>,
    },
    /// The topic does not exist, and the cluster does not create it.
    #[error("topic `{topic}` does not exist at {brokers}; create it first")]
    NoTopic {
        /// The bootstrap servers.
        brokers: String,
        /// The topic.
        topic: String,
    },
    /// The thread could not be started.
    #[error("cannot start a thread for reading Kafka: {0}")]
    Thread(#[from] std::io::Error),
}

/// The counts of a reader at one time. They include records of other senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderCounts {
    /// Records.
    pub records: u64,
    /// Records without a key.
    pub unkeyed: u64,
    /// Errors that the client reported, such as a broker that cannot be reached. The client recovers by itself.
    pub errors: u64,
}

impl KafkaReader {
    /// Starts to read the records that are published to `topic` from now on, on a thread of its own. Each is counted by
    /// `counter`. Returns when the offsets to start from are known, so that no later record is missed.
    ///
    /// # Errors
    /// If the topic does not exist or the cluster does not answer.
    pub async fn start(
        brokers: &str,
        topic: &str,
        counter: Arc<dyn ArrivalCounter>,
    ) -> Result<Self, ReaderError> {
        let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
        // The requests of librdkafka block.
        tokio::task::spawn_blocking(move || Self::start_blocking(&brokers, &topic, counter))
            .await
            .map_err(|cancelled| ReaderError::Thread(cancelled.into()))?
    }

    fn start_blocking(
        brokers: &str,
        topic: &str,
        counter: Arc<dyn ArrivalCounter>,
    ) -> Result<Self, ReaderError> {
        let consumer = consumer(brokers).map_err(|source| failed(brokers, topic, source))?;
        let assignment = ends(&consumer, brokers, topic)?;
        consumer.assign(&assignment).map_err(|source| failed(brokers, topic, source))?;
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("kafka-reader".to_owned())
                .spawn(move || read(&consumer, &shared, &*counter))?
        };
        Ok(Self { shared, partitions: assignment.count(), thread: Some(thread) })
    }

    /// The number of partitions of the topic.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// The counts up to now.
    #[must_use]
    pub fn counts(&self) -> ReaderCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReaderCounts {
            records: load(&self.shared.records),
            unkeyed: load(&self.shared.unkeyed),
            errors: load(&self.shared.errors),
        }
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Fails only if the thread panicked, which it has already printed.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for KafkaReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaReader")
            .field("partitions", &self.partitions)
            .field("shared", &self.shared)
            .finish()
    }
}

/// Discards the client's log: a broker that a test has stopped would fill the terminal.
struct QuietContext;

impl ClientContext for QuietContext {
    fn log(&self, _level: RDKafkaLogLevel, _fac: &str, _message: &str) {}
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl rdkafka::consumer::ConsumerContext for QuietContext {}

type QuietConsumer = BaseConsumer<QuietContext>;

fn consumer(brokers: &str) -> Result<QuietConsumer, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        // librdkafka requires a group, but assigned partitions do not make the consumer join it.
        .set("group.id", "talaria-sim")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "true")
        // The mock broker answers a fetch without records only after this time, even if records arrive in the meantime. So it
        // limits what reading adds to the measured latency.
        .set("fetch.wait.max.ms", "5")
        .set("fetch.error.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .create_with_context(QuietContext)
}

/// The ends of all partitions of the topic.
fn ends(consumer: &QuietConsumer, brokers: &str, topic: &str) -> Result<TopicPartitionList, ReaderError> {
    let failed = |source| failed(brokers, topic, source);
    let deadline = Instant::now() + TOPIC_TIMEOUT;
    let partitions: Vec<i32> = loop {
        let response = consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT);
        let found = response
            .as_ref()
            .ok()
            .and_then(|metadata| metadata.topics().first())
            .filter(|t| t.error().is_none());
        let found: Vec<i32> =
            found.map(|t| t.partitions().iter().map(|p| p.id()).collect()).unwrap_or_default();
        match response {
            _ if !found.is_empty() => break found,
            Err(source) => return Err(failed(source)),
            Ok(_) if Instant::now() > deadline => {
                return Err(ReaderError::NoTopic { brokers: brokers.to_owned(), topic: topic.to_owned() });
            }
            // The topic may be about to be created.
            _ => thread::sleep(RETRY_INTERVAL),
        }
    };
    let mut ends = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        let end = end(consumer, topic, partition, deadline).map_err(failed)?;
        ends.add_partition_offset(topic, partition, Offset::Offset(end)).map_err(failed)?;
    }
    Ok(ends)
}

/// The end of a partition. A new partition has no leader at first, so the request is repeated until `deadline`.
fn end(consumer: &QuietConsumer, topic: &str, partition: i32, deadline: Instant) -> Result<i64, KafkaError> {
    loop {
        match consumer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT) {
            Ok((_, end)) => return Ok(end),
            Err(error) if Instant::now() > deadline || !is_without_leader(&error) => return Err(error),
            Err(_) => thread::sleep(RETRY_INTERVAL),
        }
    }
}

fn is_without_leader(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

fn read(consumer: &QuietConsumer, shared: &Shared, counter: &dyn ArrivalCounter) {
    while !shared.stopping.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                shared.records.fetch_add(1, Ordering::Relaxed);
                if record.key().is_none() {
                    shared.unkeyed.fetch_add(1, Ordering::Relaxed);
                }
                match MessageRef::decode_v5(record.payload().unwrap_or_default()) {
                    Ok((message, [])) => counter.count(&message),
                    _ => counter.count_undecodable(),
                }
            }
            Some(Err(_)) => {
                shared.errors.fetch_add(1, Ordering::Relaxed);
            }
            None => {}
        }
    }
}

fn failed(brokers: &str, topic: &str, source: KafkaError) -> ReaderError {
    ReaderError::Kafka { brokers: brokers.to_owned(), topic: topic.to_owned(), source: Box::new(source) }
}
