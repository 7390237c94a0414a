//! The checks of every HTTP request before its path matters.
//!
//! Credentials are not checked here: which server asks for which is the gateway's configuration.

use http::header::{EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode, Version};

use crate::host::Host;

/// A request is rejected, whatever it asks for. The texts are the answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It gives two lengths (RFC 9112 §6.1).
    #[error("both Content-Length and Transfer-Encoding")]
    Ambiguous,
    /// Its body does not end where `chunked` says, or that is said twice (RFC 9112 §6.1, §6.3).
    #[error("expected chunked once, as the last transfer coding")]
    Framing,
    /// Its body has another coding besides `chunked`, which no handler can decode (RFC 9112 §6.1).
    #[error("expected no transfer coding but chunked")]
    Coding,
    /// It has no `Host`, or several (RFC 9112 §3.2).
    #[error("expected one Host header")]
    Host,
    /// Its `Host` is not the name or the address of a host (RFC 9112 §3.2).
    #[error("expected Host to be a name or an IP address, with or without a port")]
    InvalidHost,
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
    check_coding(headers)?;
    check_host(version, headers)?;
    if headers.get(EXPECT).is_some_and(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(RequestError::Expectation);
    }
    Ok(())
}

/// The body of a request is chunked or has a length. hyper accepts every list of codings that ends with `chunked`.
fn check_coding(headers: &HeaderMap) -> Result<(), RequestError> {
    let values = headers.get_all(TRANSFER_ENCODING).iter();
    let mut codings =
        values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(without_blanks).rev();
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match codings.next() {
        None => return Ok(()),
        Some(last) if is_chunked(last) => {}
        Some(_) => return Err(RequestError::Framing),
    }
    codings.try_for_each(|coding| {
        Err(if coding.is_empty() || is_chunked(coding) {
            RequestError::Framing
        } else {
            RequestError::Coding
        })
    })
}

fn check_host(version: Version, headers: &HeaderMap) -> Result<(), RequestError> {
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        return if version < Version::HTTP_11 { Ok(()) } else { Err(RequestError::Host) };
    };
    if hosts.next().is_some() {
        return Err(RequestError::Host);
    }
    Host::parse(host.as_bytes()).map(drop).map_err(|_| RequestError::InvalidHost)
}

/// Without the optional white space around an element of a list (RFC 9110 §5.6.3).
fn without_blanks(mut element: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = element {
        element = rest;
    }
    element
}

impl RequestError {
    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Ambiguous | Self::Framing | Self::Host | Self::InvalidHost => StatusCode::BAD_REQUEST,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
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
        assert_eq!(checked(Version::HTTP_10, &[("host", "t"), ("host", "t")]), Err(RequestError::Host));
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for host in ["", "t:6200", "a,b", "192.0.2.1", "[2001:db8::1]:80"] {
            assert_eq!(checked(Version::HTTP_11, &[("host", host)]), Ok(()), "{host}");
        }
        for version in [Version::HTTP_10, Version::HTTP_11] {
            for host in ["a b", "http://a", "a@b", "a/b", "a:b", "[::1", "a:1, b:2"] {
                assert_eq!(checked(version, &[("host", host)]), Err(RequestError::InvalidHost), "{host}");
            }
        }
    }

    #[test]
    fn the_only_transfer_coding_is_one_final_chunked() {
        use RequestError::{Coding, Framing};
        for (values, expected) in [
            (&["chunked"][..], Ok(())),
            (&[" \tChunked\t"], Ok(())),
            (&["gzip, chunked"], Err(Coding)),
            (&["gzip", "chunked"], Err(Coding)),
            (&["identity, chunked"], Err(Coding)),
            (&["x;a=b, chunked"], Err(Coding)),
            (&["chunked, chunked"], Err(Framing)),
            (&["chunked", "chunked"], Err(Framing)),
            (&["gzip"], Err(Framing)),
            (&["identity"], Err(Framing)),
            (&["chunked, gzip"], Err(Framing)),
            (&["chunked;q=1"], Err(Framing)),
            (&["chunked,"], Err(Framing)),
            (&[",chunked"], Err(Framing)),
            (&[""], Err(Framing)),
            (&["xchunked"], Err(Framing)),
        ] {
            let headers: Vec<_> =
                values.iter().map(|value| ("transfer-encoding", *value)).chain([("host", "t")]).collect();
            assert_eq!(checked(Version::HTTP_11, &headers), expected, "{values:?}");
        }
        assert_eq!(Coding.status(), 501);
        assert_eq!(Framing.status(), 400);
    }

    #[test]
    fn nothing_but_a_100_may_be_expected() {
        assert_eq!(checked(Version::HTTP_10, &[("expect", "100-Continue")]), Ok(()));
        let rejected = checked(Version::HTTP_10, &[("expect", "200-ok")]);
        assert_eq!(rejected, Err(RequestError::Expectation));
        assert_eq!(RequestError::Expectation.status(), 417);
    }
}
