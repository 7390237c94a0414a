//! How a device gets in: the checks of contract §2 on a request for `/api/{v2,v3}/device`, in their order.
//!
//! gate → name → token → the token's claims → filters → WebSocket handshake. Each check is a line of
//! [`Admission::candidate`]; what it looks at, and how it refuses, is its own module's matter.

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{Request, Response};
use talaria_protocol::connect::{Candidate, ConnectError};
use tracing::debug;

use super::ApiVersion;
use crate::auth::{self, BEARER_CHALLENGE, DeviceAuth};
use crate::device::{Manager, session_id};
use crate::server::Body;

/// The door of the devices.
pub struct Admission {
    devices: Arc<Manager>,
    auth: DeviceAuth,
}

/// Why a device is not let in. Each refusal knows its answer.
#[derive(Debug)]
enum Denied {
    /// By what it says of itself, or because no devices are taken.
    Device(ConnectError),
    /// By its token, or because it has none.
    Token(auth::Refusal),
}

impl Admission {
    /// Lets devices in to this manager whose tokens are good.
    pub fn new(devices: Arc<Manager>, auth: DeviceAuth) -> Self {
        Self { devices, auth }
    }

    /// Takes a request, of any method, through all checks. The response is the 101, whose connection then becomes the
    /// device's, or a refusal.
    pub async fn admit<R>(&self, version: ApiVersion, request: Request<R>) -> Response<Body> {
        match self.candidate(&request).await {
            Ok(candidate) => self.devices.upgrade(request, candidate),
            Err(denied) => denied.response(version),
        }
    }

    async fn candidate<R>(&self, request: &Request<R>) -> Result<Candidate, Denied> {
        self.devices.check_open()?;
        let candidate = Candidate::new(request.headers(), session_id::random())?;
        let claims = self.auth.check(request.headers().get(AUTHORIZATION)).await?;
        let candidate = candidate.with_claims(claims)?;
        self.devices.check_filters(&candidate)?;
        Ok(candidate)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

impl From<ConnectError> for Denied {
    fn from(error: ConnectError) -> Self {
        Self::Device(error)
    }
}

impl From<auth::Refusal> for Denied {
    fn from(refusal: auth::Refusal) -> Self {
        Self::Token(refusal)
    }
}

impl Denied {
    fn response(self, version: ApiVersion) -> Response<Body> {
        match self {
            Self::Device(error) => {
                debug!(refusal = %error, status = error.status().as_u16(), "device refused");
                error.response()
            }
            Self::Token(refusal) => {
                debug!(%refusal, status = refusal.status(version).as_u16(), "device refused");
                refusal.response(version, BEARER_CHALLENGE)
            }
        }
    }
}
