//! A Kafka cluster ([`MockKafka`], librdkafka's mock cluster) and a schema registry (`MockRegistry`) inside the process,
//! for tests, the demo and the simulator.
//!
//! The cluster speaks the protocol over real sockets and keeps the latest records of each partition in memory (about
//! 5 MB). It has neither security nor replication.

mod reader;
#[cfg(feature = "registry")]
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
#[cfg(feature = "registry")]
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
    /// None once the cluster is to end.
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// Why the mock cluster, or the mock registry, did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("mock kafka: {0}")]
pub struct MockError(String);

/// The cluster belongs to a thread of its own, because its handle may be used by one thread only.
type Cluster = MockCluster<'static, DefaultProducerContext>;
type Command = Box<dyn FnOnce(&mut State) + Send>;

struct State {
    cluster: Cluster,
    /// Partitions of the topics that were created.
    topics: HashMap<String, i32>,
}

impl MockKafka {
    /// Starts one broker on a free port, with the topic `wrp-events` of this many partitions. Topics that a publisher
    /// creates itself have four.
    ///
    /// # Errors
    /// The client library cannot create it.
    pub fn start(partitions: i32) -> Result<Self, MockError> {
        let (commands, received) = channel();
        let (started, awaited) = channel();
        let thread = std::thread::Builder::new()
            .name("mock-kafka".to_owned())
            .spawn(move || serve(&started, received))
            .map_err(|error| MockError(error.to_string()))?;
        let brokers = awaited.recv().map_err(|_| MockError("its thread ended".to_owned()))??;
        let kafka = Self { brokers, commands: Some(commands), thread: Some(thread) };
        kafka.create_topic(DEFAULT_TOPIC, partitions)?;
        Ok(kafka)
    }

    /// The address for [`Config::brokers`](crate::Config::brokers).
    #[must_use]
    pub fn brokers(&self) -> String {
        self.brokers.clone()
    }

    /// Creates a topic, unless it exists with as many partitions.
    ///
    /// # Errors
    /// The topic exists with other partitions.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), MockError> {
        let topic = topic.to_owned();
        self.run(move |state| {
            if state.topics.get(&topic) == Some(&partitions) {
                return Ok(());
            }
            state.cluster.create_topic(&topic, partitions, 1)?;
            state.topics.insert(topic, partitions);
            Ok(())
        })
    }

    /// Closes every connection and accepts no new ones.
    ///
    /// # Errors
    /// The cluster's thread has ended.
    pub fn broker_down(&self) -> Result<(), MockError> {
        self.run(|state| state.cluster.broker_down(ALL))
    }

    /// Accepts connections again.
    ///
    /// # Errors
    /// The cluster's thread has ended.
    pub fn broker_up(&self) -> Result<(), MockError> {
        self.run(|state| state.cluster.broker_up(ALL))
    }

    /// Delays every answer.
    ///
    /// # Errors
    /// The cluster's thread has ended.
    pub fn set_latency(&self, round_trip: Duration) -> Result<(), MockError> {
        self.run(move |state| state.cluster.broker_round_trip_time(ALL, round_trip))
    }

    /// Answers the next requests of a kind with these errors, one after the other.
    ///
    /// # Errors
    /// The cluster's thread has ended.
    pub fn fail_requests(&self, kind: RDKafkaApiKey, errors: &[RDKafkaRespErr]) -> Result<(), MockError> {
        let errors = errors.to_vec();
        self.run(move |state| {
            state.cluster.request_errors(kind, &errors);
            Ok(())
        })
    }

    /// Reads a topic from its beginning: as many records as `count`, or fewer if none comes for `within`.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn records(&self, topic: &str, count: usize, within: Duration) -> Result<Vec<MockRecord>, MockError> {
        reader::read(&self.brokers, topic, count, within).map_err(MockError::from)
    }

    /// Runs a command on the cluster's thread.
    fn run(
        &self,
        command: impl FnOnce(&mut State) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), MockError> {
        let (answer, answered) = channel();
        let command: Command = Box::new(move |state| drop(answer.send(command(state))));
        let ended = || MockError("its thread ended".to_owned());
        self.commands.as_ref().ok_or_else(ended)?.send(command).map_err(|_| ended())?;
        answered.recv().map_err(|_| ended())?.map_err(MockError::from)
    }
}

impl Drop for MockKafka {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed to standard error.
            let _ = thread.join();
        }
    }
}

impl From<KafkaError> for MockError {
    fn from(error: KafkaError) -> Self {
        Self(error.to_string())
    }
}

fn serve(started: &Sender<Result<String, MockError>>, commands: Receiver<Command>) {
    let mut state = match Cluster::new(1) {
        Ok(cluster) => State { cluster, topics: HashMap::new() },
        Err(error) => {
            let _ = started.send(Err(error.into()));
            return;
        }
    };
    let _ = started.send(Ok(state.cluster.bootstrap_servers()));
    for command in commands {
        command(&mut state);
    }
}
