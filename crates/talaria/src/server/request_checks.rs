//! The checks of every request before its path matters: those of [`request_checks`], then the server's [`Guard`].

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use talaria_protocol::request_checks::{self, RequestError};

use super::body::Body;
use super::connection_failure::ConnectionFailure;
use super::handler::Guard;
use super::reply;

/// Why a request is rejected, whatever its path.
pub(super) enum CheckError {
    /// Its header is malformed.
    Request(RequestError),
    /// It does not pass the server's guard, which made this response.
    Guard(Box<Response<Body>>),
}

/// Checks the header of a request.
pub(super) fn check<B>(
    request: &Request<B>,
    guard: Option<&dyn Guard>,
    is_ambiguous: bool,
) -> Result<(), CheckError> {
    request_checks::check(request.version(), request.headers(), is_ambiguous).map_err(CheckError::Request)?;
    guard.map_or(Ok(()), |guard| guard.check(request.headers())).map_err(CheckError::Guard)
}

impl CheckError {
    pub(super) fn failure(&self) -> ConnectionFailure {
        match self {
            Self::Request(_) => ConnectionFailure::Malformed,
            Self::Guard(_) => ConnectionFailure::Unauthorized,
        }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        match self {
            Self::Guard(response) => *response,
            Self::Request(error) => {
                let mut response = reply::text(error.status(), error.to_string());
                // It is not certain where this request ends and the next one begins.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
        }
    }
}
