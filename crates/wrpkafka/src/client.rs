//! The Kafka client as the engine needs it: records go in, results and reports come out as types of our own.
//!
//! - [`Client`] takes records and is served by one thread. [`librdkafka`] is the real one, and the only module of the
//!   crate that may use `rdkafka` (next to the mock cluster); tests of the engine script another.
//! - [`events`] is the way back: the engine implements [`ClientEvents`].
//! - [`report`] is what a client has counted.
//!
//! A client has no order, bound or retry of its own beyond librdkafka's: the engine decides what is handed over when,
//! and what becomes of a record that comes back. Start at [`Client`], then read `librdkafka.rs`.

mod diagnosis;
pub(crate) mod events;
pub(crate) mod librdkafka;
#[cfg(feature = "tls")]
mod probe;
mod properties;
pub(crate) mod report;
#[cfg(test)]
pub(crate) mod scripted;

use std::sync::Arc;
use std::time::Duration;

use events::ClientEvents;

use crate::config::Config;
use crate::delivery::{DeliveryContext, RecordRef};
use crate::error::{FileError, PublishError, StartError};

/// A client that buffers records and delivers them. It calls [`ClientEvents::on_delivery`] with the result of each: from
/// within [`Client::poll`], and for delivered records also from a thread of its own.
pub(crate) trait Client: Send + Sync {
    /// Hands over a record. Never waits; the client copies what it keeps.
    fn send(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), SendError>;

    /// Serves the client's events for this long.
    fn poll(&self, timeout: Duration);

    /// Sends records at once instead of lingering for a fuller batch. Returns after `within` at the latest.
    fn flush(&self, within: Duration);

    /// How many records and events have not been served by [`Client::poll`].
    fn outstanding(&self) -> usize;

    /// Gives up the records that are not on their way to a broker: each comes back as [`DeliveryError::NotSent`], unless it
    /// was sent before.
    fn purge_queue(&self);

    /// Asks the brokers whether a topic exists, for at most this long. None if they do not answer.
    fn look_up(&self, topic: &str, within: Duration) -> Option<TopicAnswer>;

    /// Asks the brokers for the largest batch that a topic takes, in bytes, for at most this long. None if they do not say.
    fn largest_batch(&self, topic: &str, within: Duration) -> Option<usize>;

    /// Gives up every record: each comes back as [`DeliveryError::NotSent`] or [`DeliveryError::MaybeWritten`].
    fn purge(&self);
}

/// What brokers say of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopicAnswer {
    Exists,
    /// Records cannot be written to it.
    Failed(PublishError),
}

/// A record that the client did not accept.
pub(crate) struct SendError {
    pub(crate) context: Box<DeliveryContext>,
    pub(crate) error: DeliveryError,
}

/// Why a record came back without being delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeliveryError {
    /// No retry can help.
    Final(PublishError),
    /// The record may be sent again.
    Transient(PublishError),
    /// The record's topic cannot be written to at the moment, whatever the record: it is missing, unauthorized, or lacks a
    /// leader or replicas.
    TopicFailed(PublishError),
    /// The record's batch was larger than its topic takes. The record may not be.
    BatchTooLarge(PublishError),
    /// The client had no room or can no longer be used. Another client, or this one later, may accept the record.
    NotSent,
    /// As [`DeliveryError::NotSent`], but the record was on its way: a broker may have written it.
    MaybeWritten,
}

/// Why no client could be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    File(#[from] FileError),
    /// Access tokens cannot be fetched: a file that cannot be used, with its key.
    #[error("{0}")]
    Tokens(String),
    /// The client library rejects a setting, for instance a key that does not belong to its certificate. Its own text.
    #[error("kafka client settings rejected: {0}")]
    Settings(String),
}

impl From<BuildError> for StartError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::File(error) => Self::File(error),
            BuildError::Tokens(text) | BuildError::Settings(text) => Self::Client(text),
        }
    }
}

/// Builds a client that reports to these events. It connects in the background.
pub(crate) type Connect =
    Box<dyn Fn(&Config, Arc<dyn ClientEvents>) -> Result<Box<dyn Client>, BuildError> + Send + Sync>;
