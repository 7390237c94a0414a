//! The checks of every request before its path matters: those of [`request_checks`], those of
//! [`web_page`](talaria_protocol::web_page) where they are
//! configured, then the server's [`Guard`](super::Guard).

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use talaria_protocol::request_checks::{self, RequestError};
use talaria_protocol::web_page::WebPageError;

use super::body::Body;
use super::connection_failure::ConnectionFailure;
use super::{Config, reply};

/// Why a request is rejected, whatever its path.
pub(super) enum CheckError {
    /// Its header is malformed.
    Request(RequestError),
    /// A web page of another site may have made it.
    WebPage(WebPageError),
    /// It does not pass the server's guard, which made this response.
    Guard(Box<Response<Body>>),
}

/// Checks the header of a request.
pub(super) fn check<B>(request: &Request<B>, config: &Config, is_ambiguous: bool) -> Result<(), CheckError> {
    request_checks::check(request.version(), request.headers(), is_ambiguous).map_err(CheckError::Request)?;
    if let Some(names) = &config.names {
        names.check(request.headers()).map_err(CheckError::WebPage)?;
    }
    config.guard.as_ref().map_or(Ok(()), |guard| guard.check(request.headers())).map_err(CheckError::Guard)
}

impl CheckError {
    pub(super) fn failure(&self) -> ConnectionFailure {
        match self {
            Self::Request(_) => ConnectionFailure::Malformed,
            Self::WebPage(WebPageError::Site | WebPageError::Origin) => ConnectionFailure::CrossSite,
            Self::WebPage(WebPageError::Host) => ConnectionFailure::ForeignHost,
            Self::Guard(_) => ConnectionFailure::Unauthorized,
        }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        match self {
            Self::WebPage(error) => reply::json_error(StatusCode::FORBIDDEN, &error.to_string()),
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
