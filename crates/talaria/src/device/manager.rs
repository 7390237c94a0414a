//! The manager of all devices: registers them, runs their sessions, and closes them when the gateway stops.
//!
//! [`Manager::connect`] is where a connection becomes a device; [`session`] runs it until it ends. The manager also has the
//! operator's decisions about new devices ([`Gate`], [`Filters`]).
//!
//! Deliberately absent: HTTP. The checks of a request and its upgrade are in [`primary`](crate::primary), which also sends
//! the close frame to a device that is not admitted.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use talaria_protocol::connect::{ConnectError, Identity};
use talaria_protocol::session::{CloseReason, Reason};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::config::Config;
use super::connected::Device;
use super::events::Events;
use super::filters::Filters;
use super::gate::Gate;
use super::metrics::DeviceMetrics;
use super::refusals::{RefusalMetrics, RefusalTable};
use super::registry::{RegisterError, Registry};
use super::session::{self, Connection, SessionContext};
use super::takeover::Takeovers;
use super::takeover::outcome::TakeoverOutcome;
use super::wheel::Wheel;
use crate::budget::{Budget, Store};
use crate::long_work::LongWork;
use crate::telemetry::keyed_throttle::KeyedThrottle;
use crate::telemetry::metrics::Metrics;

/// All devices of the gateway.
pub struct Manager {
    context: Arc<SessionContext>,
    gate: Gate,
    filters: Filters,
    takeovers: Takeovers,
    is_stopping: AtomicBool,
    wheel_task: AbortHandle,
    /// Reports the refusals that end.
    refusal_task: Option<AbortHandle>,
}

/// A device that was not admitted after its upgrade.
#[derive(Debug)]
pub struct NotAdmittedError<S> {
    /// Its connection, for the close frame.
    pub io: S,
    /// What the close frame says.
    pub reason: Reason,
}

impl Manager {
    /// A manager without devices. It spawns the task that turns its wheel, so it needs a tokio runtime.
    #[must_use]
    pub fn new(config: Config, events: Arc<dyn Events>, metrics: &Metrics) -> Arc<Self> {
        let wheel = Arc::new(Wheel::new(&config));
        let turning = Arc::clone(&wheel);
        let refusals = RefusalTable::new(&config.refusal, RefusalMetrics::register(metrics)).map(Arc::new);
        let ending = refusals.clone();
        let metrics = DeviceMetrics::register(metrics);
        let takeovers = Takeovers::new(&config);
        metrics.max_device_count.set(config.max_devices.map_or(0, |max| max as i64));
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
            long_work: LongWork::default(),
            config,
        };
        Arc::new(Self {
            context: Arc::new(context),
            gate: Gate::default(),
            filters: Filters::default(),
            takeovers,
            is_stopping: AtomicBool::new(false),
            wheel_task: tokio::spawn(async move { turning.run().await }).abort_handle(),
            refusal_task: ending.map(|table| tokio::spawn(async move { table.run().await }).abort_handle()),
        })
    }

    /// The connected devices.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.context.registry
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
        let (Some(refusals), Some(client)) = (&self.context.refusals, client) else { return Ok(()) };
        refusals.check_address(client)
    }

    /// The check of an id, once it is known whose it is: whether it is refused for a time (contract §2.19).
    ///
    /// # Errors
    /// [`ConnectError::Refused`] if it is.
    pub fn check_id(&self, identity: &Identity) -> Result<(), ConnectError> {
        self.context.refusals.as_ref().map_or(Ok(()), |refusals| refusals.check_id(identity))
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

    /// Registers a device on its upgraded connection, announces it, and starts its session.
    ///
    /// # Errors
    /// If the gateway has stopped accepting devices since the checks, or has as many as it may have.
    pub fn connect<S>(&self, io: S, read_ahead: Bytes, identity: Identity) -> Result<(), NotAdmittedError<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if !self.is_open() {
            return Err(NotAdmittedError { io, reason: Reason::Drained });
        }
        let (context, client) = (&self.context, identity.client);
        let device = Device::within(identity, &context.config, Some(Arc::clone(&context.queued)));
        let running = context.registry.session_started();
        match context.registry.connect(&device) {
            Ok(None) => {}
            Ok(Some(_replaced)) => context.metrics.duplicate_count.inc(),
            Err(RegisterError::LimitReached(limit)) => {
                context.metrics.device_limit_reached_count.inc();
                context.metrics.disconnect_count.inc();
                warn!(id = %device.id(), limit, "device not admitted: the device limit is reached");
                return Err(NotAdmittedError { io, reason: Reason::DeviceLimitReached });
            }
            Err(RegisterError::Occupied) => {
                context.metrics.count_takeover(TakeoverOutcome::Overtaken);
                debug!(id = %device.id(), "device not admitted: a device with a token has connected meanwhile");
                return Err(NotAdmittedError { io, reason: Reason::Duplicate });
            }
        }
        context.metrics.connect_count.inc();
        context.metrics.device_count.set(context.registry.len() as i64);
        let model = context.metrics.hardware_model(&device);
        context.wheel.add(&device);
        debug!(
            id = %device.id(),
            session_id = device.session_id(),
            compliance = device.convey().header_compliance().as_str(),
            "device connected"
        );
        context.events.online(&device);
        session::spawn(Arc::clone(context), Connection { io, read_ahead, device, model, running, client });
        Ok(())
    }

    /// Stops accepting devices, closes every device with a close frame, and waits until all offline events have been
    /// sent. Returns the number of sessions that have not ended in time.
    pub async fn shutdown(&self, within: Duration) -> usize {
        self.is_stopping.store(true, Ordering::Release);
        self.context.registry.close_all(&CloseReason::shutdown());
        self.context.registry.wait_until_empty(Instant::now() + within).await
    }

    fn is_open(&self) -> bool {
        self.gate.is_open() && !self.is_stopping.load(Ordering::Acquire)
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.wheel_task.abort();
        if let Some(task) = &self.refusal_task {
            task.abort();
        }
    }
}
