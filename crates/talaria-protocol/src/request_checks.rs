//! The checks of every HTTP request before its path matters.
//!
//! Credentials are not checked here: which server asks for which is the gateway's configuration.

use http::header::{EXPECT, HOST};
use http::{HeaderMap, StatusCode, Version};

/// A request is rejected, whatever it asks for. The texts are the answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It gives two lengths (RFC 9112 §6.1).
    #[error("both Content-Length and Transfer-Encoding")]
    Ambiguous,
    /// It has no `Host`, or several (RFC 9112 §3.2).
    #[error("expected one Host header")]
    Host,
    /// It expects something that no server does (RFC 9110 §10.1.1).
    #[error("expected 100-continue or nothing")]
    Expectation,
}

/// Checks the header of a request; whether it [is ambiguous](crate::smuggling::Ambiguity::is_found) is known already.
///
/// # Errors
/// [`RequestError`]
pub fn check(version: Version, headers: &HeaderMap, is_ambiguous: bool) -> Result<(), RequestError> {
    if is_ambiguous {
        return Err(RequestError::Ambiguous);
    }
    if version == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
        return Err(RequestError::Host);
    }
    if headers.get(EXPECT).is_some_and(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(RequestError::Expectation);
    }
    Ok(())
}

impl RequestError {
    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Ambiguous | Self::Host => StatusCode::BAD_REQUEST,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(version: Version, headers: &[(&'static str, &'static str)]) -> Result<(), RequestError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        check(version, &map, false)
    }

    #[test]
    fn a_request_of_http_1_1_has_one_host() {
        assert_eq!(checked(Version::HTTP_11, &[("host", "t")]), Ok(()));
        assert_eq!(checked(Version::HTTP_11, &[]), Err(RequestError::Host));
        assert_eq!(checked(Version::HTTP_11, &[("host", "t"), ("host", "u")]), Err(RequestError::Host));
        assert_eq!(checked(Version::HTTP_10, &[]), Ok(()));
    }

    #[test]
    fn nothing_but_a_100_may_be_expected() {
        assert_eq!(checked(Version::HTTP_10, &[("expect", "100-Continue")]), Ok(()));
        let rejected = checked(Version::HTTP_10, &[("expect", "200-ok")]);
        assert_eq!(rejected, Err(RequestError::Expectation));
        assert_eq!(RequestError::Expectation.status(), 417);
    }
}
