//! Why a request is not authorized, with the text and the status codes of each case.

use std::time::Duration;

use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use talaria_protocol::token::TokenError;

use crate::api_version::ApiVersion;
use crate::server::{Body, reply};

/// The challenge of a 401 where basic keys are accepted.
pub(super) const BASIC_CHALLENGE: &str = "Basic realm=\"talaria\"";

/// The challenge of a 401 where tokens are accepted.
pub const BEARER_CHALLENGE: &str = "Bearer realm=\"talaria\"";

/// The challenge of a 401 where both are accepted.
pub(super) const BASIC_OR_BEARER_CHALLENGE: &str = "Basic realm=\"talaria\", Bearer realm=\"talaria\"";

/// Why a request is not authorized (the table of contract §6.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There are no credentials.
    #[error("missing credentials")]
    Missing,
    /// They can be read, but are not the right ones.
    #[error("bad credentials")]
    Bad,
    /// They cannot be read.
    #[error("invalid credentials")]
    Invalid,
    /// They are of a scheme that is not accepted here.
    #[error("Unsupported authorization scheme: {0}")]
    UnsupportedScheme(String),
    /// They are valid, but do not allow this request.
    #[error("insufficient capabilities")]
    Forbidden,
    /// Too many attempts from this address failed; it has to wait this long.
    #[error("too many failed attempts")]
    TooMany(Duration),
}

impl AuthError {
    /// The status, which depends on the version in the path.
    #[must_use]
    pub fn status(&self, version: ApiVersion) -> StatusCode {
        match (self, version) {
            (Self::Invalid, _) => StatusCode::BAD_REQUEST,
            (Self::Missing | Self::Bad, ApiVersion::V3) => StatusCode::UNAUTHORIZED,
            (Self::Missing | Self::Bad, ApiVersion::V2)
            | (Self::UnsupportedScheme(_) | Self::Forbidden, _) => StatusCode::FORBIDDEN,
            (Self::TooMany(_), _) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The response: the text, with a 401 the challenge `WWW-Authenticate` (which the reference does not send), and with a
    /// 429 how long to wait.
    pub fn response(&self, version: ApiVersion, challenge: &'static str) -> Response<Body> {
        let status = self.status(version);
        let mut response = reply::text(status, self.to_string());
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Self::TooMany(wait) = self {
            // In whole seconds, rounded up.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<&TokenError> for AuthError {
    /// How a rejected token is answered.
    fn from(error: &TokenError) -> Self {
        match error {
            TokenError::Format(_) | TokenError::Key(_) | TokenError::Signature | TokenError::Subject => {
                Self::Invalid
            }
            TokenError::Audience | TokenError::Issuer | TokenError::Time(_) => Self::Bad,
        }
    }
}
