//! The one thread of a publisher: it serves the client's events, expires what waits, replaces clients and stops.
//!
//! Everything that must not happen twice at once happens here, so that it needs no lock. Start at [`Worker::run`].

mod files;
mod progress;
mod replacement;
mod topic_lookup;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::files::FileWatch;
use self::progress::Progress;
use self::replacement::{Replacement, Retired};
use self::topic_lookup::TopicLookup;
use super::Engine;
use super::events::build_client;
use super::instance::ClientInstance;
use super::settings::Settings;
use crate::client::events::Certainty;
use crate::client::{BuildError, Connect};
use crate::connection_failure::ConnectionFailure;
use crate::error::FlushError;
use crate::stats::Stopped;

/// How long the thread polls the client before it looks at anything else.
const TICK: Duration = Duration::from_millis(100);
/// The same while it waits for something to end.
const SHORT_TICK: Duration = Duration::from_millis(2);
/// How long a client that failed, or was purged, may take to return what is on its way to a broker.
const PURGE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the thread is asked to do.
pub(crate) enum Order {
    /// This client takes over.
    Replace(Arc<ClientInstance>),
    /// Brokers are asked whether these topics exist.
    LookUp(Vec<Arc<str>>),
    Flush(FlushRequest),
    Stop(StopRequest),
}

/// A request to deliver what is buffered.
pub(crate) struct FlushRequest {
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<(), FlushError>>,
}

/// A request to stop.
pub(crate) struct StopRequest {
    /// Until when records may be delivered.
    pub(crate) deadline: Instant,
    /// Gets the numbers of records that were not.
    pub(crate) reply: oneshot::Sender<Stopped>,
}

pub(crate) struct Worker {
    engine: Arc<Engine>,
    connect: Arc<Connect>,
    settings: Arc<Settings>,
    orders: Receiver<Order>,
    replacement: Option<Replacement>,
    retired: Vec<Retired>,
    files: FileWatch,
    progress: Progress,
    topics: TopicLookup,
    flushes: Vec<FlushRequest>,
    /// When a record was sent alone last.
    probed: Option<Instant>,
}

impl Worker {
    /// Builds the first client and opens the backlog.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub(crate) fn new(
        engine: Arc<Engine>,
        connect: Arc<Connect>,
        settings: Arc<Settings>,
        orders: Receiver<Order>,
    ) -> Result<Self, BuildError> {
        let config = settings.get();
        engine.limit_records(&config);
        let first = build_client(&engine, &connect, &config)?;
        let files = FileWatch::new(config.file_check_interval, first.files);
        engine.clients.follow_connection(first.number);
        engine.backlog.open(first);
        Ok(Self {
            engine,
            connect,
            settings,
            orders,
            replacement: None,
            retired: Vec::new(),
            files,
            progress: Progress::default(),
            topics: TopicLookup::default(),
            flushes: Vec::new(),
            probed: None,
        })
    }

    /// Runs until it is asked to stop, or no publisher is left that could ask.
    pub(crate) fn run(mut self) {
        let engine = Arc::clone(&self.engine);
        let panics = &engine.completion.listeners.panics;
        let request = loop {
            panics.catch("thread", || self.turn(if self.flushes.is_empty() { TICK } else { SHORT_TICK }));
            self.flush();
            match self.orders.try_recv() {
                Ok(Order::Stop(request)) => break Some(request),
                Ok(Order::Replace(next)) => self.replace_by(next),
                Ok(Order::LookUp(topics)) => self.topics.add(topics),
                Ok(Order::Flush(request)) => self.flushes.push(request),
                Err(TryRecvError::Disconnected) => break None,
                Err(TryRecvError::Empty) => {}
            }
        };
        let failed_before = self.engine.completion.failed();
        if let Some(request) = &request {
            while !self.engine.backlog.is_drained() && Instant::now() < request.deadline {
                if let Some(instance) = self.current() {
                    instance.client.flush(SHORT_TICK);
                }
                panics.catch("thread", || self.turn(SHORT_TICK));
            }
        }
        let failed = self.engine.completion.failed() - failed_before;
        let undelivered = self.shut_down();
        if let Some(request) = request {
            // The caller may have given up.
            let _ = request.reply.send(Stopped { undelivered, failed });
        }
    }

    /// Hurries the client while a flush is waited for, and answers those that are over.
    fn flush(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        if let Some(instance) = self.current() {
            instance.client.flush(SHORT_TICK);
        }
        let (is_drained, now) = (self.engine.backlog.is_drained() && self.is_settled(), Instant::now());
        let is_over = |request: &mut FlushRequest| is_drained || now >= request.deadline;
        for request in self.flushes.extract_if(.., is_over) {
            let usage = self.engine.backlog.usage();
            let result = match usage.records + usage.waiting_records {
                0 => Ok(()),
                records => Err(FlushError::TimedOut { records }),
            };
            // The caller may have given up.
            let _ = request.reply.send(if is_drained { Ok(()) } else { result });
        }
    }

    /// Whether the clients have nothing to report. The last receipts may still be called by a thread of theirs when the backlog is
    /// empty.
    fn is_settled(&self) -> bool {
        let replaced = self.replacement.as_ref().and_then(|replacement| replacement.old.as_ref());
        self.current().iter().chain(replaced).all(|instance| instance.client.outstanding() == 0)
    }

    fn turn(&mut self, tick: Duration) {
        self.engine.expire(Instant::now());
        if self.replacement.is_none() {
            let has_failed = self.engine.clients.take_failed();
            // First: a client that has given back its queue counts as failed, too.
            if self.engine.clients.take_refused_batch() {
                self.replace_after_refused_batch();
                self.topics.add(self.engine.topics_with_small_batches());
            } else if has_failed {
                self.replace_failed();
            } else {
                self.check_files();
            }
        }
        if self.replacement.is_some() {
            self.continue_replacement();
        } else if let Some(instance) = self.current() {
            let waits_for_window = self.engine.backlog.waits_for_window();
            let is_awaited = waits_for_window || self.probed.is_some_and(|sent| sent.elapsed() < TICK);
            if waits_for_window {
                instance.client.flush(SHORT_TICK);
            }
            instance.client.poll(if is_awaited { tick.min(SHORT_TICK) } else { tick });
            self.watch(&instance);
            self.topics.go_on(&self.engine, &instance.client, instance.number);
            self.engine.pump();
            if self.engine.probe(Instant::now()) {
                // A record that goes alone waits for no other, and the next one waits for it.
                instance.client.flush(SHORT_TICK);
                self.probed = Some(Instant::now());
            }
        }
        self.poll_retired();
    }

    /// Notes whether the client has records, and whether any of them are acknowledged.
    fn watch(&mut self, instance: &ClientInstance) {
        let now = Instant::now();
        let has_records = instance.client.outstanding() > 0;
        let linger = self.settings.get().dynamic.linger;
        let clients = &self.engine.clients;
        clients.set_unacknowledged_since(self.progress.unacknowledged_since(
            clients.delivered_records(),
            has_records,
            now,
        ));
        if self.progress.is_stalled(linger, now) {
            let reason = "no record was acknowledged for five seconds";
            let failure = ConnectionFailure::Unacknowledged;
            self.engine.connection_failed(instance.number, failure, Certainty::Known, reason);
        }
    }

    /// Replaces the client if the files that it was built from have changed.
    fn check_files(&mut self) {
        let config = self.settings.get();
        let Some(found) = self.files.changed(&config, Instant::now()) else { return };
        match build_client(&self.engine, &self.connect, &config) {
            Ok(next) => {
                tracing::info!("kafka certificates or password changed, another client takes over");
                self.replace_by(next);
            }
            Err(error) => {
                self.files.set_unusable(found);
                tracing::warn!(%error, "kafka certificates or password changed but cannot be used, keeping the old ones");
            }
        }
    }

    /// Fails everything that is left and drops the clients. Returns how many records failed.
    fn shut_down(&mut self) -> u64 {
        let (waited, current) = self.engine.close();
        let replaced = self.replacement.take().and_then(|replacement| replacement.old);
        self.retired.extend(replaced.into_iter().chain(current).map(Retired::new));
        let deadline = Instant::now() + PURGE_TIMEOUT;
        for retired in &self.retired {
            retired.instance.client.purge();
            while retired.instance.is_busy() && Instant::now() < deadline {
                retired.instance.client.poll(SHORT_TICK);
            }
        }
        for retired in self.retired.drain(..) {
            self.engine.clients.forget(retired.instance.number);
        }
        waited + self.engine.undelivered.swap(0, Ordering::Relaxed)
    }

    fn current(&self) -> Option<Arc<ClientInstance>> {
        self.engine.backlog.with_client(|client| client.cloned())
    }
}
