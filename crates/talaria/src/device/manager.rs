use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use talaria_protocol::connect::{Candidate, ConnectError, Identity};
use talaria_protocol::session::{CloseReason, Reason};
use talaria_protocol::ws::frame::write_close;
use talaria_protocol::ws::handshake;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::budget::Budget;
use super::registry::RegisterError;
use super::session::{self, Connection};
use super::{Config, Device, DeviceMetrics, Events, Filters, Gate, Registry, Wheel};
use crate::server;
use crate::telemetry::metrics::Metrics;

/// How long a device that is refused after its upgrade may take to be told so.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// All devices: takes them in, keeps them, and lets them go.
pub struct Manager {
    config: Config,
    registry: Arc<Registry>,
    wheel: Arc<Wheel>,
    events: Arc<dyn Events>,
    metrics: DeviceMetrics,
    unfinished: Budget,
    gate: Gate,
    filters: Filters,
    is_stopping: AtomicBool,
    wheel_task: AbortHandle,
}

impl Manager {
    /// A manager without devices. Has its wheel turned by a task, so it is to be called within a runtime.
    #[must_use]
    pub fn new(config: Config, events: Arc<dyn Events>, metrics: &Metrics) -> Arc<Manager> {
        let wheel = Arc::new(Wheel::new(&config));
        let turning = Arc::clone(&wheel);
        let metrics = DeviceMetrics::register(metrics);
        metrics.max_device_count.set(config.max_devices.map_or(0, |max| max as i64));
        Arc::new(Manager {
            registry: Arc::new(Registry::new(config.max_devices)),
            wheel,
            events,
            metrics,
            unfinished: Budget::new(config.max_unfinished_bytes),
            gate: Gate::default(),
            filters: Filters::default(),
            is_stopping: AtomicBool::new(false),
            wheel_task: tokio::spawn(async move { turning.run().await }).abort_handle(),
            config,
        })
    }

    /// The connected devices.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The operator's gate: closed, devices are refused with 503, and those that are connected stay.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The operator's filters of who may connect.
    #[must_use]
    pub fn filters(&self) -> &Filters {
        &self.filters
    }

    /// Whether devices are taken: the gate is open, and the gateway does not stop.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.gate.is_open() && !self.is_stopping.load(Ordering::Acquire)
    }

    /// The first check: whether devices are taken at all.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] if not.
    pub fn check_open(&self) -> Result<(), ConnectError> {
        if self.is_open() { Ok(()) } else { Err(ConnectError::Closed) }
    }

    /// The check before the last: whether a filter keeps the device out. Tested before method and upgrade
    /// (contract §2.7), with the claims of its token.
    ///
    /// # Errors
    /// [`ConnectError::Filtered`] if one does.
    pub fn check_filters(&self, candidate: &Candidate) -> Result<(), ConnectError> {
        let identity = candidate.identity();
        let Some(found) = self.filters.find(identity) else { return Ok(()) };
        let error = ConnectError::Filtered;
        info!(id = %identity.id, location = found.location.as_str(), key = &*found.key, "filter match found");
        warn!(id = %identity.id, %error, "Failed to connect device");
        Err(error)
    }

    /// The last check: the WebSocket handshake. The response is the 101, whose connection then becomes the device's, or
    /// a refusal. The device is registered once its 101 has been sent.
    ///
    /// The request comes from a [`Server`](crate::server::Server); over any other connection a device costs HTTP's
    /// buffers as well.
    pub fn upgrade<R, B>(self: &Arc<Self>, mut request: Request<R>, candidate: Candidate) -> Response<B>
    where
        B: Default + From<String>,
    {
        let accept = match handshake::check(request.method(), request.headers()) {
            Ok(accept) => accept,
            Err(error) => return ConnectError::from(error).response(),
        };
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Ok(accept) = HeaderValue::try_from(accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        let candidate = candidate.keeping_convey(request.headers(), &self.config.convey_keys);
        // A task of its own, short-lived: hyper hands the connection over only after it has sent the response.
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(Arc::clone(self).take_over(upgrade, candidate.into_identity()));
        response
    }

    /// Closes every device with a close frame, takes no new ones, and waits until all offline events have been told.
    /// Returns how many sessions had not ended in time.
    pub async fn shutdown(&self, within: Duration) -> usize {
        self.is_stopping.store(true, Ordering::Release);
        self.registry.close_all(&CloseReason::shutdown());
        self.registry.wait_until_empty(Instant::now() + within).await
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn wheel(&self) -> &Wheel {
        &self.wheel
    }

    pub(super) fn events(&self) -> &dyn Events {
        &*self.events
    }

    /// Its metrics, for `/health`.
    #[must_use]
    pub fn metrics(&self) -> &DeviceMetrics {
        &self.metrics
    }

    pub(super) fn unfinished(&self) -> &Budget {
        &self.unfinished
    }

    /// A session has ended: nothing reaches the device any more, and everybody who waits for it hears so.
    pub(super) fn disconnected(&self, device: &Arc<Device>, reason: &CloseReason) {
        self.registry.disconnect(device);
        device.outbox().shut();
        device.transactions().close();
        self.metrics.disconnect_count.inc();
        self.metrics.device_count.set(self.registry.len() as i64);
        self.events.offline(device, reason);
    }

    async fn take_over(self: Arc<Self>, upgrade: OnUpgrade, identity: Identity) {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                return debug!(id = %identity.id, %error, "the device left before its handshake was done");
            }
        };
        match server::upgrade::take(upgraded) {
            Ok(taken) => self.connect(taken.socket, taken.read_ahead, identity),
            Err(upgraded) => {
                warn!(id = %identity.id, "not a connection of this gateway's server, which will cost more memory");
                self.connect(Box::new(TokioIo::new(upgraded)), Bytes::new(), identity);
            }
        }
    }

    /// Registers a device on its upgraded connection, tells of it, and starts its session.
    pub(super) fn connect<S>(self: Arc<Self>, io: S, read_ahead: Bytes, identity: Identity)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if !self.is_open() {
            return farewell(io, Reason::Drained);
        }
        let device = Device::new(identity, &self.config);
        let running = self.registry.running();
        let replaced = match self.registry.connect(&device) {
            Ok(replaced) => replaced,
            Err(RegisterError::LimitReached(limit)) => {
                self.metrics.device_limit_reached_count.inc();
                self.metrics.disconnect_count.inc();
                warn!(id = %device.id(), limit, "the device limit is reached, device refused");
                return farewell(io, Reason::DeviceLimitReached);
            }
        };
        if replaced.is_some() {
            self.metrics.duplicate_count.inc();
        }
        self.metrics.connect_count.inc();
        self.metrics.device_count.set(self.registry.len() as i64);
        let model = self.metrics.hardware_model(&device);
        model.inc();
        self.wheel.add(&device);
        debug!(
            id = %device.id(),
            session_id = device.session_id(),
            compliance = device.convey().header_compliance().as_str(),
            "device connected"
        );
        self.events.online(&device);
        session::spawn(Arc::clone(&self), Connection { io, read_ahead, device, model, running });
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.wheel_task.abort();
    }
}

/// Tells a device that has been upgraded but not registered why it is not wanted.
fn farewell<S: AsyncWrite + Unpin + Send + 'static>(mut io: S, reason: Reason) {
    tokio::spawn(async move {
        let mut frame = Vec::new();
        write_close(&mut frame, Some(reason.close_code()), reason.as_str());
        let told = async {
            io.write_all(&frame).await?;
            io.shutdown().await
        };
        // It gets a moment, and is dropped whatever comes of it.
        let _ = timeout(REFUSAL_TIMEOUT, told).await;
    });
}
