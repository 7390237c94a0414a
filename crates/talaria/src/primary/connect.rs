//! The checks of contract §2 on a request for `/api/{v2,v3}/device`, in their order.
//!
//! Gate, address, name, token, the token's claims, the client certificate, id, filters, WebSocket handshake, takeover of an
//! id: each check is a line of [`DeviceConnector::check`]. What a check looks at is in its own module. A request that passes is answered with 101, and
//! [`upgrade`] takes its connection over.

use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{Request, Response};
use talaria_protocol::connect::{Candidate, ConnectError};
use talaria_protocol::ws::handshake::{self, Subprotocol};
use tracing::debug;

use super::upgrade;
use crate::api_version::ApiVersion;
use crate::auth::{AuthError, BEARER_CHALLENGE, DeviceAuth};
use crate::device::{Manager, session_id};
use crate::server::{Body, ClientCertificate, Peer};

/// Turns requests into connected devices.
pub struct DeviceConnector {
    devices: Arc<Manager>,
    auth: DeviceAuth,
    convey_keys: Vec<String>,
    subprotocols: Vec<Subprotocol>,
}

/// Why a device may not connect. Each error knows its response.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Auth(#[from] AuthError),
}

impl DeviceConnector {
    /// Connects devices with valid tokens to this manager. Of each convey the values of `convey_keys` are kept besides
    /// those that events carry: filters ask for them.
    pub fn new(devices: Arc<Manager>, auth: DeviceAuth, convey_keys: Vec<String>) -> Self {
        Self { devices, auth, convey_keys, subprotocols: Vec::new() }
    }

    /// Agrees on these WebSocket subprotocols with devices that offer one.
    #[must_use]
    pub fn with_subprotocols(self, subprotocols: Vec<Subprotocol>) -> Self {
        Self { subprotocols, ..self }
    }

    /// Checks a request, of any method. The response is the 101, after which the connection becomes the device's, or an
    /// error.
    pub async fn connect<R>(&self, version: ApiVersion, request: Request<R>) -> Response<Body> {
        match self.check(&request).await {
            Ok((candidate, accept)) => {
                let candidate = candidate.keeping_convey(request.headers(), &self.convey_keys);
                let subprotocol = handshake::choose_subprotocol(request.headers(), &self.subprotocols);
                let mut response =
                    upgrade::switch_protocols(&self.devices, request, accept, candidate.into_identity());
                if let Some(subprotocol) = subprotocol {
                    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, subprotocol.header().clone());
                }
                response
            }
            Err(error) => error.into_response(version),
        }
    }

    /// Returns the device and the `Sec-WebSocket-Accept` of the response.
    async fn check<R>(&self, request: &Request<R>) -> Result<(Candidate, String), CheckError> {
        let (method, headers) = (request.method(), request.headers());
        let certificate = request.extensions().get::<ClientCertificate>();
        let client = request.extensions().get::<Peer>().map(|Peer(peer)| peer.ip());
        self.devices.check_open()?;
        self.devices.check_address(client)?;
        let candidate = Candidate::new(headers, session_id::random())?.with_client(client);
        let claims = self.auth.check(headers.get(AUTHORIZATION)).await?;
        let candidate = candidate.with_claims(claims)?;
        self.auth.check_certificate(certificate, &candidate.identity().id)?;
        self.devices.check_id(candidate.identity())?;
        self.devices.check_filters(candidate.identity())?;
        let accept = handshake::check(request.version(), method, headers).map_err(ConnectError::from)?;
        self.devices.check_takeover(candidate.identity()).await?;
        Ok((candidate, accept))
    }
}

impl fmt::Debug for DeviceConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceConnector").finish_non_exhaustive()
    }
}

impl CheckError {
    fn into_response(self, version: ApiVersion) -> Response<Body> {
        let response = match &self {
            Self::Connect(error) => error.response(),
            Self::Auth(error) => error.response(version, BEARER_CHALLENGE),
        };
        debug!(error = %self, status = response.status().as_u16(), "device not connected");
        response
    }
}
