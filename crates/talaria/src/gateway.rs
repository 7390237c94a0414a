//! The whole gateway: its parts put together, started, and stopped in the order that loses nothing.
//!
//! A gateway is [built](Gateway::build) from its configuration, [bound](Gateway::bind) to its addresses, and
//! [run](Bound::run) until it is told to stop. Nothing here is global, so that several can run in one process, as the
//! demo and the tests do; what belongs to the process (log, signals, exit code) is in [`process`](crate::process).
//!
//! A stop goes: no more control → accept nobody → close the devices, whose offline events are told → drain both sinks → end the servers.
//! Health and metrics are served to the last.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::{error, info};
use wrpkafka::Publisher;

use crate::{
    api::{Api, ApiMetrics},
    auth::{DeviceAuth, ServiceAuth},
    config::Config,
    control::{Control, ControlMetrics, Drainer},
    device::{Manager, Registry},
    event::Dispatcher,
    server::{
        BindError, ConnectionMetrics, Identity, InvalidIdentity, Running, Server,
        observe::{HealthPage, MetricsPage},
        primary::{Admission, Primary},
    },
    telemetry::{health::Health, metrics::Metrics},
};

/// How long requests that are under way get at a stop once all devices are gone.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// The part of a stop's time that devices may take to read their close frames. A device that does not read must not
/// keep the sinks from being drained.
const DEVICES_SHARE: u32 = 4;

/// A gateway with all its parts, bound to nothing yet.
pub struct Gateway {
    config: Config,
    identity: Identity,
    metrics: Arc<Metrics>,
    connections: ConnectionMetrics,
    publisher: Publisher,
    dispatcher: Arc<Dispatcher>,
    manager: Arc<Manager>,
    device_auth: DeviceAuth,
    api: Api,
    health: Arc<Health>,
}

/// A gateway that listens on its addresses; whoever connects waits until it runs.
pub struct Bound {
    gateway: Gateway,
    primary: Server,
    alternate: Option<Server>,
    health: Server,
    metric: Server,
    control: Option<Server>,
}

/// Where a gateway listens, with the ports that the system chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Devices and the API.
    pub primary: SocketAddr,
    /// The same once more, if a second address is configured.
    pub alternate: Option<SocketAddr>,
    /// `/health`.
    pub health: SocketAddr,
    /// `/metrics`.
    pub metric: SocketAddr,
    /// Gate, filters and drain, if there is such a server.
    pub control: Option<SocketAddr>,
}

/// What a stopped gateway leaves behind. All zero: nothing was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Devices whose sessions had not ended in time: their offline events are missing.
    pub sessions: usize,
    /// Events that no receiver took, one for each URL.
    pub http: u64,
    /// Records that Kafka did not acknowledge.
    pub kafka: u64,
}

/// What no start gets past although every key by itself is right.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The Kafka publisher cannot be made, for instance because a certificate cannot be read.
    #[error(transparent)]
    Kafka(#[from] wrpkafka::ConfigError),
    /// The texts that every response carries cannot be headers.
    #[error(transparent)]
    Identity(#[from] InvalidIdentity),
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is not free, or is none of this host's.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The Kafka client cannot be started. An unreachable broker is no such error.
    #[error("the Kafka publisher cannot start: {0}")]
    Kafka(#[from] wrpkafka::StartError),
}

impl Gateway {
    /// Puts a gateway together. Needs a tokio runtime; opens no socket.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(config: Config) -> Result<Self, BuildError> {
        let names = &config.identity;
        let start = jiff::Timestamp::now();
        let identity = Identity::new(&names.build, &names.server, &names.region, &names.flavor, start)?;
        let publisher = match &config.kafka {
            Some(kafka) => Publisher::new(kafka.clone())?,
            None => {
                info!("Kafka publisher not configured, using no-op publisher");
                Publisher::disabled()
            }
        };
        let metrics = Arc::new(Metrics::new(&config.metrics));
        let dispatcher = Arc::new(Dispatcher::start(&config.event, publisher.clone(), &metrics));
        let manager = Manager::new(config.device.clone(), Arc::clone(&dispatcher) as _, &metrics);
        let api_metrics = ApiMetrics::register(&metrics);
        let health = Arc::new(Health::new(manager.metrics().health_sources(Arc::clone(api_metrics.tally()))));
        let device_auth = DeviceAuth::start(&config.device_auth, &metrics);
        let service_auth = ServiceAuth::start(&config.api.auth, &metrics);
        let api = Api::new(config.api.clone(), service_auth, Arc::clone(manager.registry()), api_metrics);
        let connections = ConnectionMetrics::register(&metrics);
        Ok(Gateway {
            config,
            identity,
            metrics,
            connections,
            publisher,
            dispatcher,
            manager,
            device_auth,
            api,
            health,
        })
    }

    /// Listens on all addresses.
    ///
    /// # Errors
    /// [`BindError`], for the first address that is not to be had.
    pub fn bind(self) -> Result<Bound, BindError> {
        let bind = |name, config: &crate::server::Config| {
            Server::bind(name, config.clone(), self.identity.clone(), &self.connections)
        };
        Ok(Bound {
            primary: bind("primary", &self.config.primary)?,
            alternate: self.config.alternate.as_ref().map(|config| bind("alternate", config)).transpose()?,
            health: bind("health", &self.config.health)?,
            metric: bind("metric", &self.config.metric)?,
            control: self.config.control.as_ref().map(|control| bind("control", control)).transpose()?,
            gateway: self,
        })
    }

    /// The connected devices.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        self.manager.registry()
    }

    /// What publishes to Kafka; a disabled one if nothing is.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Every metric.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}

impl Bound {
    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses {
            primary: self.primary.local_addr(),
            alternate: self.alternate.as_ref().map(Server::local_addr),
            health: self.health.local_addr(),
            metric: self.metric.local_addr(),
            control: self.control.as_ref().map(Server::local_addr),
        }
    }

    /// The gateway that listens.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Runs until `stop` is ready, then stops in order, within `shutdownTimeout`.
    ///
    /// # Errors
    /// [`StartError`], before anybody is served.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<Left, StartError> {
        let Bound { gateway, primary, alternate, health, metric, control } = self;
        if gateway.publisher.is_enabled() {
            gateway.publisher.start()?;
        }
        let control = control.map(|server| Controlled::start(server, &gateway.manager, &gateway.metrics));
        let health = health.start(HealthPage(gateway.health));
        let metric = metric.start(MetricsPage(gateway.metrics));
        let devices = Admission::new(Arc::clone(&gateway.manager), gateway.device_auth);
        let answers = Arc::new(Primary::new(devices, gateway.api));
        let primary = Doors {
            alternate: alternate.map(|server| server.start(Arc::clone(&answers))),
            primary: primary.start(answers),
        };

        stop.await;

        let deadline = Instant::now() + gateway.config.shutdown_timeout;
        if let Some(control) = control {
            control.stop().await;
        }
        let left = drain(&primary, &gateway.manager, &gateway.dispatcher, deadline).await;
        let last = LAST_REQUESTS.min(deadline.saturating_duration_since(Instant::now()));
        tokio::join!(primary.stop(last), health.stop(last), metric.stop(last));
        left.log();
        Ok(left)
    }
}

/// The control server at work, and what it runs.
struct Controlled {
    server: Running,
    drainer: Arc<Drainer>,
}

impl Controlled {
    fn start(server: Server, manager: &Arc<Manager>, metrics: &Metrics) -> Self {
        let metrics = ControlMetrics::register(metrics);
        let drainer = Arc::new(Drainer::new(Arc::clone(manager.registry()), metrics.clone()));
        let control = Control::new(Arc::clone(manager), Arc::clone(&drainer), metrics);
        Controlled { server: server.start(control), drainer }
    }

    /// Cuts its connections, so that nothing new begins, and ends a drain: the stop closes every device anyway.
    async fn stop(self) {
        drop(self.server);
        self.drainer.cancel().await;
    }
}

/// The servers of devices and of the API: the primary, and the alternate if there is one.
struct Doors {
    primary: Running,
    alternate: Option<Running>,
}

impl Doors {
    fn stop_accepting(&self) {
        self.primary.stop_accepting();
        if let Some(alternate) = &self.alternate {
            alternate.stop_accepting();
        }
    }

    async fn stop(self, within: Duration) {
        let alternate = async {
            if let Some(alternate) = self.alternate {
                alternate.stop(within).await;
            }
        };
        tokio::join!(self.primary.stop(within), alternate);
    }
}

/// Lets go of the devices and delivers what they said.
async fn drain(primary: &Doors, manager: &Manager, dispatcher: &Dispatcher, deadline: Instant) -> Left {
    let remaining = || deadline.saturating_duration_since(Instant::now());
    primary.stop_accepting();
    info!(devices = manager.registry().len(), "stopping: closing devices");
    let sessions = manager.shutdown(remaining() / DEVICES_SHARE).await;
    info!("stopping: delivering what is left");
    let undelivered = dispatcher.flush(remaining()).await;
    Left { sessions, http: undelivered.http, kafka: undelivered.kafka }
}

impl Left {
    fn log(self) {
        if self == Left::default() {
            info!("stopped, everything is delivered");
        } else {
            let Left { sessions, http, kafka } = self;
            error!(sessions, http, kafka, "stopped, not everything could be delivered in time");
        }
    }
}
