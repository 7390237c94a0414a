//! A Kafka cluster inside the process (librdkafka's mock cluster), for tests, the demo and the simulator.

use std::time::Duration;

/// A running mock cluster; it ends when this is dropped.
pub struct MockKafka {
    _private: (),
}

/// Why the mock cluster did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[error("mock kafka: {0}")]
pub struct MockError(String);

#[expect(clippy::todo, reason = "the public skeleton, filled within the hour")]
impl MockKafka {
    /// Starts one broker whose automatically created topics have this many partitions.
    ///
    /// # Errors
    /// The client library can't create it.
    pub fn start(partitions: i32) -> Result<MockKafka, MockError> {
        todo!("{partitions}")
    }

    /// The address for [`Config::brokers`](crate::Config::brokers).
    #[must_use]
    pub fn brokers(&self) -> String {
        todo!()
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// The topic exists with other partitions.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), MockError> {
        todo!("{topic} {partitions}")
    }

    /// Cuts every connection and accepts no new ones.
    ///
    /// # Errors
    /// Never in practice.
    pub fn broker_down(&self) -> Result<(), MockError> {
        todo!()
    }

    /// Accepts connections again.
    ///
    /// # Errors
    /// Never in practice.
    pub fn broker_up(&self) -> Result<(), MockError> {
        todo!()
    }

    /// Delays every answer.
    ///
    /// # Errors
    /// Never in practice.
    pub fn set_latency(&self, round_trip: Duration) -> Result<(), MockError> {
        todo!("{round_trip:?}")
    }
}
