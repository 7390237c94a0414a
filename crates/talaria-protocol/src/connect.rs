//! Which devices may connect: the checks of contract §2 on a request for `GET /api/{v2,v3}/device`.
//!
//! The checks are steps, because some of them need more than the request (the signature of a token, the filters, the
//! hash ring): [`Candidate::new`] reads the device's name and convey, [`Candidate::with_claims`] the claims of its token,
//! and [`ws::handshake`](crate::ws::handshake) checks the upgrade. The gateway calls them in the contract's order and
//! puts its own checks between them. Every [`ConnectError`] knows its response.
//!
//! Deliberately absent: whether a token is good ([`token`](crate::token)), and what happens to the connection.

mod certificate_rule;
mod identity;

use std::net::IpAddr;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use wrp::{DeviceId, DeviceNameError, Text};

use crate::answer;
use crate::claims::{ClaimedId, Claims};
use crate::convey::Convey;
use crate::ws::handshake::{UpgradeError, VERSION};

pub use certificate_rule::{CertificateRule, CertificateRuleError};
pub use identity::{Identity, SessionId};

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
pub enum ConnectError {
    /// The gateway accepts no devices now: its gate is closed, or it is shutting down.
    #[error("no devices are taken now")]
    Closed,
    /// No `X-Webpa-Device-Name`, or an empty one.
    #[error("failed to extract device ID: missing device name header")]
    NoName,
    /// `X-Webpa-Device-Name` is not a device id.
    #[error("failed to extract device ID: {0}")]
    BadName(DeviceNameError),
    /// The token's claim `device-id` is not a device id. The reference's text has the error twice.
    #[error("{0}\n{0}")]
    BadClaim(DeviceNameError),
    /// It has no token, and a device with a token is connected with its id and alive (contract §14.26).
    #[error("a device with a token is connected with this id")]
    Occupied,
    /// Its id is not the one of its client certificate (`deviceIdFromCertificate`).
    #[error("the device id is not that of the client certificate")]
    NotInCertificate,
    /// It belongs to another instance of the fleet (contract §2.15).
    #[error("the device belongs to another instance")]
    Elsewhere,
    /// A filter of the operator excludes it (contract §2.7). The reference answers 200 without an upgrade.
    #[error("device blocked from connecting due to filters")]
    Filtered,
    /// Its id or its address connects too often or sends too much, and is refused for so long (contract §2.19).
    #[error("too many connections or messages, try again later")]
    Refused {
        /// The time that is left, in seconds.
        seconds: u64,
    },
    /// Too many clients connect at the same time (contract §2.20).
    #[error("too many clients connect at the same time, try again later")]
    Busy {
        /// When to try again, in seconds.
        seconds: u64,
    },
    /// The request is not a WebSocket handshake.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
}

impl Candidate {
    /// Reads the device's name and its convey.
    ///
    /// # Errors
    /// If the name is missing or not a device id. A bad convey is not an error.
    pub fn new(headers: &HeaderMap, session_id: SessionId) -> Result<Self, ConnectError> {
        let name = headers.get(DEVICE_NAME).map(HeaderValue::as_bytes).filter(|name| !name.is_empty());
        let name = name.ok_or(ConnectError::NoName)?;
        let name = std::str::from_utf8(name).map_err(|_| ConnectError::BadName(DeviceNameError))?;
        let id: DeviceId = name.parse().map_err(ConnectError::BadName)?;
        let context = headers.get(INTERMEDIATE_CONTEXT).map_or(&b""[..], HeaderValue::as_bytes);
        let identity = Identity {
            convey: Convey::from_header(headers.get(CONVEY).map(HeaderValue::as_bytes)),
            intermediate_context: Text::new(context).into(),
            ..Identity::new(id, session_id)
        };
        Ok(Self { identity })
    }

    /// Adds the claims of the device's token; its `device-id` replaces the name.
    ///
    /// # Errors
    /// If `device-id` is not a device id, or not even a text.
    pub fn with_claims(mut self, claims: Option<Claims>) -> Result<Self, ConnectError> {
        match claims.as_ref().map(Claims::device_id) {
            None | Some(ClaimedId::None) => {}
            Some(ClaimedId::Text(id)) => self.identity.id = id.parse().map_err(ConnectError::BadClaim)?,
            Some(ClaimedId::NotText) => return Err(ConnectError::BadClaim(DeviceNameError)),
        }
        self.identity.claims = claims;
        Ok(self)
    }

    /// Adds the client's address.
    #[must_use]
    pub fn with_client(mut self, client: Option<IpAddr>) -> Self {
        self.identity.client = client;
        self
    }

    /// Also keeps the values of convey keys that events do not carry.
    #[must_use]
    pub fn keeping_convey(mut self, headers: &HeaderMap, keys: &[String]) -> Self {
        if !keys.is_empty() {
            self.identity.convey = Convey::keeping(headers.get(CONVEY).map(HeaderValue::as_bytes), keys);
        }
        self
    }

    /// Who the device is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Ends the checks.
    #[must_use]
    pub fn into_identity(self) -> Identity {
        self.identity
    }
}

impl ConnectError {
    /// The response's status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Closed | Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoName | Self::BadName(_) => StatusCode::BAD_REQUEST,
            Self::BadClaim(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Filtered | Self::Occupied | Self::NotInCertificate => StatusCode::FORBIDDEN,
            Self::Elsewhere => StatusCode::GONE,
            Self::Refused { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Upgrade(error) => error.status(),
        }
    }

    /// The response: status, body and content type of contract §2.1 to §2.7 and §2.16.
    #[must_use]
    pub fn response<B: From<String>>(self) -> Response<B> {
        let (content_type, body) = match self {
            Self::Closed => (None, String::new()),
            Self::NoName
            | Self::BadName(_)
            | Self::BadClaim(_)
            | Self::Elsewhere
            | Self::Filtered
            | Self::Occupied
            | Self::NotInCertificate
            | Self::Refused { .. }
            | Self::Busy { .. } => (Some(answer::JSON), answer::json_error(self.status(), &self.to_string())),
            Self::Upgrade(error) => (Some(answer::TEXT), format!("{error}\n")),
        };
        let mut response = Response::new(B::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Self::Refused { seconds } | Self::Busy { seconds } = self {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Self::Upgrade(UpgradeError::Method) = self {
            headers.insert(http::header::ALLOW, HeaderValue::from_static("GET"));
        }
        if let Self::Upgrade(_) = self {
            headers.insert(http::header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
            headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, answer::NO_SNIFF);
        }
        response
    }
}
