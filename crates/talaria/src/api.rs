//! The REST API for other services: the list of connected devices, the statistics of one of them, and messages to devices.
//!
//! The API finds devices through the [`Registry`]; it knows neither sessions nor sockets. Where clients could depend on it,
//! every response is the reference's to the byte (contract §3), except:
//! - `/devices` is written shard by shard while it is read, not cached for 10 s;
//! - the 504 of a timeout has a body and an error header like every other error;
//! - `Accept: */*` means msgpack, and so does a missing `Content-Type`;
//! - WRP fields are never read from `X-Xmidt-*` headers.
//!
//! Which path leads to which method is decided in [`primary`](crate::primary). Start reading at [`Api::send`].

pub mod access;
mod caller_limit;
mod devices;
mod metrics;
mod send;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use talaria_protocol::answer::JSON;
use wrp::DeviceId;

use crate::api_version::ApiVersion;
use crate::auth::services::{self, RequestHead};
use crate::auth::{Caller, ServiceAuth};
use crate::budget::Budget;
use crate::device::Registry;
use crate::live::{Change, Live, PrepareError, Setting};
use crate::long_work::LongWork;
use crate::server::{Body, Peer, reply};
use crate::trace::Tracing;

pub use access::{AccessCheck, AccessMetrics};
pub use metrics::{ApiMetrics, InFlight};

use access::AccessControl;
use caller_limit::CallerLimit;
use send::{SendContext, SendRequestError};
use spans::RequestTrace;

/// The API's limits and keys (`inbound` of the configuration).
#[derive(Clone, Debug)]
pub struct Config {
    /// The credentials that it accepts (`inbound.authKey`, `jwt`, `throttle`).
    pub auth: services::Config,
    /// How long a request may take, from its arrival to the device's answer (`inbound.timeout`).
    pub timeout: Duration,
    /// The longest body of `/device/send`, in bytes (`inbound.maxBodyBytes`); a longer one is answered with 413.
    pub max_body_bytes: usize,
    /// What the bodies of requests that arrive and of responses that are not read may take together, in bytes
    /// (`inbound.maxPendingBytes`).
    pub max_pending_bytes: usize,
    /// How many requests of `/device/send` one caller may have under way (`inbound.maxRequestsPerCaller`); one more is answered
    /// with 503.
    pub max_requests_per_caller: usize,
    /// Which messages may be sent to which devices (`deviceAccessCheck`); all if none.
    pub access: Option<AccessCheck>,
}

/// The REST API.
#[derive(Debug)]
pub struct Api {
    settings: ArcSwap<Settings>,
    auth: ServiceAuth,
    registry: Arc<Registry>,
    metrics: ApiMetrics,
    callers: CallerLimit,
    /// For long messages to devices. Those of devices wait elsewhere.
    long_work: LongWork,
    /// The memory for bodies and responses, if it is bounded.
    bodies: Option<Arc<Budget>>,
    tracing: Arc<Tracing>,
}

/// What holds for a request that arrives now.
#[derive(Debug)]
struct Settings {
    timeout: Duration,
    max_body_bytes: usize,
    access: Option<Arc<AccessControl>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            auth: services::Config::default(),
            timeout: Duration::from_secs(120),
            max_body_bytes: 32 * 1024 * 1024,
            max_pending_bytes: 256 * 1024 * 1024,
            max_requests_per_caller: 10_000,
            access: None,
        }
    }
}

impl Settings {
    fn new(config: Config, registry: &Arc<Registry>, metrics: &ApiMetrics) -> Self {
        let access = config
            .access
            .map(|check| Arc::new(AccessControl::new(check, Arc::clone(registry), metrics.access().clone())));
        Self { timeout: config.timeout, max_body_bytes: config.max_body_bytes, access }
    }
}

impl Live<Config> for Api {
    const SETTINGS: &'static [Setting] = &[Setting::live("inbound"), Setting::live("deviceAccessCheck")];

    fn prepare(self: &Arc<Self>, settings: &Config) -> Result<Change, PrepareError> {
        let change_auth = self.auth.prepare(&settings.auth)?;
        let (api, max_requests) = (Arc::clone(self), settings.max_requests_per_caller);
        let max_pending = settings.max_pending_bytes;
        let settings = Arc::new(Settings::new(settings.clone(), &self.registry, &self.metrics));
        Ok(Box::new(move || {
            change_auth(&api.auth);
            api.callers.set(max_requests);
            if let Some(bodies) = &api.bodies {
                bodies.set_limit(max_pending);
            }
            api.settings.store(settings);
        }))
    }
}

impl Api {
    /// An API for these devices. `auth` decides who may use it.
    pub fn new(config: Config, auth: ServiceAuth, registry: Arc<Registry>, metrics: ApiMetrics) -> Self {
        let callers = CallerLimit::new(config.max_requests_per_caller);
        Self {
            settings: ArcSwap::from_pointee(Settings::new(config, &registry, &metrics)),
            auth,
            registry,
            metrics,
            callers,
            long_work: LongWork::default(),
            bodies: None,
            tracing: Tracing::off(),
        }
    }

    /// Traces its requests.
    #[must_use]
    pub fn with_tracing(self, tracing: &Arc<Tracing>) -> Self {
        Self { tracing: Arc::clone(tracing), ..self }
    }

    /// Changes the limit of this budget with its other settings (`inbound.maxPendingBytes`).
    #[must_use]
    pub fn with_bodies(self, bodies: Option<Arc<Budget>>) -> Self {
        Self { bodies, ..self }
    }

    /// The metrics of its requests.
    pub fn metrics(&self) -> &ApiMetrics {
        &self.metrics
    }

    /// `GET /devices`: all connected devices.
    pub async fn devices<R>(&self, version: ApiVersion, request: &Request<R>) -> Response<Body> {
        let trace = RequestTrace::arrived(&self.tracing, request, "/devices");
        let mut response = match self.authorize(version, request).await {
            Ok(_) => {
                let list = devices::list(Arc::clone(&self.registry));
                reply::with_body(StatusCode::OK, JSON, Body::pieces(list))
            }
            Err(response) => response,
        };
        trace.end(&mut response);
        response
    }

    /// `GET /device/{id}/stat`: one device. The id is checked before the credentials (contract §3.3).
    pub async fn stat<R>(&self, version: ApiVersion, id: &str, request: &Request<R>) -> Response<Body> {
        let trace = RequestTrace::arrived(&self.tracing, request, "/device/{id}/stat");
        let mut response = self.described(version, id, request).await;
        trace.end(&mut response);
        response
    }

    async fn described<R>(&self, version: ApiVersion, id: &str, request: &Request<R>) -> Response<Body> {
        let Ok(id) = id.parse::<DeviceId>() else {
            return reply::json_error(
                StatusCode::BAD_REQUEST,
                "failed to extract device ID: invalid device name",
            );
        };
        if let Err(response) = self.authorize(version, request).await {
            return response;
        }
        match self.registry.get(&id) {
            Some(device) => reply::with_body(StatusCode::OK, JSON, devices::describe(&device)),
            None => reply::empty(StatusCode::NOT_FOUND),
        }
    }

    /// `POST|PATCH /device/send`: a message to a device and, if it is a request, the device's answer.
    pub async fn send(&self, version: ApiVersion, request: Request<Incoming>) -> Response<Body> {
        let mut trace = RequestTrace::arrived(&self.tracing, &request, "/device/send");
        let mut response = self.sent(version, request, &mut trace).await;
        trace.end(&mut response);
        response
    }

    async fn sent(
        &self,
        version: ApiVersion,
        request: Request<Incoming>,
        trace: &mut RequestTrace,
    ) -> Response<Body> {
        let caller = match self.authorize(version, &request).await {
            Ok(caller) => caller,
            Err(response) => return response,
        };
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
        let Some(_slot) = self.callers.begin(&caller, request.headers(), peer) else {
            self.metrics.count_refused();
            return SendRequestError::TooManyRequests.into_response();
        };
        let settings = self.settings.load_full();
        let context = SendContext {
            timeout: settings.timeout,
            max_body_bytes: settings.max_body_bytes,
            access: settings.access.as_ref(),
            registry: &self.registry,
            long_work: &self.long_work,
        };
        send::send(context, caller, request, trace).await.unwrap_or_else(|error| {
            if let SendRequestError::Routing(error) = &error {
                self.metrics.count_error(*error);
            }
            error.into_response()
        })
    }

    async fn authorize<R>(
        &self,
        version: ApiVersion,
        request: &Request<R>,
    ) -> Result<Caller, Response<Body>> {
        let head = RequestHead {
            method: request.method(),
            path: request.uri().path(),
            headers: request.headers(),
            peer: request.extensions().get::<Peer>().map(|peer| peer.0.ip()),
        };
        let checked = self.auth.check(head).await;
        checked.map_err(|error| error.response(version, self.auth.challenge()))
    }
}
