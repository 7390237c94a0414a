//! The way of a record: to the client at once or after waiting, back from the client, and to its end.
//!
//! The [`Engine`] decides what happens with a record; its parts do it:
//!
//! - [`backlog`]: what goes to the client when, and what waits until then. All concurrency between callers is there.
//! - [`framing`]: the schema ids that records wait for.
//! - [`completion`]: publish events, log lines and receipts.
//! - [`dead_letter`]: what a dead letter holds.
//! - [`clients`]: what is known of the clients so far.
//! - [`events`]: what a client reports, as calls of the engine; and how a client is built.
//! - [`returned`]: what comes back from a client.
//! - [`worker`]: the thread that serves the client and replaces it.
//!
//! It knows no librdkafka (that is `client/`) and no routes (that is the publisher's). Receipts and listeners are called
//! with no lock held, so that they may publish. Start at [`Engine::dispatch`], and with what comes back in [`returned`].

#![expect(clippy::disallowed_methods, reason = "the worker is a thread without tokio and owns its clock")]

pub(crate) mod backlog;
mod clients;
mod completion;
mod connection;
mod dead_letter;
pub(crate) mod events;
mod framing;
pub(crate) mod instance;
mod record_errors;
mod returned;
mod seconds;
pub(crate) mod settings;
mod statistics;
pub(crate) mod worker;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use self::backlog::{Backlog, Bounds, Buffered, LaneUsage, Production, Unreported, Waiting};
use self::clients::Clients;
pub(crate) use self::completion::{Completion, FailedIn};
use self::dead_letter::{DeadLetter, Original};
use self::framing::SchemaFraming;
use self::instance::ClientInstance;
use crate::client::events::Certainty;
use crate::config::Config;
use crate::connection_failure::ConnectionFailure;
use crate::dead_letter::{DeadLetterOutcome, DeadLetterReason};
use crate::delivery::{DeliveryContext, Record, RecordRef};
use crate::error::PublishError;
use crate::routing::{MAX_TOPICS, RouteTable, Target};
use crate::schema::{Frame, Schemas};
use crate::stats::ClientStats;

/// The largest record of a client without a configured size, in bytes.
const DEFAULT_RECORD_BYTES: u64 = 1_000_000;

/// The most topics that have a lane of their own: those that a configuration may name, and as many again that other
/// configurations have named before and whose records are still on their way.
const MAX_LANES: usize = 2 * MAX_TOPICS;

/// What all clones of a publisher share with the thread that serves the client.
pub(crate) struct Engine {
    pub(crate) completion: Completion,
    backlog: Backlog<Production<ClientInstance, SchemaFraming>>,
    clients: Clients,
    limits: Limits,
    /// Where dead letters go, if anywhere.
    dead_letters: Option<Arc<Target>>,
    /// Records that came back from the client after the backlog was closed.
    undelivered: AtomicU64,
}

/// What bounds a record.
struct Limits {
    /// `batchMaxBytes`, or the whole buffer if that is less.
    record_bytes: AtomicUsize,
    delivery_timeout: Option<Duration>,
    low_retries: u64,
}

/// A record that was not accepted. Its result is still to be reported.
pub(crate) struct DispatchError {
    pub(crate) context: Box<DeliveryContext>,
    pub(crate) error: PublishError,
}

impl Engine {
    pub(crate) fn new(config: &Config, schemas: Option<Arc<Schemas>>) -> Self {
        let timeout = config.record_delivery_timeout;
        let bounds = Bounds {
            records: config.max_buffered_records,
            bytes: config.max_buffered_bytes,
            waiting: config.waiting,
            low_retries: config.max_record_retries,
            lanes: MAX_LANES,
        };
        let seed = RandomState::new().hash_one(0);
        let backlog = Backlog::new(bounds, SchemaFraming::new(schemas), seed);
        let dead_letters = dead_letter::target(&config.dead_letter);
        backlog.assign_lanes(dead_letters.iter());
        Self {
            completion: Completion::default(),
            backlog,
            clients: Clients::new(config.brokers.iter().map(|broker| broker.trim().to_owned())),
            limits: Limits {
                record_bytes: AtomicUsize::new(record_bytes(config)),
                delivery_timeout: (!timeout.is_zero()).then_some(timeout),
                low_retries: config.max_record_retries,
            },
            dead_letters,
            undelivered: AtomicU64::new(0),
        }
    }

    /// Gives the targets of routes their lanes, before the routes are used.
    pub(crate) fn assign_lanes(&self, routes: &RouteTable) {
        self.backlog.assign_lanes(routes.targets());
    }

    /// Frees the lanes of topics that no route and no record has any more.
    pub(crate) fn forget_unused_lanes(&self) {
        self.backlog.forget_unused_lanes();
    }

    /// What values are framed with; none without a registry.
    pub(crate) fn schemas(&self) -> Option<&Arc<Schemas>> {
        self.backlog.framing().schemas()
    }

    /// Sends a record, or lets it wait as its level allows. Never waits itself.
    pub(crate) fn dispatch(
        &self,
        record: RecordRef<'_>,
        mut context: Box<DeliveryContext>,
    ) -> Result<(), DispatchError> {
        if let Err(error) = self.check(record, &mut context) {
            return Err(self.reject(record, context, error));
        }
        let (is_unframed, mut unreported) = (context.frame == Frame::Open, Unreported::default());
        let result = self.backlog.submit(record, context, &mut unreported);
        self.report(unreported);
        match result {
            Ok(()) => self.accepted(is_unframed),
            Err((context, error)) => return Err(self.reject(record, context, error)),
        }
        Ok(())
    }

    /// Sends a record as soon as the client or the backlog has room for it. Evicts no other record.
    ///
    /// If the future is dropped before, the record is dropped.
    pub(crate) async fn dispatch_when_room(
        &self,
        record: Record,
        mut context: Box<DeliveryContext>,
    ) -> Result<(), DispatchError> {
        let target = Arc::clone(&context.target);
        if let Err(error) = self.check(record.as_ref(&target), &mut context) {
            return Err(self.reject(record.as_ref(&target), context, error));
        }
        let is_unframed = context.frame == Frame::Open;
        let waiting = Waiting { record, context };
        let submitted = self.backlog.submit_when_room(waiting, |unreported| self.report(unreported));
        match submitted.await {
            Ok(()) => self.accepted(is_unframed),
            Err((Waiting { record, context }, error)) => {
                return Err(self.reject(record.as_ref(&target), context, error));
            }
        }
        Ok(())
    }

    /// Measures a record, and checks that it can be delivered at all.
    fn check(&self, record: RecordRef<'_>, context: &mut DeliveryContext) -> Result<(), PublishError> {
        context.set_bytes(record.size());
        let (size, limit) = (record.size(), self.limits.record_bytes.load(Ordering::Relaxed));
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        let never = || self.backlog.framing().never(&context.target);
        if context.frame == Frame::Open { never().map_or(Ok(()), Err) } else { Ok(()) }
    }

    fn accepted(&self, is_unframed: bool) {
        if is_unframed {
            self.backlog.framing().count_waiting();
        }
    }

    fn reject(
        &self,
        record: RecordRef<'_>,
        context: Box<DeliveryContext>,
        error: PublishError,
    ) -> DispatchError {
        self.send_dead_letter(record, &context, &error);
        DispatchError { context, error }
    }

    /// Sends what waits, as far as there is room. For who knows that something has changed, and for the worker now and
    /// then.
    pub(crate) fn pump(&self) {
        let mut unreported = Unreported::default();
        self.backlog.pump_waiting(&mut unreported);
        self.report(unreported);
    }

    /// Sends a record of each topic that could not be written to, if it is time. Returns whether it sent any.
    fn probe(&self, now: Instant) -> bool {
        let mut unreported = Unreported::default();
        let has_sent = self.backlog.probe(now, &mut unreported);
        self.report(unreported);
        has_sent
    }

    /// Fails the records that have waited longer than their delivery timeout.
    fn expire(&self, now: Instant) {
        if self.limits.delivery_timeout.is_none() {
            return;
        }
        let failed = self.backlog.expire(|context| self.is_late(context, now));
        self.report(Unreported { failed, ..Unreported::default() });
    }

    fn is_late(&self, context: &DeliveryContext, now: Instant) -> bool {
        self.limits.delivery_timeout.is_some_and(|timeout| now >= context.submitted + timeout)
    }

    /// Sends records to another client from now on, first those that wait.
    fn resume(&self, next: Arc<ClientInstance>) {
        let mut unreported = Unreported::default();
        self.backlog.resume(next, &mut unreported);
        self.report(unreported);
    }

    /// Rejects records from now on, and fails those that wait. Returns how many these were, and the client.
    fn close(&self) -> (u64, Option<Arc<ClientInstance>>) {
        let (waited, client) = self.backlog.close();
        let count = waited.len() as u64;
        for waiting in waited {
            self.finish(*waiting.context, Err(PublishError::Stopped));
        }
        (count, client)
    }

    /// Reports changes of topics, and ends records that the backlog gave up.
    fn report(&self, unreported: Unreported) {
        for change in &unreported.changes {
            self.completion.topic_changed(change);
        }
        for (Waiting { record, context }, error) in unreported.failed {
            self.send_dead_letter(record.as_ref(&context.target), &context, &error);
            self.finish(*context, Err(error));
        }
    }

    fn finish(&self, context: DeliveryContext, result: Result<(), PublishError>) {
        self.completion.record(context, result, FailedIn::Delivery);
    }

    /// Sends a dead letter for a record, if its error is one that lasts. The record's own result is not changed by that.
    ///
    /// A dead letter is a record like others: bounded by the backlog, with the level of the original. There is none for a
    /// dead letter.
    fn send_dead_letter(&self, record: RecordRef<'_>, context: &DeliveryContext, error: &PublishError) {
        let (Some(reason), None) = (error.dead_letter_reason(), context.dead_letter) else { return };
        let Some(target) = &self.dead_letters else {
            return self.completion.listeners.on_dead_letter(reason, DeadLetterOutcome::Discarded);
        };
        let (value, content_type) = self.backlog.framing().unframed(record, context.frame);
        let original = Original { record, context, value, content_type };
        let limit = self.limits.record_bytes.load(Ordering::Relaxed);
        let letter = DeadLetter::new(&original, error, reason, limit);
        let context = DeliveryContext::dead_letter(Arc::clone(target), context, reason, Instant::now());
        if let Err(DispatchError { context, error }) = self.dispatch(letter.record(target), context) {
            self.finish(*context, Err(error));
        }
    }

    /// Bounds records and batches by another configuration.
    pub(crate) fn limit_records(&self, config: &Config) {
        self.limits.record_bytes.store(record_bytes(config), Ordering::Relaxed);
        self.backlog.set_batch_bytes(batch_bytes(config));
    }

    /// Notes the largest batch that a topic takes. Its records leave in batches of that size.
    fn topic_takes(&self, topic: &str, bytes: usize) {
        if let Some(of_client) = self.backlog.set_largest_batch(topic, bytes) {
            tracing::info!(
                topic,
                maxMessageBytes = bytes,
                batchMaxBytes = of_client,
                "kafka topic takes smaller batches than others, its records leave in batches of that size"
            );
        }
    }

    /// The topics that have refused a batch, because it was too large.
    fn topics_with_small_batches(&self) -> Vec<Arc<str>> {
        let is_too_large =
            |error: &PublishError| error.dead_letter_reason() == Some(DeadLetterReason::TooLarge);
        let usage = self.usage_by_lane().into_iter();
        let refused = usage.filter(|lane| lane.outage.as_ref().is_some_and(|(error, _)| is_too_large(error)));
        refused.map(|lane| lane.topic.into()).collect()
    }

    /// How full the client and the backlog are.
    pub(crate) fn buffered(&self) -> Buffered {
        self.backlog.usage()
    }

    /// What each lane holds.
    pub(crate) fn usage_by_lane(&self) -> Vec<LaneUsage> {
        self.backlog.usage_by_lane()
    }

    pub(crate) fn client_stats(&self) -> ClientStats {
        self.clients.stats()
    }

    /// What keeps the publisher from its brokers.
    pub(crate) fn connection_failure(&self) -> Option<ConnectionFailure> {
        self.clients.connection_failure()
    }

    /// Notes and logs why a client cannot work with its brokers.
    fn connection_failed(&self, client: u64, failure: ConnectionFailure, certainty: Certainty, reason: &str) {
        if self.clients.connection_failed(client, failure, certainty, reason, &self.buffered()) {
            self.completion.listeners.on_connection_failure(failure);
        }
    }

    /// Notes that a client has got an answer.
    fn reached(&self, client: u64) {
        self.clients.connected(client, || self.buffered());
    }

    /// How many records have been refused in batches that were too large.
    pub(crate) fn refused_in_batches(&self) -> u64 {
        self.clients.refused_in_batches()
    }

    /// Whether brokers have been reached and nothing has kept records from leaving since.
    pub(crate) fn is_up(&self) -> bool {
        self.clients.is_up()
    }

    /// For how long the client has had records of which none was acknowledged.
    pub(crate) fn unacknowledged(&self) -> Option<Duration> {
        self.clients.unacknowledged_since().map(|since| since.elapsed())
    }

    /// The number of the client that gets records; none while one is replaced.
    pub(crate) fn current_client(&self) -> Option<u64> {
        self.backlog.with_client(|client| client.map(|client| client.number))
    }
}

/// The largest record that a client with this configuration accepts, in bytes.
fn record_bytes(config: &Config) -> usize {
    batch_bytes(config).min(usize::try_from(config.max_buffered_bytes).unwrap_or(usize::MAX))
}

/// The largest batch of such a client, in bytes.
fn batch_bytes(config: &Config) -> usize {
    let batch = config.dynamic.batch_max_bytes;
    usize::try_from(if batch == 0 { DEFAULT_RECORD_BYTES } else { batch }).unwrap_or(usize::MAX)
}
