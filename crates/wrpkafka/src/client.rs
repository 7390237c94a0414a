//! The Kafka client as the engine needs it, so that the engine can be tested without one.

mod diagnosis;
pub(crate) mod librdkafka;
mod probe;
mod properties;

use std::time::Duration;

use crate::config::Config;
use crate::delivery::DeliveryContext;
use crate::delivery::RecordRef;
use crate::engine::Port;
use crate::error::{FileError, PublishError, StartError};

/// A client that buffers records and delivers them. It tells [`Port::delivered`] the fate of each, from within
/// [`Client::poll`].
pub(crate) trait Client: Send + Sync {
    /// Hands over a record. Never waits; what is kept is copied.
    fn send(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), Refused>;

    /// Serves the client's events for this long.
    fn poll(&self, timeout: Duration);

    /// Sends at once what lingers for company, for as long as this lasts, which is no longer than `within`.
    fn flush(&self, within: Duration);

    /// Records and events that have not been served by [`Client::poll`].
    fn outstanding(&self) -> usize;

    /// Gives up every record: each comes back as [`Failure::Gone`] or [`Failure::Doubtful`].
    fn purge(&self);
}

/// A record that the client did not take.
pub(crate) struct Refused {
    pub(crate) context: Box<DeliveryContext>,
    pub(crate) failure: Failure,
}

/// Why a record came back without being delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing can help.
    Final(PublishError),
    /// It may be sent again.
    Transient(PublishError),
    /// The client had no room, or is beyond use: another one, or this one later, may take the record.
    Gone,
    /// As [`Failure::Gone`], but the record was on its way: a broker may have written it.
    Doubtful,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    File(#[from] FileError),
    /// The client library's words: it refuses a setting, for instance a key that does not belong to its certificate.
    #[error("the kafka client refuses its settings: {0}")]
    Refused(String),
}

impl From<BuildError> for StartError {
    fn from(error: BuildError) -> StartError {
        match error {
            BuildError::File(error) => StartError::File(error),
            BuildError::Refused(text) => StartError::Client(text),
        }
    }
}

/// Builds a client that reports to this port. It connects in the background.
pub(crate) type Connect = Box<dyn Fn(&Config, Port) -> Result<Box<dyn Client>, BuildError> + Send + Sync>;
