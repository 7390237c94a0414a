//! What a client reports to the engine.

use super::DeliveryError;
use super::report::ClientReport;
use crate::connection_failure::ConnectionFailure;
use crate::delivery::{DeliveryContext, Record};

/// Where a client reports to. Called from the thread that serves the client; [`ClientEvents::on_delivery`] of a delivered record
/// also from the client's own threads, and [`ClientEvents::on_connection_failure`] from one that examines a certificate.
pub(crate) trait ClientEvents: Send + Sync {
    /// The client is done with a record. `record` copies what the client still holds of it, for a record that has to be
    /// sent again or becomes a dead letter.
    fn on_delivery(
        &self,
        context: Box<DeliveryContext>,
        result: Result<(), DeliveryError>,
        record: &dyn Fn() -> Record,
    ) -> Next;

    /// The client has counted what it did.
    fn on_report(&self, report: &ClientReport);

    /// The client met an error that concerns no single record.
    fn on_error(&self, error: ClientError<'_>);

    /// The client cannot work with its brokers. `reason` is the client's own text, which never holds a secret.
    fn on_connection_failure(&self, failure: ConnectionFailure, certainty: Certainty, reason: &str);
}

/// What a client does after it has reported what became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It goes on.
    GoOn,
    /// It gives back at once what it has not sent, and is replaced: the record goes again, and those of its key that follow
    /// must not overtake it.
    GiveBackQueue,
}

/// How sure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Certainty {
    /// A broker ended a connection without a word. A broker that dies does that, too.
    Guessed,
    /// A broker, or the client's own check, said so.
    Known,
}

/// An error of the client, with its own texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientError<'a> {
    /// The client will not deliver anything any more.
    Fatal { error: &'a str, reason: &'a str },
    /// No connection is left.
    AllBrokersDown { reason: &'a str },
    /// A connection to this broker could not be opened. The client tries again.
    ConnectionNotOpened { broker: &'a str, error: &'a str, reason: &'a str },
    /// The client handles it.
    Other { error: &'a str, reason: &'a str },
}
