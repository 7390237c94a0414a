//! Reads what the gateway publishes, as an independent consumer: its own client, from the topic's end as it was at the
//! start, every partition.

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

use crate::sink::Arrivals;

/// How long the cluster may take to create the topic.
const CREATED_WITHIN: Duration = Duration::from_secs(10);

/// How long the cluster may take to answer a question.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// A reader of one topic. Stops when it is dropped.
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
    /// The client or the cluster says no.
    #[error("cannot read topic `{topic}` at {brokers}: {source}")]
    Kafka {
        /// The brokers asked.
        brokers: String,
        /// The topic asked for.
        topic: String,
        /// What the client says.
        source: Box<KafkaError>,
    },
    /// There is no such topic, and the cluster does not create it.
    #[error("topic `{topic}` does not exist at {brokers}; create it first")]
    NoTopic {
        /// The brokers asked.
        brokers: String,
        /// The topic asked for.
        topic: String,
    },
    /// The system has no thread to spare.
    #[error("no thread for reading Kafka: {0}")]
    Thread(#[from] std::io::Error),
}

/// A moment's view of a reader: what it read, of whomever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderCounts {
    /// Records read.
    pub records: u64,
    /// Records without a key.
    pub unkeyed: u64,
    /// Errors that the client reported, such as a broker out of reach. It goes on by itself.
    pub errors: u64,
}

impl KafkaReader {
    /// Starts reading what is published to `topic` from now on, and hands it to `arrivals`, from a thread of its own.
    /// Returns once the reader knows where "now" is.
    ///
    /// # Errors
    /// If the topic is not there, or the cluster does not answer.
    pub async fn start(brokers: &str, topic: &str, arrivals: Arc<dyn Arrivals>) -> Result<Self, ReaderError> {
        let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
        // the client's questions block
        tokio::task::spawn_blocking(move || Self::start_blocking(&brokers, &topic, arrivals))
            .await
            .map_err(|cancelled| ReaderError::Thread(cancelled.into()))?
    }

    fn start_blocking(brokers: &str, topic: &str, arrivals: Arc<dyn Arrivals>) -> Result<Self, ReaderError> {
        let consumer = consumer(brokers).map_err(|source| failed(brokers, topic, source))?;
        let assignment = ends(&consumer, brokers, topic)?;
        consumer.assign(&assignment).map_err(|source| failed(brokers, topic, source))?;
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("kafka-reader".to_owned())
                .spawn(move || read(&consumer, &shared, &*arrivals))?
        };
        Ok(Self { shared, partitions: assignment.count(), thread: Some(thread) })
    }

    /// How many partitions the topic has.
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
            // it has nothing to tell
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

/// Keeps the client's log to itself: a broker that is down on purpose would fill the terminal.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, _fac: &str, _message: &str) {}
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

type Reader = BaseConsumer<Quiet>;

fn consumer(brokers: &str) -> Result<Reader, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        // never joined: the partitions are assigned by hand; but the client wants one
        .set("group.id", "talaria-sim")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "true")
        // a mock broker answers an empty fetch only after this, whatever comes meanwhile: it bounds what reading adds
        // to the latencies measured
        .set("fetch.wait.max.ms", "5")
        .set("fetch.error.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .create_with_context(Quiet)
}

/// The end of each of the topic's partitions.
fn ends(consumer: &Reader, brokers: &str, topic: &str) -> Result<TopicPartitionList, ReaderError> {
    let failed = |source| failed(brokers, topic, source);
    let deadline = Instant::now() + CREATED_WITHIN;
    let partitions: Vec<i32> = loop {
        let answer = consumer.fetch_metadata(Some(topic), ASK_WITHIN);
        let found = answer
            .as_ref()
            .ok()
            .and_then(|metadata| metadata.topics().first())
            .filter(|t| t.error().is_none());
        let found: Vec<i32> =
            found.map(|t| t.partitions().iter().map(|p| p.id()).collect()).unwrap_or_default();
        match answer {
            _ if !found.is_empty() => break found,
            Err(source) => return Err(failed(source)),
            Ok(_) if Instant::now() > deadline => {
                return Err(ReaderError::NoTopic { brokers: brokers.to_owned(), topic: topic.to_owned() });
            }
            // a topic that is being created shows up shortly
            _ => thread::sleep(Duration::from_millis(100)),
        }
    };
    let mut ends = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        let end = end(consumer, topic, partition, deadline).map_err(failed)?;
        ends.add_partition_offset(topic, partition, Offset::Offset(end)).map_err(failed)?;
    }
    Ok(ends)
}

/// The end of a partition. One that has just been created has no leader for a moment, so that is asked again.
fn end(consumer: &Reader, topic: &str, partition: i32, deadline: Instant) -> Result<i64, KafkaError> {
    loop {
        match consumer.fetch_watermarks(topic, partition, ASK_WITHIN) {
            Ok((_, end)) => return Ok(end),
            Err(error) if Instant::now() > deadline || !is_without_leader(&error) => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(100)),
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

fn read(consumer: &Reader, shared: &Shared, arrivals: &dyn Arrivals) {
    while !shared.stopping.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                shared.records.fetch_add(1, Ordering::Relaxed);
                if record.key().is_none() {
                    shared.unkeyed.fetch_add(1, Ordering::Relaxed);
                }
                match MessageRef::decode_v5(record.payload().unwrap_or_default()) {
                    Ok((message, [])) => arrivals.message(&message),
                    _ => arrivals.undecodable(),
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
