mod encode;
mod live;
mod publish;
mod submit;

pub(crate) use live::Settings;

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use wrp::{MessageRef, QosLevel};

use crate::client::{Connect, librdkafka};
use crate::config::{Config, ConfigError};
use crate::delivery::Receipt;
use crate::engine::Engine;
use crate::engine::worker::{Order, StopRequest, Worker};
use crate::error::{PublishError, StartError};
use crate::listener::{Listener, ListenerId};
use crate::outcome::Outcome;
use crate::registry::RegistryThread;
use crate::routing::{Plan, RouteTable, RoutingError, Sender};
use crate::schema::SchemaStats;
use crate::stats::ClientStats;

/// Publishes WRP messages to Kafka. Cheap to clone: all clones are the same publisher.
///
/// It is made ([`new`](Publisher::new)), started and stopped. Messages are published with
/// [`submit`](Publisher::submit), which never waits and reports to a [`Receipt`], or with
/// [`publish`](Publisher::publish), which waits as the message's quality of service asks.
#[derive(Clone)]
pub struct Publisher {
    /// None in a disabled one.
    shared: Option<Arc<Shared>>,
}

struct Shared {
    settings: Arc<Settings>,
    engine: Arc<Engine>,
    connect: Arc<Connect>,
    life: Mutex<Life>,
}

/// Where a publisher is in its life.
enum Life {
    Idle,
    /// The client's thread ends when the sender is dropped, too.
    Running(Running),
}

/// The threads of a publisher that runs.
struct Running {
    /// The client's, which ends when this is dropped, too.
    control: mpsc::Sender<Order>,
    /// The schema registry's, if there is one.
    registry_thread: Option<RegistryThread>,
}

/// What [`Publisher::stop`] leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Records that were neither acknowledged nor refused in time. Their receipts say so. Some of them may have been
    /// written: those that a broker had not acknowledged yet.
    pub undelivered: u64,
}

/// How full a publisher is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buffered {
    /// Records in the client, not yet acknowledged.
    pub records: u64,
    /// The bytes of their keys, values and headers.
    pub bytes: u64,
    /// `maxBufferedRecords`.
    pub max_records: u64,
    /// `maxBufferedBytes`.
    pub max_bytes: u64,
    /// Records that wait for room in the client.
    pub waiting_records: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

impl Publisher {
    /// Checks the configuration and compiles its routes; connects to nothing.
    ///
    /// # Errors
    /// Every fault of the configuration.
    pub fn new(config: Config) -> Result<Publisher, ConfigError> {
        Publisher::with_client(config, Box::new(librdkafka::connect))
    }

    /// As [`new`](Publisher::new), with another client.
    pub(crate) fn with_client(config: Config, connect: Connect) -> Result<Publisher, ConfigError> {
        let routes = config.compile()?;
        let engine = Arc::new(Engine::new(&config, routes));
        let (connect, life) = (Arc::new(connect), Mutex::new(Life::Idle));
        let settings = Arc::new(Settings::new(config));
        Ok(Publisher { shared: Some(Arc::new(Shared { settings, engine, connect, life })) })
    }

    /// A publisher that takes every message silently and sends none.
    #[must_use]
    pub fn disabled() -> Publisher {
        Publisher { shared: None }
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
        let mut life = shared.life.lock();
        if matches!(*life, Life::Running(_)) {
            return Err(StartError::AlreadyStarted);
        }
        shared.announce();
        let registry = &shared.settings.get().schema_registry;
        let registry_thread = shared.engine.schemas.as_ref().map(|schemas| {
            let engine = Arc::downgrade(&shared.engine);
            let on_answer = move || {
                if let Some(engine) = engine.upgrade() {
                    engine.subject_decided();
                }
            };
            RegistryThread::start(schemas, registry, on_answer).map_err(StartError::SchemaRegistry)
        });
        let registry_thread = registry_thread.transpose()?;
        let (control, orders) = mpsc::channel();
        let (engine, connect) = (Arc::clone(&shared.engine), Arc::clone(&shared.connect));
        let worker = Worker::new(engine, connect, Arc::clone(&shared.settings), orders)?;
        std::thread::Builder::new()
            .name("wrpkafka".to_owned())
            .spawn(move || worker.run())
            .map_err(StartError::Thread)?;
        *life = Life::Running(Running { control, registry_thread });
        shared.engine.open();
        tracing::info!("Kafka publisher started successfully");
        Ok(())
    }

    /// Refuses new messages, waits at most `within` for what is buffered to be acknowledged, then fails what is left.
    ///
    /// Needs no particular runtime. A second stop, or one of a publisher that was never started, does nothing. A stopped
    /// publisher may be started again.
    pub async fn stop(&self, within: Duration) -> Stopped {
        let Some(shared) = &self.shared else { return Stopped { undelivered: 0 } };
        let life = std::mem::replace(&mut *shared.life.lock(), Life::Idle);
        shared.engine.refuse_new();
        let mut undelivered = 0;
        if let Life::Running(Running { control, registry_thread }) = life {
            let (reply, answer) = oneshot::channel();
            let now = Instant::now();
            // A deadline too far away to be expressed is none.
            let deadline = now.checked_add(within).unwrap_or(now + Duration::from_secs(86_400));
            if control.send(Order::Stop(StopRequest { deadline, reply })).is_ok() {
                undelivered = answer.await.unwrap_or_default();
            }
            // Kept so long, as records may have waited for it.
            drop(registry_thread);
        }
        if undelivered > 0 {
            tracing::error!(undelivered, "Kafka publisher stopped");
        } else {
            tracing::info!("Kafka publisher stopped");
        }
        Stopped { undelivered }
    }

    /// Publishes a message without ever waiting, for callers such as a gateway's sessions.
    ///
    /// Returns [`Outcome::Attempted`] for a message of low QoS, [`Outcome::Queued`] for others; [`Outcome::Failed`] if
    /// the last of its records was refused at once. What really becomes of the message is told to the receipt, exactly
    /// once, whatever this returns; of each record, to the listeners. With a full client, records of low QoS are
    /// dropped and others wait, in order, in a bounded room.
    ///
    /// A disabled publisher tells the receipt `Ok(Outcome::Attempted)`: nobody has acknowledged anything.
    ///
    /// # Errors
    /// The message was refused as a whole: the publisher does not run, or no route takes the message. The receipt is
    /// told the same.
    pub fn submit(
        &self,
        message: &MessageRef<'_>,
        receipt: Option<Receipt>,
    ) -> Result<Outcome, PublishError> {
        self.submit_for(message, None, receipt)
    }

    /// As [`submit`](Publisher::submit), for a sender that the filters of the routes judge; `submit` itself is for one
    /// of whom nothing is known.
    ///
    /// Where all routes that match turn the sender away, the message goes nowhere, which is no failure: this returns
    /// [`Outcome::Filtered`], and the receipt is told `Ok` of the same.
    ///
    /// # Errors
    /// As `submit`.
    pub fn submit_from(
        &self,
        message: &MessageRef<'_>,
        sender: &Sender<'_>,
        receipt: Option<Receipt>,
    ) -> Result<Outcome, PublishError> {
        self.submit_for(message, Some(sender), receipt)
    }

    fn submit_for(
        &self,
        message: &MessageRef<'_>,
        sender: Option<&Sender<'_>>,
        receipt: Option<Receipt>,
    ) -> Result<Outcome, PublishError> {
        let level = message.qos.level();
        let Some(shared) = &self.shared else {
            if let Some(receipt) = receipt {
                receipt(Ok(Outcome::Attempted));
            }
            return Ok(optimistic(level));
        };
        let result = shared.submit(message, level, sender, receipt);
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
    /// The message was refused as a whole, or from QoS 75 a record of it was not acknowledged.
    pub async fn publish(&self, message: &MessageRef<'_>) -> Result<Outcome, PublishError> {
        self.publish_for(message, None).await
    }

    /// As [`publish`](Publisher::publish), for a sender that the filters of the routes judge.
    ///
    /// # Errors
    /// As `publish`. Where all routes that match turn the sender away it is none: the outcome is
    /// [`Outcome::Filtered`].
    pub async fn publish_from(
        &self,
        message: &MessageRef<'_>,
        sender: &Sender<'_>,
    ) -> Result<Outcome, PublishError> {
        self.publish_for(message, Some(sender)).await
    }

    async fn publish_for(
        &self,
        message: &MessageRef<'_>,
        sender: Option<&Sender<'_>>,
    ) -> Result<Outcome, PublishError> {
        let level = message.qos.level();
        let Some(shared) = &self.shared else { return Ok(optimistic(level)) };
        let result = match level {
            QosLevel::Low => shared.submit(message, level, sender, None),
            QosLevel::Medium | QosLevel::High => shared.publish_queued(message, level, sender).await,
            QosLevel::Critical => shared.publish_acknowledged(message, sender).await,
        };
        if let Ok(outcome) = result {
            tracing::debug!(destination = %message.dest, %outcome, "Published message to Kafka");
        }
        result
    }

    /// How full the publisher is. All zero in a disabled one.
    #[must_use]
    pub fn buffered(&self) -> Buffered {
        self.shared.as_ref().map(|shared| shared.engine.buffered()).unwrap_or_default()
    }

    /// What the clients have counted, as of the latest report
    /// ([`Config::statistics_interval`]).
    #[must_use]
    pub fn client_stats(&self) -> ClientStats {
        self.shared.as_ref().map(|shared| shared.engine.client_stats()).unwrap_or_default()
    }

    /// What there has been to do with the schema registry. All zero without one.
    #[must_use]
    pub fn schema_stats(&self) -> SchemaStats {
        let schemas = self.shared.as_ref().and_then(|shared| shared.engine.schemas.as_ref());
        schemas.map(|schemas| schemas.stats()).unwrap_or_default()
    }

    /// Adds one who is told of every record. A disabled publisher has nothing to tell.
    #[expect(clippy::needless_pass_by_value, reason = "a listener is handed over")]
    pub fn add_listener(&self, listener: Arc<dyn Listener>) -> ListenerId {
        match &self.shared {
            Some(shared) => shared.engine.listeners.add(&listener),
            None => ListenerId::default(),
        }
    }

    /// Removes a listener. An event that is being told may still reach it.
    pub fn remove_listener(&self, id: ListenerId) {
        if let Some(shared) = &self.shared {
            shared.engine.listeners.remove(id);
        }
    }
}

impl Shared {
    fn announce(&self) {
        let config = &*self.settings.get();
        tracing::info!(
            brokers = ?config.brokers,
            allowAutoTopicCreation = config.allow_auto_topic_creation,
            maxBufferedRecords = config.max_buffered_records,
            maxBufferedBytes = config.max_buffered_bytes,
            maxRequestRetries = config.max_request_retries,
            maxRecordRetries = config.max_record_retries,
            requestTimeout = ?config.request_timeout,
            recordDeliveryTimeout = ?config.record_delivery_timeout,
            dynamicConfig = ?config.dynamic,
            "Creating Kafka publisher"
        );
        live::warn_if_unverified(&config.tls);
    }

    /// What becomes of a message, if messages are taken at all. The listeners are told of the routes that filter it.
    fn plan<'m>(
        &self,
        routes: &RouteTable,
        message: &MessageRef<'m>,
        sender: Option<&Sender<'_>>,
    ) -> Result<Plan<'m>, RoutingError> {
        let engine = &self.engine;
        engine.accepts().map_err(|error| {
            let event_type = RouteTable::event_type(message).unwrap_or_default().into_owned();
            RoutingError { event_type, error }
        })?;
        routes.plan(message, sender, |filtered| engine.listeners.on_filtered(filtered))
    }
}

/// What becomes of a message if nothing goes wrong, as far as a call that does not wait can tell.
fn optimistic(level: QosLevel) -> Outcome {
    if level == QosLevel::Low { Outcome::Attempted } else { Outcome::Queued }
}
