//! The way of a record: into the client, or into the waiting room, and at last to its receipt and the listeners.
//!
//! Callers share nothing but atomics and the client's own locks, until the client is full: then they meet at the
//! waiting room's lock. Receipts and listeners are called with no lock held, so that they may publish.

mod dead_letter;
mod fate;
mod gate;
mod port;
mod room;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;
pub(crate) mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, Ordering::SeqCst};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use tokio::sync::Notify;
use wrp::QosLevel;

pub(crate) use fate::Origin;
pub(crate) use port::{ClientError, Port};

use crate::buffer::Buffer;
use crate::client::{BuildError, Client, Connect, Failure};
use crate::complaint::Complaints;
use crate::config::Config;
use crate::delivery::DeliveryContext;
use crate::delivery::{Record, RecordRef};
use crate::error::PublishError;
use crate::files::{self, Fingerprint};
use crate::listener::Listeners;
use crate::problem::{ConnectionProblem, Problems};
use crate::publisher::Buffered;
use crate::routing::{RouteTable, Target};
use crate::schema::{Frame, Schemas};
use crate::stats::{Accumulator, ClientStats};
use crate::waiting::Waiting;
use gate::Gate;
use room::{Door, Room};

/// The largest record of a client that is not told another size, in bytes.
const DEFAULT_RECORD_BYTES: u64 = 1_000_000;

/// What all clones of a publisher share, together with the thread that serves the client.
pub(crate) struct Engine {
    pub(crate) routes: ArcSwap<RouteTable>,
    pub(crate) listeners: Listeners,
    limits: Limits,
    buffer: Buffer,
    client: ArcSwapOption<Generation>,
    room: Mutex<Room>,
    /// Whether records wait, or must: then everybody goes to the waiting room, so that order is kept.
    waits: AtomicBool,
    /// Told whenever there may be room again.
    room_freed: Notify,
    sequence: AtomicU64,
    phase: AtomicU8,
    /// Whether the client that runs is beyond use.
    replace: AtomicBool,
    /// Whether records of low QoS may wait as well: while a client is replaced or the next record's schema has no id,
    /// and until what waited then has left or the client is full.
    low_waits: AtomicBool,
    /// How many clients were built: the number of the next one.
    clients: AtomicU64,
    /// The client that delivered a record last.
    reached_by: AtomicU64,
    /// Records that were given up on their way since the replacement began: they may be written twice.
    doubtful: AtomicU64,
    problems: Problems,
    /// Records that the stop left behind.
    undelivered: AtomicU64,
    complaints: Complaints,
    /// None without a registry.
    pub(crate) schemas: Option<Arc<Schemas>>,
    /// Where dead letters go, if anywhere.
    dead_letters: Option<Arc<Target>>,
    stats: Mutex<Accumulator>,
}

/// What bounds a record.
struct Limits {
    /// `batchMaxBytes`, or the whole buffer if that is less.
    record_bytes: AtomicUsize,
    delivery_timeout: Option<Duration>,
    low_retries: u64,
    /// The configured brokers, by whose order the statistics name them.
    seeds: Vec<String>,
}

/// One client, and which of the publisher's clients it is.
pub(crate) struct Generation {
    client: Box<dyn Client>,
    number: u64,
    /// What the files held that it was built from.
    files: Fingerprint,
}

/// No client has this number.
const NO_CLIENT: u64 = u64::MAX;

/// Whether messages are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Running,
    Stopped,
}

/// A record that goes nowhere.
pub(crate) struct Refusal {
    pub(crate) context: Box<DeliveryContext>,
    pub(crate) error: PublishError,
}

/// Why the client did not take a record.
enum Turned {
    /// Later perhaps.
    NoRoom(Box<DeliveryContext>),
    /// Never.
    Away(Refusal),
}

impl Engine {
    pub(crate) fn new(config: &Config, routes: RouteTable) -> Engine {
        let timeout = config.record_delivery_timeout;
        let schemas = Schemas::new(&config.schema_registry).map(Arc::new);
        if let Some(schemas) = &schemas {
            routes.assign_subjects(&schemas.subjects);
        }
        Engine {
            routes: ArcSwap::from_pointee(routes),
            listeners: Listeners::default(),
            limits: Limits {
                record_bytes: AtomicUsize::new(record_bytes(config)),
                delivery_timeout: (!timeout.is_zero()).then_some(timeout),
                low_retries: config.max_record_retries,
                seeds: config.brokers.iter().map(|broker| broker.trim().to_owned()).collect(),
            },
            buffer: Buffer::new(config.max_buffered_records, config.max_buffered_bytes),
            client: ArcSwapOption::empty(),
            room: Mutex::new(Room::new(config.waiting)),
            waits: AtomicBool::new(false),
            room_freed: Notify::new(),
            sequence: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::New as u8),
            replace: AtomicBool::new(false),
            low_waits: AtomicBool::new(false),
            clients: AtomicU64::new(0),
            reached_by: AtomicU64::new(NO_CLIENT),
            doubtful: AtomicU64::new(0),
            problems: Problems::default(),
            undelivered: AtomicU64::new(0),
            complaints: Complaints::default(),
            schemas,
            dead_letters: dead_letter::target(&config.dead_letter),
            stats: Mutex::default(),
        }
    }

    /// Takes up other routes, from the next message on.
    pub(crate) fn take_up(&self, routes: RouteTable) {
        if let Some(schemas) = &self.schemas {
            routes.assign_subjects(&schemas.subjects);
        }
        self.routes.store(Arc::new(routes));
    }

    /// Sends a record, or lets it wait if its level is above low. Never waits itself.
    pub(crate) fn dispatch(
        &self,
        record: RecordRef<'_>,
        context: Box<DeliveryContext>,
    ) -> Result<(), Refusal> {
        let context = match self.offer(record, context) {
            Ok(()) => return Ok(()),
            Err(Turned::Away(refusal)) => return Err(refusal),
            Err(Turned::NoRoom(context)) => context,
        };
        let may_wait = context.frame == Frame::Open || self.low_waits.load(SeqCst);
        if context.level == QosLevel::Low && !may_wait {
            return Err(Refusal { context, error: PublishError::BufferFull });
        }
        let waiting = Waiting { record: record.to_record(), context };
        self.admit(waiting, Door::Displacing)
            .map_err(|(waiting, error)| Refusal { context: waiting.context, error })
    }

    /// Sends a record as soon as there is room for it, in the client or the waiting room. Displaces none.
    ///
    /// If the future is dropped before, the record goes nowhere.
    pub(crate) async fn enter(
        &self,
        mut record: Record,
        mut context: Box<DeliveryContext>,
    ) -> Result<(), Refusal> {
        loop {
            let freed = self.room_freed.notified();
            tokio::pin!(freed);
            // From here on no release is missed.
            freed.as_mut().enable();
            context = match self.offer(record.as_ref(), context) {
                Ok(()) => return Ok(()),
                Err(Turned::Away(refusal)) => return Err(refusal),
                Err(Turned::NoRoom(context)) => context,
            };
            match self.admit(Waiting { record, context }, Door::Polite) {
                Ok(()) => return Ok(()),
                Err((waiting, PublishError::BufferFull)) => Waiting { record, context } = waiting,
                Err((waiting, error)) => return Err(Refusal { context: waiting.context, error }),
            }
            freed.await;
        }
    }

    fn offer(&self, record: RecordRef<'_>, mut context: Box<DeliveryContext>) -> Result<(), Turned> {
        context.bytes = record.size();
        let (size, limit) = (context.bytes, self.limits.record_bytes.load(Ordering::Relaxed));
        if size > limit {
            return Err(self.turn_away(record, context, PublishError::TooLarge { size, limit }));
        }
        if context.frame == Frame::Open {
            return Err(match self.gate(&context.target) {
                Gate::Never(error) => self.turn_away(record, context, error),
                Gate::Open(_) | Gate::Shut => Turned::NoRoom(context),
            });
        }
        if self.waits.load(SeqCst) || !self.buffer.reserve(size) {
            return Err(Turned::NoRoom(context));
        }
        context.sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        match self.send(record, context) {
            Err(Turned::Away(Refusal { context, error })) => Err(self.turn_away(record, context, error)),
            result => result,
        }
    }

    /// Refuses a record for good.
    fn turn_away(&self, record: RecordRef<'_>, context: Box<DeliveryContext>, error: PublishError) -> Turned {
        self.bury(record, &context, &error);
        Turned::Away(Refusal { context, error })
    }

    /// Hands a record to the client. Its room has been taken, and is given back if the client refuses.
    fn send(&self, record: RecordRef<'_>, mut context: Box<DeliveryContext>) -> Result<(), Turned> {
        context.attempts += 1;
        let bytes = context.bytes;
        let turned = match &*self.client.load() {
            None => Turned::NoRoom(context),
            Some(generation) => match generation.client.send(record, context) {
                Ok(()) => return Ok(()),
                Err(refused) => match refused.failure {
                    Failure::Gone | Failure::Doubtful => Turned::NoRoom(refused.context),
                    Failure::Final(error) | Failure::Transient(error) => {
                        Turned::Away(Refusal { context: refused.context, error })
                    }
                },
            },
        };
        self.buffer.release(bytes);
        Err(turned)
    }

    /// Whether messages are taken, else why not.
    pub(crate) fn accepts(&self) -> Result<(), PublishError> {
        match self.phase.load(Ordering::Relaxed) {
            phase if phase == Phase::Running as u8 => Ok(()),
            phase if phase == Phase::New as u8 => Err(PublishError::NotStarted),
            _ => Err(PublishError::Stopped),
        }
    }

    /// Takes messages from now on.
    pub(crate) fn open(&self) {
        self.reopen();
        self.phase.store(Phase::Running as u8, Ordering::Relaxed);
    }

    /// Takes no messages any more; those that were taken go on.
    pub(crate) fn refuse_new(&self) {
        self.phase.store(Phase::Stopped as u8, Ordering::Relaxed);
    }

    /// How full the client and the waiting room are.
    pub(crate) fn buffered(&self) -> Buffered {
        let (records, bytes) = self.buffer.used();
        let (waiting_records, waiting_bytes) = self.room.lock().queue.used();
        let (max_records, max_bytes) = (self.buffer.max_records, self.buffer.max_bytes);
        Buffered { records, bytes, max_records, max_bytes, waiting_records, waiting_bytes }
    }

    /// What the clients have counted.
    pub(crate) fn client_stats(&self) -> ClientStats {
        self.stats.lock().snapshot()
    }

    /// Builds another client, which takes no records until it is installed.
    pub(crate) fn build(
        self: &Arc<Self>,
        connect: &Connect,
        config: &Config,
    ) -> Result<Arc<Generation>, BuildError> {
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        // Looked at before: what changes meanwhile is seen at the next look.
        let files = files::fingerprint(config);
        let client = connect(config, Port::new(self, number))?;
        Ok(Arc::new(Generation { client, number, files }))
    }

    /// Holds records to the limits of another configuration.
    pub(crate) fn limit_records(&self, config: &Config) {
        self.limits.record_bytes.store(record_bytes(config), Ordering::Relaxed);
    }

    /// The number of the client that takes records.
    #[cfg(test)]
    pub(crate) fn serving(&self) -> Option<u64> {
        self.client.load().as_ref().map(|generation| generation.number)
    }

    /// What keeps the publisher from its brokers.
    pub(crate) fn problem(&self) -> Option<ConnectionProblem> {
        self.problems.current()
    }
}

/// The largest record that a client with this configuration takes, in bytes.
fn record_bytes(config: &Config) -> usize {
    let batch = config.dynamic.batch_max_bytes;
    let record = if batch == 0 { DEFAULT_RECORD_BYTES } else { batch };
    usize::try_from(record.min(config.max_buffered_bytes)).unwrap_or(usize::MAX)
}
