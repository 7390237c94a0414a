//! What the engine knows of the clients that it has had: their numbers, their connection, what they counted.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use parking_lot::Mutex;

use super::connection::ConnectionState;
use super::statistics::Statistics;
use crate::client::report::ClientReport;
use crate::connection_failure::ConnectionFailure;
use crate::stats::ClientStats;

/// Every value is read and written by itself: none guards another.
pub(crate) struct Clients {
    /// How many were built: the number of the next one.
    built: AtomicU64,
    /// The client that delivered a record last.
    delivered_by: AtomicU64,
    /// Whether the current client can no longer be used.
    has_failed: AtomicBool,
    /// Records that were taken back on their way since the replacement began: a broker may have written them.
    maybe_written: AtomicU64,
    connection: ConnectionState,
    statistics: Mutex<Statistics>,
}

/// No client has this number.
const NO_CLIENT: u64 = u64::MAX;

impl Clients {
    /// `seeds` are the configured brokers, by whose order the statistics name them.
    pub(super) fn new(seeds: impl Iterator<Item = String>) -> Self {
        Self {
            built: AtomicU64::new(0),
            delivered_by: AtomicU64::new(NO_CLIENT),
            has_failed: AtomicBool::new(false),
            maybe_written: AtomicU64::new(0),
            connection: ConnectionState::default(),
            statistics: Mutex::new(Statistics::new(seeds)),
        }
    }

    pub(super) fn next_number(&self) -> u64 {
        self.built.fetch_add(1, Relaxed)
    }

    /// A client has delivered a record.
    pub(super) fn delivered(&self, client: u64) {
        // Nearly always the same client: then nothing is written that other threads read.
        if self.delivered_by.load(Relaxed) != client {
            self.delivered_by.store(client, Relaxed);
        }
        self.connected(client);
    }

    /// A client is connected to a broker.
    pub(super) fn connected(&self, client: u64) {
        if let Some(failure) = self.connection.reached(client) {
            tracing::info!(problem = %failure, "kafka brokers are reached again");
        }
    }

    /// Notes why a client cannot work with its brokers, and logs it. Returns whether listeners should be called.
    pub(super) fn connection_failed(&self, client: u64, failure: ConnectionFailure, reason: &str) -> bool {
        let Some(suppressed) = self.connection.failed(client, failure, Instant::now()) else { return false };
        let problem = failure;
        if failure.is_rejection() {
            tracing::error!(%problem, reason, suppressed, "kafka connection failed, records wait");
        } else {
            tracing::warn!(%problem, reason, suppressed, "no kafka broker can be reached, records wait");
        }
        true
    }

    pub(super) fn connection_failure(&self) -> Option<ConnectionFailure> {
        self.connection.failure()
    }

    /// Counts only this client's connection from now on.
    pub(super) fn follow_connection(&self, client: u64) {
        self.connection.follow(client);
    }

    /// Whether the brokers have never accepted the newest client, so that none of its records can have been written.
    pub(super) fn is_rejected(&self) -> bool {
        let has_delivered = self.delivered_by.load(Relaxed) == self.connection.client();
        !has_delivered && self.connection.failure().is_some_and(ConnectionFailure::is_rejection)
    }

    /// The current client can no longer be used.
    pub(super) fn set_failed(&self) {
        self.has_failed.store(true, Relaxed);
    }

    /// Whether the current client failed since the last call.
    pub(super) fn take_failed(&self) -> bool {
        self.has_failed.swap(false, Relaxed)
    }

    /// Counts a record that a broker may have written although it was taken back.
    pub(super) fn count_maybe_written(&self) {
        self.maybe_written.fetch_add(1, Relaxed);
    }

    /// How many of them there were since the last call.
    pub(super) fn take_maybe_written(&self) -> u64 {
        self.maybe_written.swap(0, Relaxed)
    }

    /// Adds a client's report, and returns the sums.
    pub(super) fn add_report(&self, client: u64, report: &ClientReport) -> ClientStats {
        let mut statistics = self.statistics.lock();
        statistics.add(client, report);
        statistics.snapshot()
    }

    pub(super) fn connection_not_opened(&self, client: u64, broker: &str) {
        self.statistics.lock().connection_not_opened(client, broker);
    }

    /// How many reports a client has given.
    pub(super) fn reports(&self, client: u64) -> u64 {
        self.statistics.lock().reports(client)
    }

    /// A client is gone: it will report no more.
    pub(super) fn forget(&self, client: u64) {
        self.statistics.lock().forget(client);
    }

    pub(super) fn stats(&self) -> ClientStats {
        self.statistics.lock().snapshot()
    }
}
