//! The checks of contract §2 on a request for `/api/{v2,v3}/device`, in their order.
//!
//! Gate, address, the pace of handshakes, name, token, the token's claims, the client certificate, id, the instance that the device belongs to, filters,
//! WebSocket handshake, takeover of an id: each check is a line of [`DeviceConnector::check`]. What a check looks at is in its own module. A request that passes is answered with 101, and
//! [`upgrade`] takes its connection over.

use std::fmt;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{Request, Response};
use talaria_protocol::connect::{Candidate, ConnectError};
use talaria_protocol::ws::handshake::{self, Subprotocol};
use tracing::debug;

use super::upgrade;
use crate::api_version::ApiVersion;
use crate::auth::{AuthError, BEARER_CHALLENGE, DeviceAuth};
use crate::device::{Manager, session_id};
use crate::discovery::Membership;
use crate::live::{Change, Live, PrepareError, Setting};
use crate::server::{AfterTls, Body, ClientCertificate, Handshake, HandshakeKind, Handshakes, Peer};

/// Turns requests into connected devices.
pub struct DeviceConnector {
    devices: Arc<Manager>,
    auth: Arc<DeviceAuth>,
    convey_keys: Vec<String>,
    subprotocols: Arc<Subprotocols>,
    /// The pace of the handshakes; none in tests.
    handshakes: Option<Arc<Handshakes>>,
    /// Which devices belong to this gateway; all of them without.
    membership: Option<Arc<Membership>>,
}

/// Why a device may not connect. Each error knows its response.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// The WebSocket subprotocols that devices may agree on, in order of preference (`device.manager.upgrader.subprotocols`).
#[derive(Debug, Default)]
pub struct Subprotocols(ArcSwap<Vec<Subprotocol>>);

impl Subprotocols {
    /// These ones.
    #[must_use]
    pub fn new(subprotocols: Vec<Subprotocol>) -> Self {
        Self(ArcSwap::from_pointee(subprotocols))
    }
}

impl Live<Vec<Subprotocol>> for Subprotocols {
    const SETTINGS: &'static [Setting] = &[Setting::live("")];

    fn prepare(self: &Arc<Self>, settings: &Vec<Subprotocol>) -> Result<Change, PrepareError> {
        let (subprotocols, settings) = (Arc::clone(self), Arc::new(settings.clone()));
        Ok(Box::new(move || subprotocols.0.store(settings)))
    }
}

impl DeviceConnector {
    /// Connects devices with valid tokens to this manager. Of each convey the values of `convey_keys` are kept besides
    /// those that events carry: filters ask for them.
    pub fn new(devices: Arc<Manager>, auth: impl Into<Arc<DeviceAuth>>, convey_keys: Vec<String>) -> Self {
        Self {
            devices,
            auth: auth.into(),
            convey_keys,
            subprotocols: Arc::default(),
            handshakes: None,
            membership: None,
        }
    }

    /// Agrees on these WebSocket subprotocols with devices that offer one.
    #[must_use]
    pub fn with_subprotocols(self, subprotocols: Arc<Subprotocols>) -> Self {
        Self { subprotocols, ..self }
    }

    /// Lets handshakes begin at this pace.
    #[must_use]
    pub fn with_handshakes(self, handshakes: Arc<Handshakes>) -> Self {
        Self { handshakes: Some(handshakes), ..self }
    }

    /// Refuses devices that do not belong to this gateway.
    #[must_use]
    pub fn with_membership(self, membership: Arc<Membership>) -> Self {
        Self { membership: Some(membership), ..self }
    }

    /// Checks a request, of any method. The response is the 101, after which the connection becomes the device's, or an
    /// error.
    ///
    /// The request stays with the caller, as futures that pass it on would each have room for it.
    pub async fn connect<R>(&self, version: ApiVersion, request: &mut Request<R>) -> Response<Body> {
        let begun = match self.check_client(request) {
            Ok(()) => self.begin(request).await,
            Err(error) => Err(error),
        };
        let handshake = match begun {
            Ok(handshake) => handshake,
            Err(error) => return CheckError::from(error).into_response(version),
        };
        let shaking_hands = pin!(self.shake_hands(version, request));
        match handshake {
            Some(mut handshake) => handshake.run(shaking_hands).await,
            None => shaking_hands.await,
        }
    }

    /// Waits until the handshake may begin, in front of the others if the connection has waited for TLS.
    async fn begin<R>(&self, request: &Request<R>) -> Result<Option<Handshake<'_>>, ConnectError> {
        let Some(handshakes) = &self.handshakes else { return Ok(None) };
        let begun = match request.extensions().get::<AfterTls>() {
            Some(AfterTls) => handshakes.go_on(HandshakeKind::Device).await,
            None => handshakes.begin(HandshakeKind::Device).await,
        };
        begun.map(Some).map_err(|refused| ConnectError::Busy { seconds: refused.retry_after.as_secs() })
    }

    async fn shake_hands<R>(&self, version: ApiVersion, request: &mut Request<R>) -> Response<Body> {
        match self.check(request).await {
            Ok((candidate, accept)) => {
                let candidate = candidate.keeping_convey(request.headers(), &self.convey_keys);
                let supported = self.subprotocols.0.load_full();
                let subprotocol = handshake::choose_subprotocol(request.headers(), &supported);
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

    /// The checks that cost nothing.
    fn check_client<R>(&self, request: &Request<R>) -> Result<(), ConnectError> {
        self.devices.check_open()?;
        self.devices.check_address(client(request))
    }

    /// Returns the device and the `Sec-WebSocket-Accept` of the response.
    async fn check<R>(&self, request: &Request<R>) -> Result<(Candidate, String), CheckError> {
        let (method, headers) = (request.method(), request.headers());
        let certificate = request.extensions().get::<ClientCertificate>();
        let client = client(request);
        let candidate = Candidate::new(headers, session_id::random())?.with_client(client);
        let claims = self.auth.check(headers.get(AUTHORIZATION)).await?;
        let candidate = candidate.with_claims(claims)?;
        self.auth.check_certificate(certificate, &candidate.identity().id)?;
        self.devices.check_id(candidate.identity())?;
        if let Some(membership) = &self.membership {
            membership.check(&candidate.identity().id)?;
        }
        self.devices.check_filters(candidate.identity())?;
        let accept = handshake::check(request.version(), method, headers).map_err(ConnectError::from)?;
        self.devices.check_takeover(candidate.identity()).await?;
        Ok((candidate, accept))
    }
}

fn client<R>(request: &Request<R>) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|Peer(peer)| peer.ip())
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
