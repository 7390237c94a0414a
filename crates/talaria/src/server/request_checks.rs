//! The checks of every request before its path matters: those of [`request_checks`], and the server's keys.

use http::header::{AUTHORIZATION, CONNECTION, HeaderValue};
use http::{Request, Response};
use talaria_protocol::request_checks::{self, RequestError};

use super::{Body, Config, Failure, reply};
use crate::auth::Refusal;
use crate::auth::basic::CHALLENGE;
use crate::server::primary::ApiVersion;

/// A request is rejected, whatever it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CheckError {
    /// By its header.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// By its credentials, or because it has none.
    #[error(transparent)]
    Credentials(#[from] Refusal),
}

/// Checks the header of a request.
pub(super) fn check<B>(request: &Request<B>, config: &Config, is_ambiguous: bool) -> Result<(), CheckError> {
    request_checks::check(request.version(), request.headers(), is_ambiguous)?;
    if let Some(keys) = &config.keys {
        keys.check(request.headers().get(AUTHORIZATION))?;
    }
    Ok(())
}

impl CheckError {
    /// What it counts as.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Request(_) => Failure::Malformed,
            Self::Credentials(_) => Failure::Unauthorized,
        }
    }

    /// The answer.
    pub(super) fn response(&self) -> Response<Body> {
        match self {
            Self::Credentials(refusal) => refusal.response(ApiVersion::V3, CHALLENGE),
            Self::Request(error) => {
                let mut response = reply::text(error.status(), error.to_string());
                // Where this request ends is not certain.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
        }
    }
}
