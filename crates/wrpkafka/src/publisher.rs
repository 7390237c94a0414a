//! The public face: a [`Publisher`] is made from a configuration, started, published with, changed and stopped.
//!
//! Here a message becomes records (`plan`, `publisher/encode.rs`); what happens to a record from then on is the engine's.
//! The calls that publish are in `publisher/submit.rs` and `publisher/publish.rs`, those that change the configuration in
//! `publisher/update.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "callers may have no tokio: records carry the time at which they were published"
)]

mod announce;
mod as_message;
mod encode;
mod lifecycle;
mod observe;
mod pending;
mod publish;
mod submit;
mod update;

#[cfg(test)]
mod tests;

pub use as_message::AsMessage;
pub use pending::Delivery;
pub use update::PreparedUpdate;

use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use wrp::{MessageRef, QosLevel};

use self::lifecycle::Lifecycle;
use crate::client::{Connect, librdkafka};
use crate::config::{Config, ConfigError};
use crate::delivery::{Annotation, Receipt};
use crate::engine::Engine;
use crate::engine::settings::Settings;
use crate::engine::worker::{FlushRequest, Order, StopRequest, Worker};
use crate::error::{FlushError, PublishError, StartError};
use crate::listener::{Listener, ListenerId};
use crate::outcome::Outcome;
use crate::registry::RegistryThread;
use crate::routing::{Plan, RouteTable, RoutingError, Sender};
use crate::schema::Schemas;
use crate::stats::Stopped;

/// Publishes WRP messages to Kafka. Cheap to clone: all clones are the same publisher.
///
/// It is made ([`new`](Publisher::new)), started and stopped. Messages are published with
/// [`submit`](Publisher::submit), which never waits and returns a [`Delivery`], or with
/// [`publish`](Publisher::publish), which waits as the message's quality of service asks.
///
/// ```no_run
/// use std::time::Duration;
///
/// use wrp::Message;
/// use wrpkafka::{Config, Publisher};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let publisher = Publisher::new(Config {
///     brokers: vec!["localhost:9092".into()],
///     // Without this, a record waits for its brokers for ever.
///     record_delivery_timeout: Duration::from_secs(10),
///     ..Config::default()
/// })?;
/// publisher.start()?;
/// let event = Message::event("mac:112233445566", "event:iot");
/// println!("{}", publisher.submit(&event).await?);
/// publisher.stop(Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Publisher {
    /// None in a disabled one.
    shared: Option<Arc<Shared>>,
}

struct Shared {
    settings: Arc<Settings>,
    /// Swapped as a whole when the configuration changes.
    routes: ArcSwap<RouteTable>,
    engine: Arc<Engine>,
    connect: Arc<Connect>,
    lifecycle: Lifecycle,
    /// Held while the publisher is started, stopped or changed.
    threads: Mutex<Option<Threads>>,
}

/// The threads of a publisher that runs.
struct Threads {
    /// To the client's thread, which also ends when this is dropped.
    worker: mpsc::Sender<Order>,
    /// The schema registry's, if there is one.
    registry: Option<RegistryThread>,
}

impl Publisher {
    /// Checks the configuration and compiles its routes; connects to nothing.
    ///
    /// # Errors
    /// Every fault of the configuration.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Self::with_client(config, Box::new(librdkafka::connect))
    }

    /// As [`new`](Publisher::new), with another client.
    pub(crate) fn with_client(config: Config, connect: Connect) -> Result<Self, ConfigError> {
        let routes = config.compile()?;
        let schemas = Schemas::new(&config.schema_registry).map(Arc::new);
        if let Some(schemas) = &schemas {
            routes.assign_subjects(&schemas.subjects);
        }
        let engine = Engine::new(&config, schemas);
        engine.assign_lanes(&routes);
        let shared = Shared {
            engine: Arc::new(engine),
            settings: Arc::new(Settings::new(config)),
            routes: ArcSwap::from_pointee(routes),
            connect: Arc::new(connect),
            lifecycle: Lifecycle::default(),
            threads: Mutex::new(None),
        };
        Ok(Self { shared: Some(Arc::new(shared)) })
    }

    /// A publisher that takes every message silently and sends none.
    #[must_use]
    pub fn disabled() -> Self {
        Self { shared: None }
    }

    /// Whether messages go to Kafka.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.shared.is_some()
    }

    /// Creates the client and its thread. An unreachable broker is no error: records wait for it.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(&self) -> Result<(), StartError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let mut threads = shared.threads.lock();
        if threads.is_some() {
            return Err(StartError::AlreadyStarted);
        }
        let config = shared.settings.get();
        announce::announce(&config, &shared.routes.load());
        update::warn_if_unverified(&config.tls);
        update::warn_of_weak_acks(config.dynamic.acks);
        let registry = shared.start_registry_thread().map_err(StartError::SchemaRegistry)?;
        let (control, orders) = mpsc::channel();
        let (engine, connect) = (Arc::clone(&shared.engine), Arc::clone(&shared.connect));
        let worker = Worker::new(engine, connect, Arc::clone(&shared.settings), orders)?;
        std::thread::Builder::new()
            .name("wrpkafka".to_owned())
            .spawn(move || worker.run())
            .map_err(StartError::Thread)?;
        look_up(&control, &shared.settings.get(), shared.routes.load().topic_names().collect());
        *threads = Some(Threads { worker: control, registry });
        shared.lifecycle.run();
        tracing::info!("Kafka publisher started successfully");
        Ok(())
    }

    /// Rejects new messages, waits at most `within` until what is buffered is acknowledged, then fails what is left.
    ///
    /// Needs no particular runtime. A second stop, or one of a publisher that was never started, does nothing. A stopped
    /// publisher may be started again.
    pub async fn stop(&self, within: Duration) -> Stopped {
        let Some(shared) = &self.shared else { return Stopped::default() };
        let threads = shared.threads.lock().take();
        shared.lifecycle.stop();
        let mut stopped = Stopped::default();
        if let Some(Threads { worker, registry }) = threads {
            let (reply, answer) = oneshot::channel();
            let now = Instant::now();
            // A deadline too far away to be expressed is none.
            let deadline = now.checked_add(within).unwrap_or(now + Duration::from_secs(86_400));
            if worker.send(Order::Stop(StopRequest { deadline, reply })).is_ok() {
                stopped = answer.await.unwrap_or_default();
            }
            // Only now, as records may have waited for a schema's id.
            drop(registry);
        }
        let Stopped { undelivered, failed } = stopped;
        if stopped == Stopped::default() {
            tracing::info!("Kafka publisher stopped");
        } else {
            tracing::error!(undelivered, failed, "Kafka publisher stopped");
        }
        stopped
    }

    /// Waits until nothing is buffered: until every record, also of those that are published meanwhile, is acknowledged or has
    /// failed. Records do not wait for the linger time meanwhile. Needs no particular runtime.
    ///
    /// # Errors
    /// The time is over, or the publisher is not running.
    pub async fn flush(&self, within: Duration) -> Result<(), FlushError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let (reply, answer) = oneshot::channel();
        let now = Instant::now();
        let deadline = now.checked_add(within).unwrap_or(now + Duration::from_secs(86_400));
        let asked = match &*shared.threads.lock() {
            Some(threads) => threads.worker.send(Order::Flush(FlushRequest { deadline, reply })).is_ok(),
            None => false,
        };
        if !asked {
            return Err(FlushError::NotRunning);
        }
        answer.await.unwrap_or(Err(FlushError::NotRunning))
    }

    /// Publishes a message without ever waiting, and returns a future of its result: [`Outcome::Accepted`] when the brokers
    /// have acknowledged all its records. The message is on its way when this returns, whether or not the future is awaited.
    ///
    /// The future waits as long as a record may take: without a
    /// [`record_delivery_timeout`](Config::record_delivery_timeout) and without brokers, until the publisher is stopped.
    pub fn submit(&self, message: impl AsMessage) -> Delivery {
        let (delivery, receipt) = Delivery::new();
        // The receipt gets an error, too.
        let _ = self.submit_with(message, Some(receipt));
        delivery
    }

    /// As [`submit`](Publisher::submit), with a callback or without any, for callers such as a gateway's sessions.
    ///
    /// Returns [`Outcome::Attempted`] for a message of low QoS, [`Outcome::Queued`] for others; [`Outcome::Failed`] if
    /// the last of its records was rejected at once. The message's final result goes to the receipt, exactly once, whatever
    /// this returns; the result of each record goes to the listeners. If the client is full, records of low QoS are dropped
    /// and others wait, in order, in a bounded queue.
    ///
    /// A disabled publisher gives the receipt `Ok(Outcome::Attempted)`: no broker has acknowledged anything.
    ///
    /// # Errors
    /// The message was rejected as a whole: the publisher does not run, or no route takes the message. The receipt gets
    /// the same error.
    pub fn submit_with(
        &self,
        message: impl AsMessage,
        receipt: Option<Receipt>,
    ) -> Result<Outcome, PublishError> {
        let message = message.as_message();
        self.submit_for(&message, message.qos.level(), None, None, receipt)
    }

    /// As [`submit_with`](Publisher::submit_with), for a sender whose attributes the filters of the routes check; `submit_with`
    /// itself is for a sender without attributes.
    ///
    /// If the filters of all matching routes reject the sender, no record is made, which is no failure: this returns
    /// [`Outcome::Filtered`], and the receipt gets `Ok` of the same.
    ///
    /// # Errors
    /// As `submit_with`.
    pub fn submit_from(
        &self,
        message: &MessageRef<'_>,
        sender: &Sender<'_>,
        receipt: Option<Receipt>,
    ) -> Result<Outcome, PublishError> {
        self.submit_for(message, message.qos.level(), Some(sender), None, receipt)
    }

    /// As [`submit_from`](Publisher::submit_from), for a message to whose records the caller adds something.
    ///
    /// # Errors
    /// As `submit_with`.
    pub fn submit_annotated(
        &self,
        message: &MessageRef<'_>,
        sender: &Sender<'_>,
        annotation: &Annotation<'_>,
        receipt: Option<Receipt>,
    ) -> Result<Outcome, PublishError> {
        self.submit_for(message, message.qos.level(), Some(sender), Some(annotation), receipt)
    }

    /// As [`submit_from`](Publisher::submit_from), for a message that ranks inside the publisher as this level, whatever its
    /// QoS says: such as one that its sender cannot send again.
    ///
    /// # Errors
    /// As `submit_with`.
    pub fn submit_as(
        &self,
        message: &MessageRef<'_>,
        level: QosLevel,
        sender: &Sender<'_>,
        receipt: Option<Receipt>,
    ) -> Result<Outcome, PublishError> {
        self.submit_for(message, level, Some(sender), None, receipt)
    }

    fn submit_for(
        &self,
        message: &MessageRef<'_>,
        level: QosLevel,
        sender: Option<&Sender<'_>>,
        annotation: Option<&Annotation<'_>>,
        receipt: Option<Receipt>,
    ) -> Result<Outcome, PublishError> {
        let Some(shared) = &self.shared else {
            if let Some(receipt) = receipt {
                receipt(Ok(Outcome::Attempted));
            }
            return Ok(optimistic(level));
        };
        let result = shared.submit(message, level, sender, annotation, receipt);
        if let Ok(outcome) = result {
            tracing::debug!(destination = %message.dest, %outcome, "Published message to Kafka");
        }
        result
    }

    /// Publishes a message as its quality of service asks (contract §8.9): below 25 it does not wait, from 25 it waits
    /// for room, from 75 it waits for the brokers' acknowledgement.
    ///
    /// A message that several routes take has its records sent in their order; from 75 each waits for the one before,
    /// and the first that fails ends it. If the future is dropped before it is ready, records may be missing.
    ///
    /// # Errors
    /// The message was rejected as a whole, or from QoS 75 a record of it was not acknowledged.
    pub async fn publish(&self, message: impl AsMessage) -> Result<Outcome, PublishError> {
        self.publish_for(&message.as_message(), None).await
    }

    /// As [`publish`](Publisher::publish), for a sender whose attributes the filters of the routes check.
    ///
    /// # Errors
    /// As `publish`. If the filters of all matching routes reject the sender, that is none: the outcome is
    /// [`Outcome::Filtered`].
    pub async fn publish_from(
        &self,
        message: impl AsMessage,
        sender: &Sender<'_>,
    ) -> Result<Outcome, PublishError> {
        self.publish_for(&message.as_message(), Some(sender)).await
    }

    async fn publish_for(
        &self,
        message: &MessageRef<'_>,
        sender: Option<&Sender<'_>>,
    ) -> Result<Outcome, PublishError> {
        let level = message.qos.level();
        let Some(shared) = &self.shared else { return Ok(optimistic(level)) };
        let result = match level {
            QosLevel::Low => shared.submit(message, level, sender, None, None),
            QosLevel::Medium | QosLevel::High => shared.publish_queued(message, level, sender).await,
            QosLevel::Critical => shared.publish_acknowledged(message, sender).await,
        };
        if let Ok(outcome) = result {
            tracing::debug!(destination = %message.dest, %outcome, "Published message to Kafka");
        }
        result
    }

    /// Adds a listener, which observes every record. A disabled publisher calls none.
    ///
    /// ```
    /// # let publisher = wrpkafka::Publisher::disabled();
    /// publisher.add_listener(|event: &wrpkafka::PublishEvent<'_>| println!("{}: {:?}", event.topic, event.error_type));
    /// ```
    pub fn add_listener(&self, listener: impl Listener + 'static) -> ListenerId {
        match &self.shared {
            Some(shared) => {
                let listener: Arc<dyn Listener> = Arc::new(listener);
                shared.engine.completion.listeners.add(&listener)
            }
            None => ListenerId::default(),
        }
    }

    /// Removes a listener. An event that is on its way may still reach it.
    pub fn remove_listener(&self, id: ListenerId) {
        if let Some(shared) = &self.shared {
            shared.engine.completion.listeners.remove(id);
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("is_enabled", &self.is_enabled())
            .field("is_up", &self.is_up())
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The schema registry's thread, if there is a registry.
    fn start_registry_thread(&self) -> Result<Option<RegistryThread>, String> {
        let Some(schemas) = self.engine.schemas() else { return Ok(None) };
        let engine = Arc::downgrade(&self.engine);
        // Records may have waited for what the registry has answered.
        let on_answer = move || {
            if let Some(engine) = engine.upgrade() {
                engine.pump();
            }
        };
        RegistryThread::start(schemas, &self.settings.get().schema_registry, on_answer).map(Some)
    }

    /// The records that a message becomes. Listeners hear of each route that filters it.
    fn plan<'m>(
        &self,
        routes: &RouteTable,
        message: &MessageRef<'m>,
        sender: Option<&Sender<'_>>,
    ) -> Result<Plan<'m>, RoutingError> {
        self.lifecycle.accepts().map_err(|error| {
            let event_type = RouteTable::event_type(message).unwrap_or_default().into_owned();
            RoutingError { event_type, error }
        })?;
        let listeners = &self.engine.completion.listeners;
        routes.plan(message, sender, |filtered| listeners.on_filtered(filtered))
    }
}

/// Has brokers asked whether these topics exist, unless records may create them.
fn look_up(worker: &mpsc::Sender<Order>, config: &Config, topics: Vec<Arc<str>>) {
    if !config.allow_auto_topic_creation {
        // A thread that has ended asks for nothing.
        let _ = worker.send(Order::LookUp(topics));
    }
}

/// What becomes of a message if nothing goes wrong, as far as a call that does not wait can tell.
fn optimistic(level: QosLevel) -> Outcome {
    if level == QosLevel::Low { Outcome::Attempted } else { Outcome::Queued }
}
