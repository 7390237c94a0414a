//! What is asked of every request before its path matters.

use http::header::{CONNECTION, EXPECT, HOST, HeaderValue};
use http::{Request, Response, StatusCode, Version};

use super::{Body, Config, Failure, reply};
use crate::auth::Refusal;
use crate::auth::basic::CHALLENGE;
use crate::server::primary::ApiVersion;

/// Why a request is refused, whatever it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It gives two lengths (RFC 9112 §6.1).
    Ambiguous,
    /// It has no `Host`, or several (RFC 9112 §3.2).
    Host,
    /// It expects something that no server does (RFC 9110 §10.1.1).
    Expectation,
    /// It shows no key that fits.
    Credentials(Refusal),
}

/// Looks at the header of a request.
///
/// # Errors
/// [`Refused`].
pub(super) fn check<B>(request: &Request<B>, config: &Config, is_ambiguous: bool) -> Result<(), Refused> {
    if is_ambiguous {
        return Err(Refused::Ambiguous);
    }
    let headers = request.headers();
    if request.version() == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
        return Err(Refused::Host);
    }
    if headers.get(EXPECT).is_some_and(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(Refused::Expectation);
    }
    match &config.keys {
        Some(keys) => keys.check(headers.get(http::header::AUTHORIZATION)).map_err(Refused::Credentials),
        None => Ok(()),
    }
}

impl Refused {
    /// What it counts as.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Ambiguous | Self::Host | Self::Expectation => Failure::Malformed,
            Self::Credentials(_) => Failure::Unauthorized,
        }
    }

    /// The answer.
    pub(super) fn response(&self) -> Response<Body> {
        let (status, text) = match self {
            Self::Credentials(refusal) => return refusal.response(ApiVersion::V3, CHALLENGE),
            Self::Ambiguous => (StatusCode::BAD_REQUEST, "both Content-Length and Transfer-Encoding"),
            Self::Host => (StatusCode::BAD_REQUEST, "expected one Host header"),
            Self::Expectation => (StatusCode::EXPECTATION_FAILED, "expected 100-continue or nothing"),
        };
        let mut response = reply::text(status, text);
        // Where this request ends is not certain.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
