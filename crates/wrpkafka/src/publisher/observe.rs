//! What can be seen of a publisher: how full it is, what its clients count, what keeps records from leaving.

#![expect(clippy::disallowed_methods, reason = "callers may have no tokio")]

use std::time::{Duration, Instant};

use super::Publisher;
use crate::connection_failure::ConnectionFailure;
use crate::engine::backlog::Buffered;
use crate::schema::SchemaStats;
use crate::stats::{ClientStats, TopicUsage};

impl Publisher {
    /// How full the publisher is. All zero in a disabled one.
    #[must_use]
    pub fn buffered(&self) -> Buffered {
        self.shared.as_ref().map(|shared| shared.engine.buffered()).unwrap_or_default()
    }

    /// What each topic holds of the client and of the records that wait, by level. Topics that hold nothing are listed too,
    /// as long as a route names them. Empty in a disabled publisher.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicUsage> {
        let Some(shared) = &self.shared else { return Vec::new() };
        let now = Instant::now();
        shared.engine.usage_by_lane().into_iter().filter_map(|lane| lane.into_topic(now)).collect()
    }

    /// What keeps records from leaving, if anything does. It ends when a broker has accepted a record, or was connected by
    /// the latest report ([`Config::statistics_interval`](crate::Config::statistics_interval)); that records are not
    /// acknowledged ends with an acknowledgement.
    #[must_use]
    pub fn connection_failure(&self) -> Option<ConnectionFailure> {
        self.shared.as_ref().and_then(|shared| shared.engine.connection_failure())
    }

    /// Whether brokers have been reached, and nothing has kept records from leaving since. False in a disabled publisher.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.engine.is_up())
    }

    /// For how long the Kafka client has had records of which none was acknowledged; none if it has no records.
    #[must_use]
    pub fn unacknowledged(&self) -> Option<Duration> {
        self.shared.as_ref().and_then(|shared| shared.engine.unacknowledged())
    }

    /// What the clients have counted, as of the latest report
    /// ([`Config::statistics_interval`](crate::Config::statistics_interval)).
    #[must_use]
    pub fn client_stats(&self) -> ClientStats {
        self.shared.as_ref().map(|shared| shared.engine.client_stats()).unwrap_or_default()
    }

    /// How many panics of listeners, of receipts and of the client's thread were caught. Each is logged.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.engine.completion.listeners.panics.count())
    }

    /// How many records have been refused in a batch that was too large for its topic, and were sent again alone.
    #[must_use]
    pub fn refused_in_batches(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.engine.refused_in_batches())
    }

    /// What was asked of the schema registry, and what it answered. All zero without one.
    #[must_use]
    pub fn schema_stats(&self) -> SchemaStats {
        let schemas = self.shared.as_ref().and_then(|shared| shared.engine.schemas());
        schemas.map(|schemas| schemas.stats()).unwrap_or_default()
    }
}
