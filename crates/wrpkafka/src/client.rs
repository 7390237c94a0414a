//! The Kafka client as the engine needs it, so that the engine can be tested without one.

pub(crate) mod librdkafka;
mod properties;

use std::time::Duration;

use crate::engine::Port;
use crate::error::PublishError;
use crate::record::RecordRef;
use crate::ticket::Ticket;

/// A client that buffers records and delivers them. It tells [`Port::delivered`] the fate of each, from within
/// [`Client::poll`].
pub(crate) trait Client: Send + Sync {
    /// Hands over a record. Never waits; what is kept is copied.
    fn send(&self, record: RecordRef<'_>, ticket: Box<Ticket>) -> Result<(), Refused>;

    /// Serves the client's events for this long.
    fn poll(&self, timeout: Duration);

    /// Records and events that have not been served by [`Client::poll`].
    fn outstanding(&self) -> usize;

    /// Gives up every record: each comes back as [`Failure::Gone`].
    fn purge(&self);
}

/// A record that the client did not take.
pub(crate) struct Refused {
    pub(crate) ticket: Box<Ticket>,
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
}

/// Builds a client that reports to this port.
pub(crate) type Connect = Box<dyn Fn(Port) -> Result<Box<dyn Client>, String> + Send + Sync>;
