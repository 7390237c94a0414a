//! The manager of all devices: registers them, runs their sessions, and closes them when the gateway stops.
//!
//! [`Manager::admit`] is where a request becomes a device; [`session`] runs it until it ends. The manager also has the
//! operator's decisions about new devices ([`Gate`], [`Filters`]).
//!
//! Deliberately absent: HTTP. The checks of a request and its upgrade are in [`primary`](crate::primary), which also sends
//! the close frame to a device that is not admitted.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use bytes::Bytes;
use talaria_protocol::connect::{ConnectError, Identity};
use talaria_protocol::session::{CloseReason, Reason};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{debug, info, warn};
use wrp::DeviceId;

use super::config::Config;
use super::connected::Device;
use super::ends::Ends;
use super::events::Events;
use super::filters::Filters;
use super::gate::Gate;
use super::metrics::{CountedModel, DeviceMetrics};
use super::noisiest::Noisiest;
use super::refusals::{RefusalMetrics, RefusalTable};
use super::registry::{RegisterError, Registry, RunningSession};
use super::session::{self, Connection, SessionContext};
use super::spread::Spread;
use super::takeover::Takeovers;
use super::takeover::outcome::TakeoverOutcome;
use super::wheel::Wheel;
use crate::budget::{Budget, Store};
use crate::long_work::LongWork;
use crate::telemetry::keyed_throttle::KeyedThrottle;
use crate::telemetry::metrics::Metrics;

/// All devices of the gateway.
pub struct Manager {
    pub(super) context: Arc<SessionContext>,
    gate: Gate,
    filters: Filters,
    takeovers: Takeovers,
    wheel_task: AbortHandle,
    /// Reports the refusals that end.
    refusal_task: AbortHandle,
}

/// A registered device whose connection is being upgraded. If this is dropped, it has left before.
pub struct AdmittedDevice {
    context: Arc<SessionContext>,
    /// None once its session has started.
    parts: Option<Parts>,
}

struct Parts {
    device: Arc<Device>,
    model: CountedModel,
    running: RunningSession,
    client: Option<IpAddr>,
}

/// A device is not admitted; its close frame says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not admitted: {}", .0.as_str())]
pub struct NotAdmittedError(pub Reason);

impl AdmittedDevice {
    /// The device.
    #[must_use]
    pub fn id(&self) -> Option<&DeviceId> {
        self.parts.as_ref().map(|parts| parts.device.id())
    }

    /// Starts the session of the device on its upgraded connection. `read_ahead` are the bytes that were already read from
    /// it.
    pub fn start<S>(mut self, io: S, read_ahead: Bytes)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if let Some(Parts { device, model, running, client }) = self.parts.take() {
            let connection = Connection { io, read_ahead, device, model, running, client };
            session::spawn(Arc::clone(&self.context), connection);
        }
    }
}

impl Drop for AdmittedDevice {
    fn drop(&mut self) {
        if let Some(Parts { device, model, running, .. }) = self.parts.take() {
            drop(model);
            let left =
                || CloseReason::with_error(Reason::ReadError, &"left before its handshake was complete");
            let reason = device.outbox().close_reason().unwrap_or_else(left);
            self.context.disconnected(&device, &reason);
            drop(running);
        }
    }
}

impl fmt::Debug for AdmittedDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmittedDevice").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Manager {
    /// A manager without devices. It spawns the task that turns its wheel, so it needs a tokio runtime.
    #[must_use]
    pub fn new(config: Config, events: Arc<dyn Events>, metrics: &Metrics) -> Arc<Self> {
        let wheel = Arc::new(Wheel::new(&config));
        let (turning, announcing) = (Arc::clone(&wheel), Arc::clone(&events));
        let refusals = Arc::new(RefusalTable::new(&config.refusal, RefusalMetrics::register(metrics)));
        let ending = Arc::clone(&refusals);
        let metrics = DeviceMetrics::register(metrics);
        let takeovers = Takeovers::default();
        metrics.max_device_count.set(config.max_devices.map_or(0, |max| max as i64));
        let ends = Ends::new(config.disconnect_cpu_percent, metrics.disconnects_waiting.clone());
        let context = SessionContext {
            registry: Arc::new(Registry::new(config.max_devices)),
            wheel,
            events,
            metrics,
            unfinished: Budget::new(Store::Unfinished, config.max_unfinished_bytes),
            queued: Arc::new(Budget::new(Store::Queued, config.max_queued_bytes)),
            started: Instant::now(),
            cost_lines: KeyedThrottle::new(),
            rate_lines: KeyedThrottle::new(),
            refusals,
            is_stopping: AtomicBool::new(false),
            noisiest: Noisiest::default(),
            ends,
            long_work: LongWork::default(),
            config: ArcSwap::from_pointee(config),
        };
        Arc::new(Self {
            context: Arc::new(context),
            gate: Gate::default(),
            filters: Filters::default(),
            takeovers,
            wheel_task: tokio::spawn(async move { turning.run(|| announcing.has_room()).await })
                .abort_handle(),
            refusal_task: tokio::spawn(async move { ending.run().await }).abort_handle(),
        })
    }

    /// The connected devices.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.context.registry
    }

    /// Waits until there is room for the offline events of further devices, at most until `deadline`.
    pub async fn room(&self, deadline: Instant) {
        self.context.events.room(deadline).await;
    }

    /// When each of so many devices is to be closed (`closeOver`), from now on.
    #[must_use]
    pub fn spread(&self, devices: usize) -> Spread {
        Spread::over(self.context.config.load().close_over, devices)
    }

    /// The operator's gate. While it is closed, new devices are answered with 503 and connected devices stay.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The operator's filters for new devices.
    #[must_use]
    pub fn filters(&self) -> &Filters {
        &self.filters
    }

    /// Which devices and partners send most.
    pub fn noisiest(&self) -> &Noisiest {
        &self.context.noisiest
    }

    /// Its metrics, for `/health`.
    #[must_use]
    pub fn metrics(&self) -> &DeviceMetrics {
        &self.context.metrics
    }

    /// The first check of a device: whether the gateway accepts any.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] if the gate is closed or the gateway is stopping.
    pub fn check_open(&self) -> Result<(), ConnectError> {
        if self.is_open() { Ok(()) } else { Err(ConnectError::Closed) }
    }

    /// The check of a client's address: whether it is refused for a time (contract §2.19).
    ///
    /// # Errors
    /// [`ConnectError::Refused`] if it is.
    pub fn check_address(&self, client: Option<IpAddr>) -> Result<(), ConnectError> {
        client.map_or(Ok(()), |client| self.context.refusals.check_address(client))
    }

    /// The check of an id, once it is known whose it is: whether it is refused for a time (contract §2.19).
    ///
    /// # Errors
    /// [`ConnectError::Refused`] if it is.
    pub fn check_id(&self, identity: &Identity) -> Result<(), ConnectError> {
        self.context.refusals.check_id(identity)
    }

    /// The check after the token: whether a filter excludes the device (contract §2.7).
    ///
    /// # Errors
    /// [`ConnectError::Filtered`] if one does.
    pub fn check_filters(&self, identity: &Identity) -> Result<(), ConnectError> {
        let Some(found) = self.filters.find(identity) else { return Ok(()) };
        let error = ConnectError::Filtered;
        info!(id = %identity.id, location = found.location.as_str(), key = &*found.key, "filter match found");
        warn!(id = %identity.id, %error, "Failed to connect device");
        Err(error)
    }

    /// The last check, which may take `takeoverTimeout`: whether a device without a token would displace a live device that
    /// has one (contract §14.26).
    ///
    /// # Errors
    /// [`ConnectError::Occupied`] if it would.
    pub async fn check_takeover(&self, identity: &Identity) -> Result<(), ConnectError> {
        self.takeovers.check(&self.context, identity).await
    }

    /// Registers a device and announces it, before it receives the response to its request (contract §14.22). Its session
    /// starts with its upgraded connection.
    ///
    /// # Errors
    /// If the gateway has stopped accepting devices since the checks, or has as many as it may have.
    pub fn admit(&self, identity: Identity) -> Result<AdmittedDevice, NotAdmittedError> {
        if !self.is_open() {
            return Err(NotAdmittedError(Reason::Drained));
        }
        let (context, client) = (&self.context, identity.client);
        let device = Device::within(identity, &context.config.load(), Some(Arc::clone(&context.queued)));
        let running = context.registry.session_started();
        match context.connected(&device) {
            Ok(()) => {}
            Err(RegisterError::LimitReached(limit)) => {
                context.metrics.device_limit_reached_count.inc();
                context.metrics.disconnect_count.inc();
                warn!(id = %device.id(), limit, "device not admitted: the device limit is reached");
                return Err(NotAdmittedError(Reason::DeviceLimitReached));
            }
            Err(RegisterError::Occupied) => {
                context.metrics.count_takeover(TakeoverOutcome::Overtaken);
                debug!(id = %device.id(), "device not admitted: a device with a token has connected meanwhile");
                return Err(NotAdmittedError(Reason::Duplicate));
            }
        }
        let model = context.metrics.hardware_model(&device);
        debug!(
            id = %device.id(),
            session_id = device.session_id(),
            compliance = device.convey().header_compliance().as_str(),
            "device connected"
        );
        let parts = Parts { device, model, running, client };
        Ok(AdmittedDevice { context: Arc::clone(context), parts: Some(parts) })
    }

    /// Admits a device and starts its session, for tests.
    #[cfg(test)]
    pub(crate) fn connect<S>(
        &self,
        io: S,
        read_ahead: Bytes,
        identity: Identity,
    ) -> Result<(), NotAdmittedError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.admit(identity)?.start(io, read_ahead);
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.gate.is_open() && !self.context.is_stopping()
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("devices", &self.registry().len()).finish_non_exhaustive()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.wheel_task.abort();
        self.refusal_task.abort();
    }
}
