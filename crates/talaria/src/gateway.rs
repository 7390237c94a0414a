//! The whole gateway: its parts are put together, started, and stopped in an order that loses nothing.
//!
//! A gateway is [built](Gateway::build) from its configuration, [bound](Gateway::bind) to its addresses, and
//! [run](BoundGateway::run) until it is to stop. Nothing here is global, so several gateways can run in one process, as in
//! the demo and the tests.
//!
//! A stop has these steps: end the control server, leave the fleet, admit no more devices, close the connected ones one after the other (read
//! nothing more from a device, wait until its messages are delivered and acknowledged, close it, which sends its offline
//! event), accept no more connections, do the same with all devices that are left, drain both sinks, end the servers.
//! Health and metrics are served to the end.
//!
//! Deliberately absent: log, signals and exit code, which belong to the [`process`](crate::process).

pub mod parts;
mod primary_servers;
mod readiness;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{error, info, warn};
use wrpkafka::Publisher;

use crate::api::{Api, ApiMetrics};
use crate::auth::{DeviceAuth, ServiceAuth};
use crate::config::Config;
use crate::control::{Control, ControlMetrics, Drainer};
use crate::device::{Manager, Registry};
use crate::discovery::Discovery;
use crate::event::{Dispatcher, Undelivered};
use crate::observe::{HealthPage, MetricsPage, Readiness};
use crate::primary::{DeviceConnector, Primary, Subprotocols};
use crate::reload::part::Part;
use crate::reload::{Reload, ReloadMetrics};
use crate::server::{
    BindError, ConnectionMetrics, Handshakes, Identity, IdentityError, Inherited, RunningServer, Server,
};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::Metrics;
use crate::trace::Tracing;

use primary_servers::{PrimaryServers, stop_optional};
use readiness::Phases;

/// How long the current requests may take during a stop once all devices are gone.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// The part of a stop's time (one of this many) that devices may take to read their close frames. A device that does not
/// read must not prevent the sinks from being drained.
const DEVICES_SHARE: u32 = 4;

/// The part of a stop's time (one of this many) over which devices are closed one after the other, at most.
const SPREAD_SHARE: u32 = 2;

/// How events were lost during a stop that ended before its time, and during one that did not. Timers round up.
const OUT_OF_ROOM: &str = "the queues had no room for them";
const OUT_OF_TIME: &str = "not everything could be delivered within shutdownTimeout";
const ROUNDING: Duration = Duration::from_millis(20);

/// The part of a stop's time (one of this many) that leaving the fleet may take, at most.
const FLEET_SHARE: u32 = 8;

/// The part of a stop's time, in quarters, that the acknowledgements may take. The rest is for the offline events.
const ACKS_QUARTERS: u32 = 3;

/// A gateway with all its parts, before it listens on any address.
pub struct Gateway {
    config: Config,
    identity: Identity,
    metrics: Arc<Metrics>,
    connections: ConnectionMetrics,
    publisher: Publisher,
    dispatcher: Arc<Dispatcher>,
    manager: Arc<Manager>,
    discovery: Arc<Discovery>,
    device_auth: Arc<DeviceAuth>,
    api: Arc<Api>,
    subprotocols: Arc<Subprotocols>,
    shutdown_timeout: Arc<ShutdownTimeout>,
    health: Arc<Health>,
    reload_metrics: ReloadMetrics,
    handshakes: Arc<Handshakes>,
    tracing: Arc<Tracing>,
}

/// A gateway that listens on its addresses. Clients that connect wait until it runs.
pub struct BoundGateway {
    gateway: Gateway,
    primary: Server,
    alternate: Option<Server>,
    health: Option<Server>,
    metric: Option<Server>,
    control: Option<Server>,
    reload: Option<Arc<Reload>>,
    phases: Phases,
}

/// The time limit of a whole stop (`shutdownTimeout`).
struct ShutdownTimeout(ArcSwap<Duration>);

/// The addresses of a gateway, with the ports that the system chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Devices and the API.
    pub primary: SocketAddr,
    /// The second address of both, if there is one.
    pub alternate: Option<SocketAddr>,
    /// `/health`, if it is served.
    pub health: Option<SocketAddr>,
    /// `/metrics`, if it is served.
    pub metric: Option<SocketAddr>,
    /// Gate, filters and drains, if there is a control server.
    pub control: Option<SocketAddr>,
}

/// What a stopped gateway could not finish. If all are zero, nothing was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Devices whose connections had not ended in time. They may lack their last acknowledgements and the close frame.
    pub sessions: usize,
    /// Events that no receiver accepted, counted for each URL.
    pub http: u64,
    /// Messages that Kafka did not acknowledge.
    pub kafka: u64,
    /// Acknowledgements that were not written to their devices, which will send these messages again.
    pub acks: u64,
}

/// Errors that only show when the parts are put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The Kafka publisher cannot be built, for instance because a certificate cannot be read.
    #[error(transparent)]
    Kafka(#[from] wrpkafka::ConfigError),
    /// The values of the identity headers cannot be sent.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use or not local.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The Kafka client cannot be started. An unreachable broker is not such an error.
    #[error("the Kafka publisher cannot start: {0}")]
    Kafka(#[from] wrpkafka::StartError),
}

impl Gateway {
    /// Puts the parts together. Needs a tokio runtime; opens no socket.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(mut config: Config) -> Result<Self, BuildError> {
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
        let tracing = Tracing::start(&config.trace, &metrics);
        let dispatcher = Arc::new(Dispatcher::start(&config.event, publisher.clone(), &tracing, &metrics));
        let manager = Manager::new(config.device.clone(), Arc::clone(&dispatcher) as _, &metrics);
        let discovery = Arc::new(Discovery::new(&manager, dispatcher.receiver_instances(), &metrics));
        let api_metrics = ApiMetrics::register(&metrics);
        let reload_metrics = ReloadMetrics::register(&metrics);
        let health = Health::new(manager.metrics().health_sources(Arc::clone(api_metrics.tally())));
        let health = Arc::new(health.with_configuration(reload_metrics.health_sources()));
        let device_auth = Arc::new(DeviceAuth::start(&config.device_auth, &metrics));
        let service_auth = ServiceAuth::start(&config.api.auth, &metrics);
        let api = Api::new(config.api.clone(), service_auth, Arc::clone(manager.registry()), api_metrics)
            .with_bodies(config.primary.bodies.clone())
            .with_tracing(&tracing);
        let connections = ConnectionMetrics::register(&metrics);
        let handshakes = Handshakes::new(config.handshakes, &metrics);
        for server in std::iter::once(&mut config.primary).chain(&mut config.alternate) {
            server.handshakes = Some(Arc::clone(&handshakes));
        }
        let subprotocols = Arc::new(Subprotocols::new(config.subprotocols.clone()));
        let shutdown_timeout = Arc::new(ShutdownTimeout(ArcSwap::from_pointee(config.shutdown_timeout)));
        Ok(Self {
            config,
            identity,
            metrics,
            connections,
            publisher,
            dispatcher,
            manager,
            discovery,
            device_auth,
            api: Arc::new(api),
            subprotocols,
            shutdown_timeout,
            health,
            reload_metrics,
            handshakes,
            tracing,
        })
    }

    /// Listens on all addresses.
    ///
    /// # Errors
    /// [`BindError`] for the first address that cannot be used.
    pub fn bind(self) -> Result<BoundGateway, BindError> {
        self.inherit_or_bind(&mut Inherited::default())
    }

    /// As [`Gateway::bind`], but on the inherited sockets that have the addresses.
    ///
    /// # Errors
    /// As [`Gateway::bind`].
    pub fn inherit_or_bind(self, inherited: &mut Inherited) -> Result<BoundGateway, BindError> {
        let mut bind = |name, config: &crate::server::Config| {
            let (identity, connections) = (self.identity.clone(), &self.connections);
            Server::inherit_or_bind(name, config.clone(), identity, connections, inherited)
        };
        let primary = bind("primary", &self.config.primary)?;
        let mut bind_optional = |name, config: &Option<crate::server::Config>| {
            config.as_ref().map(|config| bind(name, config)).transpose()
        };
        Ok(BoundGateway {
            primary,
            alternate: bind_optional("alternate", &self.config.alternate)?,
            health: bind_optional("health", &self.config.health)?,
            metric: bind_optional("metric", &self.config.metric)?,
            control: bind_optional("control", &self.config.control)?,
            reload: None,
            phases: Phases::default(),
            gateway: self,
        })
    }

    /// Admits devices and runs their sessions.
    #[must_use]
    pub fn manager(&self) -> &Arc<Manager> {
        &self.manager
    }

    /// The connected devices.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        self.manager.registry()
    }

    /// Service discovery; off without a section `service`.
    #[must_use]
    pub fn discovery(&self) -> &Arc<Discovery> {
        &self.discovery
    }

    /// The Kafka publisher; a disabled one without Kafka.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The metrics of changes of the configuration.
    #[must_use]
    pub fn reload_metrics(&self) -> &ReloadMetrics {
        &self.reload_metrics
    }

    /// All metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}

impl BoundGateway {
    /// The addresses it listens on.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses {
            primary: self.primary.local_addr(),
            alternate: self.alternate.as_ref().map(Server::local_addr),
            health: self.health.as_ref().map(Server::local_addr),
            metric: self.metric.as_ref().map(Server::local_addr),
            control: self.control.as_ref().map(Server::local_addr),
        }
    }

    /// The gateway itself.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Lets operators read and change the configuration at the control server.
    #[must_use]
    pub fn with_reload(self, reload: Arc<Reload>) -> Self {
        Self { reload: Some(reload), ..self }
    }

    /// Waits until the gateway serves devices and requests, and has looked for its fleet.
    pub fn serving(&self) -> impl Future<Output = ()> + use<> {
        self.phases.clone().serving()
    }

    /// The parts whose settings may change while the gateway runs.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        parts::of(self)
    }

    /// Runs until `stop` is ready, then stops in order, within `shutdownTimeout`.
    ///
    /// # Errors
    /// [`StartError`], before any request is served.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<Unfinished, StartError> {
        let Self { gateway, primary, alternate, health, metric, control, reload, phases } = self;
        if gateway.publisher.is_enabled() {
            gateway.publisher.start()?;
        }
        let control = control.map(|server| ControlServer::start(server, &gateway, reload));
        let parts = readiness::Parts {
            discovery: Arc::clone(&gateway.discovery),
            publisher: gateway.publisher.clone(),
            manager: Arc::clone(&gateway.manager),
            dispatcher: Arc::clone(&gateway.dispatcher),
            waits_until: Instant::now() + gateway.config.ready_within,
        };
        let readiness = Arc::new(readiness::of(parts, &phases));
        let _checking = Checking::start(&readiness);
        let health = health.map(|server| server.start(HealthPage::new(gateway.health, readiness)));
        let metric = metric.map(|server| server.start(MetricsPage(gateway.metrics)));
        let convey_keys = gateway.config.convey_keys;
        let devices = DeviceConnector::new(Arc::clone(&gateway.manager), gateway.device_auth, convey_keys)
            .with_subprotocols(gateway.subprotocols)
            .with_handshakes(gateway.handshakes)
            .with_membership(Arc::clone(gateway.discovery.membership()));
        let handler = Arc::new(Primary::new(devices, gateway.api));
        let primary = PrimaryServers {
            alternate: alternate.map(|server| server.start(Arc::clone(&handler))),
            primary: primary.start(handler),
        };

        // Devices are served before others learn of this gateway.
        gateway.discovery.apply(gateway.config.discovery).await;
        phases.serves();

        stop.await;

        phases.stops();
        let deadline = Instant::now() + **gateway.shutdown_timeout.0.load();
        if let Some(control) = control {
            control.stop().await;
        }
        gateway.discovery.stop(gateway.config.shutdown_timeout / FLEET_SHARE).await;
        let unfinished = drain(&primary, &gateway.manager, &gateway.dispatcher, deadline).await;
        let lost_by = if Instant::now() + ROUNDING < deadline { OUT_OF_ROOM } else { OUT_OF_TIME };
        let last = LAST_REQUESTS.min(deadline.saturating_duration_since(Instant::now()));
        tokio::join!(primary.stop(last), stop_optional(health, last), stop_optional(metric, last));
        gateway.tracing.stop(deadline).await;
        unfinished.log(lost_by);
        Ok(unfinished)
    }
}

/// The task that checks whether the sinks lose events. Dropping this ends it.
struct Checking(AbortHandle);

impl Checking {
    fn start(readiness: &Arc<Readiness>) -> Self {
        let readiness = Arc::clone(readiness);
        Self(tokio::spawn(async move { readiness.run().await }).abort_handle())
    }
}

impl Drop for Checking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The running control server with its drainer.
struct ControlServer {
    server: RunningServer,
    drainer: Arc<Drainer>,
}

impl ControlServer {
    fn start(server: Server, gateway: &Gateway, reload: Option<Arc<Reload>>) -> Self {
        let (manager, metrics) = (&gateway.manager, ControlMetrics::register(&gateway.metrics));
        let drainer = Drainer::of(manager, metrics.clone()).leaving(Arc::clone(&gateway.discovery));
        let drainer = Arc::new(drainer);
        let control = Control::new(Arc::clone(manager), Arc::clone(&drainer), metrics).with_reload(reload);
        Self { server: server.start(control), drainer }
    }

    /// Cuts its connections, so that nothing new starts, and cancels a drain: the stop closes every device anyway.
    async fn stop(self) {
        drop(self.server);
        self.drainer.cancel().await;
    }
}

/// Acknowledges what the devices have sent, closes them, and delivers the events that are left.
async fn drain(
    primary: &PrimaryServers,
    manager: &Manager,
    dispatcher: &Dispatcher,
    deadline: Instant,
) -> Unfinished {
    let remaining = || deadline.saturating_duration_since(Instant::now());
    dispatcher.begin_stop(deadline);
    info!(devices = manager.registry().len(), "stopping: closing devices one after the other");
    manager.close_spread(Instant::now() + remaining() / SPREAD_SHARE).await;
    primary.stop_accepting();
    manager.stop_reading();
    info!("stopping: acknowledging the messages of devices");
    manager.acknowledged(Instant::now() + remaining() / 4 * ACKS_QUARTERS).await;
    info!(devices = manager.registry().len(), "stopping: closing devices");
    let sessions = manager.shutdown(remaining() / DEVICES_SHARE).await;
    info!("stopping: delivering the remaining events");
    let undelivered = dispatcher.flush(remaining()).await;
    let Undelivered { http, kafka, acks } = undelivered;
    Unfinished { sessions, http, kafka, acks }
}

impl Unfinished {
    fn log(self, lost_by: &str) {
        let Self { sessions, http, kafka, acks } = self;
        if self == Self::default() {
            info!("stopped, everything was delivered");
        } else if http == 0 && kafka == 0 {
            warn!(
                sessions,
                acks,
                "stopped, everything was delivered, but not every device has read its last acknowledgements"
            );
        } else {
            error!(sessions, http, kafka, acks, "stopped, events were lost: {lost_by}");
        }
    }
}
