//! What the engine knows of the clients that it has had: their numbers, their connection, what they counted.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use parking_lot::Mutex;

use super::backlog::Buffered;
use super::connection::{Change, ConnectionState, Evidence, Recovery};
use super::seconds::Seconds;
use super::statistics::Statistics;
use crate::client::events::Certainty;
use crate::client::report::ClientReport;
use crate::connection_failure::ConnectionFailure;
use crate::log_throttle::LogThrottle;
use crate::stats::ClientStats;

/// Every value is read and written by itself: none guards another.
pub(crate) struct Clients {
    /// How many were built: the number of the next one.
    built: AtomicU64,
    /// The client that delivered a record last.
    delivered_by: AtomicU64,
    /// How many records were delivered: shows that there is progress.
    delivered: AtomicU64,
    /// Whether the current client can no longer be used.
    has_failed: AtomicBool,
    /// Whether the current client has to give back what it has not sent, after a batch was refused.
    has_refused_batch: AtomicBool,
    /// Records that go again alone because of that.
    refused_in_batches: AtomicU64,
    /// Records that were taken back on their way since the replacement began: a broker may have written them.
    maybe_written: AtomicU64,
    connection: ConnectionState,
    /// Since when the current client has had records and none was delivered.
    unacknowledged_since: Mutex<Option<Instant>>,
    statistics: Mutex<Statistics>,
    /// For the line of another producer epoch.
    epoch_lines: Mutex<LogThrottle>,
}

/// No client has this number.
const NO_CLIENT: u64 = u64::MAX;

impl Clients {
    /// `seeds` are the configured brokers, by whose order the statistics name them.
    pub(super) fn new(seeds: impl Iterator<Item = String>) -> Self {
        Self {
            built: AtomicU64::new(0),
            delivered_by: AtomicU64::new(NO_CLIENT),
            delivered: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
            has_refused_batch: AtomicBool::new(false),
            refused_in_batches: AtomicU64::new(0),
            maybe_written: AtomicU64::new(0),
            connection: ConnectionState::default(),
            unacknowledged_since: Mutex::default(),
            statistics: Mutex::new(Statistics::new(seeds)),
            epoch_lines: Mutex::default(),
        }
    }

    pub(super) fn next_number(&self) -> u64 {
        self.built.fetch_add(1, Relaxed)
    }

    /// A client has delivered a record.
    pub(super) fn delivered(&self, client: u64, buffered: impl Fn() -> Buffered) {
        // Nearly always the same client: then nothing is written that other threads read.
        if self.delivered_by.load(Relaxed) != client {
            self.delivered_by.store(client, Relaxed);
        }
        self.delivered.fetch_add(1, Relaxed);
        if !self.connection.is_reached() {
            self.reached(client, Evidence::Delivered, buffered);
        }
    }

    /// A client is connected to a broker.
    pub(super) fn connected(&self, client: u64, buffered: impl Fn() -> Buffered) {
        self.reached(client, Evidence::Connected, buffered);
    }

    fn reached(&self, client: u64, evidence: Evidence, buffered: impl Fn() -> Buffered) {
        let recovery = self.connection.reached(client, evidence, Instant::now());
        let Some(Recovery { cause, change: Some(Change { lasted, suppressed }) }) = recovery else { return };
        let Some(problem) = cause else { return tracing::info!("kafka brokers are reached") };
        let (records, bytes) = held(&buffered());
        let lasted = tracing::field::display(Seconds(lasted));
        tracing::info!(%problem, lasted, records, bytes, suppressed, "kafka brokers are reached again");
    }

    /// Notes why a client cannot work with its brokers, and logs it. Returns whether listeners should be called.
    pub(super) fn connection_failed(
        &self,
        client: u64,
        problem: ConnectionFailure,
        certainty: Certainty,
        reason: &str,
        buffered: &Buffered,
    ) -> bool {
        let now = Instant::now();
        let began = match problem {
            ConnectionFailure::Unacknowledged => self.unacknowledged_since().unwrap_or(now),
            _ => now,
        };
        let change = self.connection.failed(client, problem, certainty, buffered.records > 0, began, now);
        let Some(Change { lasted, suppressed }) = change else { return false };
        let (records, bytes) = held(buffered);
        let lasted = tracing::field::display(Seconds(lasted));
        match problem {
            ConnectionFailure::Unreachable => tracing::warn!(
                %problem, reason, lasted, records, bytes, suppressed,
                "no kafka broker can be reached, records wait"
            ),
            ConnectionFailure::Unacknowledged => tracing::warn!(
                %problem, reason, lasted, records, bytes, suppressed,
                "kafka brokers acknowledge nothing, records wait"
            ),
            _ => tracing::error!(
                %problem, reason, lasted, records, bytes, suppressed,
                "kafka connection failed, records wait"
            ),
        }
        true
    }

    pub(super) fn connection_failure(&self) -> Option<ConnectionFailure> {
        self.connection.failure()
    }

    /// Whether the newest client cannot deliver what it holds, however long it is waited for.
    pub(super) fn cannot_drain(&self) -> bool {
        self.connection.cannot_drain() || self.is_rejected()
    }

    /// Whether brokers have been reached and nothing has kept records from leaving since.
    pub(super) fn is_up(&self) -> bool {
        self.connection.failure().is_none() && self.connection.has_been_reached()
    }

    /// How many records were delivered.
    pub(super) fn delivered_records(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    pub(super) fn set_unacknowledged_since(&self, since: Option<Instant>) {
        *self.unacknowledged_since.lock() = since;
    }

    /// Since when the current client has had records and none was delivered.
    pub(super) fn unacknowledged_since(&self) -> Option<Instant> {
        *self.unacknowledged_since.lock()
    }

    /// Counts only this client's connection from now on.
    pub(super) fn follow_connection(&self, client: u64) {
        self.connection.follow(client);
    }

    /// Whether the brokers have never accepted the newest client, so that none of its records can have been written.
    fn is_rejected(&self) -> bool {
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

    /// A record of a client was refused in a batch that was too large.
    pub(super) fn count_refused_in_batch(&self) {
        self.refused_in_batches.fetch_add(1, Relaxed);
        self.has_refused_batch.store(true, Relaxed);
    }

    /// Whether a batch was refused since the last call.
    pub(super) fn take_refused_batch(&self) -> bool {
        self.has_refused_batch.swap(false, Relaxed)
    }

    /// Another client takes over: what the one before has refused does not concern it.
    pub(super) fn forget_refused_batch(&self) {
        self.has_refused_batch.store(false, Relaxed);
    }

    /// How many records have been refused in batches that were too large.
    pub(super) fn refused_in_batches(&self) -> u64 {
        self.refused_in_batches.load(Relaxed)
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
        let (before, now) = {
            let mut statistics = self.statistics.lock();
            let before = statistics.producer_epochs();
            statistics.add(client, report);
            (before, statistics.snapshot())
        };
        if now.producer_epochs > before
            && let Some(suppressed) = self.epoch_lines.lock().admit(Instant::now())
        {
            tracing::warn!(
                suppressed,
                "kafka client began another producer epoch, records that were under way may be written twice"
            );
        }
        now
    }

    pub(super) fn connection_not_opened(&self, client: u64, broker: &str) {
        self.connection.not_opened(client);
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

/// All records that have not been acknowledged, and their bytes.
fn held(buffered: &Buffered) -> (u64, u64) {
    (buffered.records + buffered.waiting_records, buffered.bytes + buffered.waiting_bytes)
}
