//! The ways in which credentials are refused, each with its text and its status codes.

use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

use crate::server::primary::ApiVersion;
use crate::server::{Body, reply};

/// Why a request was not let in (the table of contract-details §6).
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
}

impl Refusal {
    /// The status, which differs between the versions of the API.
    pub fn status(&self, version: ApiVersion) -> StatusCode {
        match (self, version) {
            (Self::Invalid, _) => StatusCode::BAD_REQUEST,
            (Self::Missing | Self::Bad, ApiVersion::V3) => StatusCode::UNAUTHORIZED,
            (Self::Missing | Self::Bad, ApiVersion::V2) | (Self::UnsupportedScheme(_), _) => {
                StatusCode::FORBIDDEN
            }
        }
    }

    /// The answer: the text, and on a 401 the challenge `WWW-Authenticate`, which the reference lacks.
    pub fn response(&self, version: ApiVersion, challenge: &'static str) -> Response<Body> {
        let status = self.status(version);
        let mut response = reply::text(status, self.to_string());
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
