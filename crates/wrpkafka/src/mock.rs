//! A Kafka cluster inside the process (librdkafka's mock cluster), for tests, the demo and the simulator.
//!
//! It speaks the protocol over real sockets and keeps the latest records of each partition in memory (about 5 MB). It is
//! no Kafka: it knows neither security nor replication.

mod reader;
mod registry;

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
pub use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

pub use reader::MockRecord;
pub use registry::MockRegistry;

use crate::config::DEFAULT_TOPIC;

/// All brokers of the cluster, in librdkafka's terms.
const ALL: i32 = -1;

/// A running mock cluster of one broker. It ends when this is dropped.
///
/// ```
/// use wrpkafka::mock::MockKafka;
/// use wrpkafka::{Config, Publisher};
///
/// let kafka = MockKafka::start(4)?;
/// let config = Config { brokers: vec![kafka.brokers()], ..Config::default() };
/// let publisher = Publisher::new(config)?;
/// publisher.start()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MockKafka {
    brokers: String,
    /// None once the cluster is told to end.
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// Why the mock cluster did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[error("mock kafka: {0}")]
pub struct MockError(String);

/// The cluster belongs to a thread of its own: its handle may be used by one thread only.
type Cluster = MockCluster<'static, DefaultProducerContext>;
type Order = Box<dyn FnOnce(&mut State) + Send>;

struct State {
    cluster: Cluster,
    /// Partitions of the topics that were created.
    topics: HashMap<String, i32>,
}

impl MockKafka {
    /// Starts one broker on a free port, with the topic `wrp-events` of this many partitions. Topics that the publisher
    /// may create by itself have four.
    ///
    /// # Errors
    /// The client library can't create it.
    pub fn start(partitions: i32) -> Result<MockKafka, MockError> {
        let (orders, received) = channel();
        let (told, started) = channel();
        let thread = std::thread::Builder::new()
            .name("mock-kafka".to_owned())
            .spawn(move || serve(&told, received))
            .map_err(|error| MockError(error.to_string()))?;
        let brokers = started.recv().map_err(|_| MockError("its thread ended".to_owned()))??;
        let kafka = MockKafka { brokers, orders: Some(orders), thread: Some(thread) };
        kafka.create_topic(DEFAULT_TOPIC, partitions)?;
        Ok(kafka)
    }

    /// The address for [`Config::brokers`](crate::Config::brokers).
    #[must_use]
    pub fn brokers(&self) -> String {
        self.brokers.clone()
    }

    /// Creates a topic. One that was created with as many partitions stays.
    ///
    /// # Errors
    /// The topic exists with other partitions.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), MockError> {
        let topic = topic.to_owned();
        self.order(move |state| {
            if state.topics.get(&topic) == Some(&partitions) {
                return Ok(());
            }
            state.cluster.create_topic(&topic, partitions, 1)?;
            state.topics.insert(topic, partitions);
            Ok(())
        })
    }

    /// Cuts every connection and accepts no new ones.
    ///
    /// # Errors
    /// The cluster's thread has ended.
    pub fn broker_down(&self) -> Result<(), MockError> {
        self.order(|state| state.cluster.broker_down(ALL))
    }

    /// Accepts connections again.
    ///
    /// # Errors
    /// The cluster's thread has ended.
    pub fn broker_up(&self) -> Result<(), MockError> {
        self.order(|state| state.cluster.broker_up(ALL))
    }

    /// Delays every answer.
    ///
    /// # Errors
    /// The cluster's thread has ended.
    pub fn set_latency(&self, round_trip: Duration) -> Result<(), MockError> {
        self.order(move |state| state.cluster.broker_round_trip_time(ALL, round_trip))
    }

    /// Answers the next requests of a kind with these errors, one after the other.
    ///
    /// # Errors
    /// The cluster's thread has ended.
    pub fn fail_requests(&self, kind: RDKafkaApiKey, errors: &[RDKafkaRespErr]) -> Result<(), MockError> {
        let errors = errors.to_vec();
        self.order(move |state| {
            state.cluster.request_errors(kind, &errors);
            Ok(())
        })
    }

    /// Reads a topic from its beginning until it has given this many records, or none came for `within`.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn records(&self, topic: &str, count: usize, within: Duration) -> Result<Vec<MockRecord>, MockError> {
        reader::read(&self.brokers, topic, count, within).map_err(MockError::from)
    }

    fn order(
        &self,
        order: impl FnOnce(&mut State) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), MockError> {
        let (told, done) = channel();
        let order: Order = Box::new(move |state| drop(told.send(order(state))));
        let ended = || MockError("its thread ended".to_owned());
        self.orders.as_ref().ok_or_else(ended)?.send(order).map_err(|_| ended())?;
        done.recv().map_err(|_| ended())?.map_err(MockError::from)
    }
}

impl Drop for MockKafka {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was told on standard error.
            let _ = thread.join();
        }
    }
}

impl From<KafkaError> for MockError {
    fn from(error: KafkaError) -> MockError {
        MockError(error.to_string())
    }
}

fn serve(started: &Sender<Result<String, MockError>>, orders: Receiver<Order>) {
    let mut state = match Cluster::new(1) {
        Ok(cluster) => State { cluster, topics: HashMap::new() },
        Err(error) => {
            let _ = started.send(Err(error.into()));
            return;
        }
    };
    let _ = started.send(Ok(state.cluster.bootstrap_servers()));
    for order in orders {
        order(&mut state);
    }
}
