//! The REST API for the other services: which devices are connected, how one of them is, and messages to them.
//!
//! The API knows devices by the [`Registry`] alone; sessions and sockets are none of its business. Every answer is
//! the reference's to the byte where a client could depend on it (contract §3), except:
//! - `/devices` is written shard by shard from what is connected while it is read, not cached for 10 s;
//! - a timeout's 504 has a body and an error header like every other error;
//! - `Accept: */*` means msgpack, and so does a missing `Content-Type`;
//! - WRP fields are never read from `X-Xmidt-*` headers.

pub mod access;
mod devices;
mod metrics;
mod send;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use talaria_protocol::answer::JSON;
use wrp::DeviceId;

use crate::auth::services::{self, Asked};
use crate::auth::{Caller, ServiceAuth};
use crate::device::Registry;
use crate::server::primary::ApiVersion;
use crate::server::{Body, Peer, reply};

pub use access::{AccessCheck, AccessMetrics};
pub use metrics::{ApiMetrics, InFlight};

/// The API's limits and keys (`inbound` of the configuration).
#[derive(Clone, Debug)]
pub struct Config {
    /// Who may use it (`inbound.authKey`, `jwt`, `throttle`).
    pub auth: services::Config,
    /// How long a message may take to its device, and the device to its answer (`inbound.timeout`).
    pub timeout: Duration,
    /// The longest body of `/device/send`, in bytes (`inbound.maxBodyBytes`); a longer one is answered with 413.
    pub max_body_bytes: usize,
    /// Which messages may reach which devices (`deviceAccessCheck`); `None`: any may reach any.
    pub access: Option<AccessCheck>,
}

/// The REST API.
#[derive(Debug)]
pub struct Api {
    config: Config,
    auth: ServiceAuth,
    registry: Arc<Registry>,
    metrics: ApiMetrics,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            auth: services::Config::default(),
            timeout: Duration::from_secs(120),
            max_body_bytes: 32 * 1024 * 1024,
            access: None,
        }
    }
}

impl Api {
    /// An API over these devices, for those whom `auth` lets in.
    pub fn new(config: Config, auth: ServiceAuth, registry: Arc<Registry>, metrics: ApiMetrics) -> Self {
        Self { config, auth, registry, metrics }
    }

    /// The metrics of its requests.
    pub fn metrics(&self) -> &ApiMetrics {
        &self.metrics
    }

    /// `GET /devices`: all connected devices.
    pub async fn devices<R>(&self, version: ApiVersion, request: &Request<R>) -> Response<Body> {
        match self.authorize(version, request).await {
            Ok(_) => {
                let list = devices::list(Arc::clone(&self.registry));
                reply::with_body(StatusCode::OK, JSON, Body::pieces(list))
            }
            Err(refusal) => refusal,
        }
    }

    /// `GET /device/{id}/stat`: one device. The id is looked at before the credentials (contract §3.3).
    pub async fn stat<R>(&self, version: ApiVersion, id: &str, request: &Request<R>) -> Response<Body> {
        let Ok(id) = id.parse::<DeviceId>() else {
            return reply::json_error(
                StatusCode::BAD_REQUEST,
                "failed to extract device ID: invalid device name",
            );
        };
        if let Err(refusal) = self.authorize(version, request).await {
            return refusal;
        }
        match self.registry.get(&id) {
            Some(device) => reply::with_body(StatusCode::OK, JSON, devices::describe(&device)),
            None => reply::empty(StatusCode::NOT_FOUND),
        }
    }

    /// `POST|PATCH /device/send`: a message to a device and, if it is a request, the device's answer.
    pub async fn send(&self, version: ApiVersion, request: Request<Incoming>) -> Response<Body> {
        let caller = match self.authorize(version, &request).await {
            Ok(caller) => caller,
            Err(refusal) => return refusal,
        };
        match send::send(self, caller, request).await {
            Ok(response) => response,
            Err(refused) => {
                if let send::Refused::Routing(error) = &refused {
                    self.metrics.count_error(*error);
                }
                refused.into_response()
            }
        }
    }

    async fn authorize<R>(
        &self,
        version: ApiVersion,
        request: &Request<R>,
    ) -> Result<Caller, Response<Body>> {
        let asked = Asked {
            method: request.method(),
            path: request.uri().path(),
            headers: request.headers(),
            peer: request.extensions().get::<Peer>().map(|peer| peer.0.ip()),
        };
        let let_in = self.auth.check(asked).await;
        let_in.map_err(|refusal| refusal.response(version, self.auth.challenge()))
    }
}
