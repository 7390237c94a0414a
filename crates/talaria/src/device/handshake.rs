//! Who may connect: the checks of contract §2 on a request for `GET /api/{v2,v3}/device`, in their order.
//!
//! The checks are steps, so that what needs more than the request (a token's signature, the hash ring, the filters) goes
//! between them (`server::primary::Admission` has the whole sequence): [`Candidate::new`] is the device's name,
//! [`Candidate::with_claims`] the token's; then [`Manager::upgrade`](super::Manager::upgrade) is the WebSocket handshake.
//! Each refusal knows its response.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use wrp::{DeviceId, InvalidDeviceId, Text};

use super::{Claims, Convey, Identity};
use crate::ws::handshake::{NoUpgrade, VERSION};

const DEVICE_NAME: HeaderName = HeaderName::from_static("x-webpa-device-name");
const CONVEY: HeaderName = HeaderName::from_static("x-webpa-convey");
const INTERMEDIATE_CONTEXT: HeaderName = HeaderName::from_static("x-intermediate-context");

/// A device that asks to connect.
#[derive(Clone, Debug)]
pub struct Candidate {
    identity: Identity,
}

/// Why a device may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The gateway takes no devices now: its gate is closed, or it shuts down.
    #[error("no devices are taken now")]
    Closed,
    /// No `X-Webpa-Device-Name`, or an empty one.
    #[error("failed to extract device ID: missing device name header")]
    NoName,
    /// `X-Webpa-Device-Name` is no device id.
    #[error("failed to extract device ID: {0}")]
    BadName(InvalidDeviceId),
    /// The token's claim `device-id` is no device id. The reference says it twice.
    #[error("{0}\n{0}")]
    BadClaim(InvalidDeviceId),
    /// A filter of the operator's keeps it out (contract §2.7). The reference answers 200 without an upgrade.
    #[error("device blocked from connecting due to filters")]
    Filtered,
    /// The request is no WebSocket handshake.
    #[error(transparent)]
    NoUpgrade(#[from] NoUpgrade),
}

impl Candidate {
    /// Reads the device's name and what it says of itself.
    ///
    /// # Errors
    /// If the name is missing or no device id. A bad convey is none.
    pub fn new(headers: &HeaderMap) -> Result<Candidate, Refusal> {
        let name = headers.get(DEVICE_NAME).map(HeaderValue::as_bytes).filter(|name| !name.is_empty());
        let name = name.ok_or(Refusal::NoName)?;
        let name = std::str::from_utf8(name).map_err(|_| Refusal::BadName(InvalidDeviceId))?;
        let id: DeviceId = name.parse().map_err(Refusal::BadName)?;
        let context = headers.get(INTERMEDIATE_CONTEXT).map_or(&b""[..], HeaderValue::as_bytes);
        let identity = Identity {
            convey: Convey::from_header(headers.get(CONVEY).map(HeaderValue::as_bytes)),
            intermediate_context: Text::new(context).into(),
            ..Identity::new(id)
        };
        Ok(Candidate { identity })
    }

    /// Adds what the device's token says; its `device-id` replaces the name.
    ///
    /// # Errors
    /// If that is no device id.
    pub fn with_claims(mut self, claims: Option<Claims>) -> Result<Candidate, Refusal> {
        if let Some(id) = claims.as_ref().and_then(Claims::device_id) {
            self.identity.id = id.parse().map_err(Refusal::BadClaim)?;
        }
        self.identity.claims = claims;
        Ok(self)
    }

    /// Keeps the values of more convey keys than events carry.
    #[must_use]
    pub fn keeping_convey(mut self, headers: &HeaderMap, keys: &[String]) -> Candidate {
        if !keys.is_empty() {
            self.identity.convey = Convey::keeping(headers.get(CONVEY).map(HeaderValue::as_bytes), keys);
        }
        self
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn into_identity(self) -> Identity {
        self.identity
    }
}

impl Refusal {
    /// The response's status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::Closed => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::NoName | Refusal::BadName(_) => StatusCode::BAD_REQUEST,
            Refusal::BadClaim(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Refusal::Filtered => StatusCode::FORBIDDEN,
            Refusal::NoUpgrade(no_upgrade) => no_upgrade.status(),
        }
    }

    /// The response: status, body and content type of contract §2.1 to §2.7 and §2.16.
    #[must_use]
    pub fn response<B: From<String>>(self) -> Response<B> {
        let (content_type, body) = match self {
            Refusal::Closed => (None, String::new()),
            Refusal::NoName | Refusal::BadName(_) | Refusal::BadClaim(_) | Refusal::Filtered => {
                (Some("application/json"), self.json())
            }
            Refusal::NoUpgrade(no_upgrade) => (Some("text/plain; charset=utf-8"), format!("{no_upgrade}\n")),
        };
        let mut response = Response::new(B::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Refusal::NoUpgrade(NoUpgrade::Method) = self {
            headers.insert(http::header::ALLOW, HeaderValue::from_static("GET"));
        }
        if let Refusal::NoUpgrade(_) = self {
            headers.insert(http::header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
            headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        response
    }

    /// `{"code": 400, "message": "…"}`, spaced as the reference spaces it, but escaped.
    fn json(self) -> String {
        let message = serde_json::Value::from(self.to_string());
        format!("{{\"code\": {}, \"message\": {message}}}", self.status().as_u16())
    }
}
