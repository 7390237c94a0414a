//! The ways in which credentials are refused, each with its text and its status codes.

use std::time::Duration;

use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

use crate::server::primary::ApiVersion;
use crate::server::{Body, reply};

/// Why a request was not let in (the table of contract §6.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are no credentials.
    #[error("missing credentials")]
    Missing,
    /// They can be read, but they are not the right ones.
    #[error("bad credentials")]
    Bad,
    /// They cannot be read.
    #[error("invalid credentials")]
    Invalid,
    /// They are of a kind that is not taken here.
    #[error("Unsupported authorization scheme: {0}")]
    UnsupportedScheme(String),
    /// They are right, but not for this request.
    #[error("insufficient capabilities")]
    Forbidden,
    /// Too many wrong ones came from this address; it has to wait so long.
    #[error("too many failed attempts")]
    TooMany(Duration),
}

impl Refusal {
    /// The status, which differs between the versions of the API.
    pub fn status(&self, version: ApiVersion) -> StatusCode {
        match (self, version) {
            (Self::Invalid, _) => StatusCode::BAD_REQUEST,
            (Self::Missing | Self::Bad, ApiVersion::V3) => StatusCode::UNAUTHORIZED,
            (Self::Missing | Self::Bad, ApiVersion::V2)
            | (Self::UnsupportedScheme(_) | Self::Forbidden, _) => StatusCode::FORBIDDEN,
            (Self::TooMany(_), _) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The answer: the text, on a 401 the challenge `WWW-Authenticate`, which the reference lacks, and on a 429 how
    /// long to wait.
    pub fn response(&self, version: ApiVersion, challenge: &'static str) -> Response<Body> {
        let status = self.status(version);
        let mut response = reply::text(status, self.to_string());
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Self::TooMany(wait) = self {
            // In whole seconds, and never before the time.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
