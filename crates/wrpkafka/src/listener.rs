//! Those who want to know what became of each record.

use std::time::Duration;

use crate::error::{ErrorType, PublishError};

/// Told of every record once, when its fate is final.
pub trait Listener: Send + Sync {
    /// Called from the client's thread, or from the publishing one when the record goes nowhere: must be quick and
    /// must not wait.
    fn on_publish(&self, event: &PublishEvent<'_>);
}

/// What became of one record, or of a message that gave none (then topic and strategy are empty).
#[derive(Debug, Clone)]
pub struct PublishEvent<'a> {
    /// The authority of the message's destination.
    pub event_type: &'a str,
    /// The record's topic.
    pub topic: &'a str,
    /// How the topic was chosen: `roundrobin`, `deviceid`, `metadata:<field>`; empty for a single topic.
    pub topic_shard_strategy: &'a str,
    /// Why it failed; none when it is acknowledged.
    pub error: Option<&'a PublishError>,
    /// The class of the error.
    pub error_type: Option<ErrorType>,
    /// From the publish call until its fate was final.
    pub duration: Duration,
}

/// Names a listener, for its removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(pub(crate) u64);
