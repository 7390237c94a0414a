//! Basic authentication: the keys of the REST API (`inbound.authKey`) and of other servers (`authKey`).

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Response};

use super::error::{AuthError, BASIC_CHALLENGE};
use super::header;
use crate::api_version::ApiVersion;
use crate::server::{Body, Guard};

/// The accepted keys. They are shown neither in logs nor by `Debug`.
#[derive(Clone)]
pub struct BasicKeys {
    /// The SHA-256 of each `user:password`. All have one length, so that the time of a comparison does not depend on the
    /// key's.
    digests: Box<[Digest]>,
}

type Digest = [u8; SHA256_OUTPUT_LEN];

/// A configured key that is malformed. The text does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key number {number} is not the base64 of user:password")]
pub struct InvalidKeyError {
    /// The place of the key among the configured ones, counted from 1.
    pub number: usize,
}

impl BasicKeys {
    /// Reads an `authKey`: texts with one key each, or several separated by blanks. None if there are no keys, so that no
    /// credentials are needed.
    ///
    /// # Errors
    /// If any key is not the base64 of `user:password` with a user. The reference skips such keys, and needs no credentials
    /// if no other is left.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Option<Self>, InvalidKeyError> {
        let mut keys = Vec::new();
        for text in texts {
            for key in text.as_ref().split_whitespace() {
                let key = decode(key.as_bytes()).ok_or(InvalidKeyError { number: keys.len() + 1 })?;
                keys.push(digest(&key));
            }
        }
        Ok(if keys.is_empty() { None } else { Some(Self { digests: keys.into() }) })
    }

    /// Checks a request's `Authorization` header against every key, in a time that does not depend on the keys.
    ///
    /// # Errors
    /// Why the credentials are not accepted.
    pub fn check_header(&self, authorization: Option<&HeaderValue>) -> Result<(), AuthError> {
        self.check_credentials(&credentials(authorization)?)
    }

    /// The same for the part of the header that follows `Basic`.
    ///
    /// # Errors
    /// Why the credentials are not accepted.
    pub fn check_value(&self, value: &str) -> Result<(), AuthError> {
        self.check_credentials(&decode_value(value)?)
    }

    fn check_credentials(&self, given: &[u8]) -> Result<(), AuthError> {
        let given = digest(given);
        let same = |key: &Digest| verify_slices_are_equal(&given, key).is_ok();
        // All keys are compared, even after one has matched.
        let fits = self.digests.iter().fold(false, |fits, key| fits | same(key));
        if fits { Ok(()) } else { Err(AuthError::Bad) }
    }
}

impl Guard for BasicKeys {
    fn check(&self, headers: &HeaderMap) -> Result<(), Box<Response<Body>>> {
        self.check_header(headers.get(AUTHORIZATION))
            .map_err(|error| Box::new(error.response(ApiVersion::V3, BASIC_CHALLENGE)))
    }
}

impl fmt::Debug for BasicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasicKeys({} hidden)", self.digests.len())
    }
}

/// The `user:password` of a request, right or wrong.
///
/// # Errors
/// If there is none, or another scheme is used, or it is malformed.
pub fn credentials(authorization: Option<&HeaderValue>) -> Result<Vec<u8>, AuthError> {
    let (scheme, value) = header::split(authorization)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(AuthError::UnsupportedScheme(scheme.to_owned()));
    }
    decode_value(value)
}

fn decode_value(value: &str) -> Result<Vec<u8>, AuthError> {
    let given = STANDARD.decode(value).map_err(|_| AuthError::Invalid)?;
    if given.contains(&b':') { Ok(given) } else { Err(AuthError::Invalid) }
}

fn decode(key: &[u8]) -> Option<Vec<u8>> {
    let key = STANDARD.decode(key).ok()?;
    let user = key.iter().position(|&byte| byte == b':')?;
    (user > 0).then_some(key)
}

fn digest(credentials: &[u8]) -> Digest {
    let mut digest = [0; SHA256_OUTPUT_LEN];
    digest.copy_from_slice(digest::digest(&SHA256, credentials).as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_version::ApiVersion::{V2, V3};

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn keys() -> BasicKeys {
        let texts = [format!("{} {}", STANDARD.encode("user:pass"), STANDARD.encode("other:a:b"))];
        BasicKeys::parse(texts).unwrap().unwrap()
    }

    /// contract §6.5: the header, the status for v2 and for v3, the body.
    #[test]
    fn refusals_have_the_reference_s_codes_and_texts() {
        let unpadded = "Basic dXNlcjpwYXM";
        let cases: [(Option<&str>, u16, u16, &str); 14] = [
            (None, 403, 401, "missing credentials"),
            (Some(""), 403, 401, "missing credentials"),
            (Some(&basic("user:wrong")), 403, 401, "bad credentials"),
            (Some(&basic("wrong:pass")), 403, 401, "bad credentials"),
            (Some(&basic("user:")), 403, 401, "bad credentials"),
            (Some(&basic(":")), 403, 401, "bad credentials"),
            (Some("Basic"), 400, 400, "invalid credentials"),
            (Some("Basic "), 400, 400, "invalid credentials"),
            (Some("Basic  dXNlcjpwYXNz"), 400, 400, "invalid credentials"),
            (Some("Basic dXNlcjpw YXNz"), 400, 400, "invalid credentials"),
            (Some(unpadded), 400, 400, "invalid credentials"),
            (Some(&basic("nocolon")), 400, 400, "invalid credentials"),
            (Some("Basic \u{e9}"), 400, 400, "invalid credentials"),
            (Some("Bearer abc"), 403, 403, "Unsupported authorization scheme: Bearer"),
        ];
        for (header, v2, v3, text) in cases {
            let value = header.map(|header| HeaderValue::from_bytes(header.as_bytes()).unwrap());
            let error = keys().check_header(value.as_ref()).unwrap_err();
            assert_eq!(error.to_string(), text, "{header:?}");
            assert_eq!(error.status(V2), v2, "{header:?}");
            assert_eq!(error.status(V3), v3, "{header:?}");
        }
    }

    #[test]
    fn every_key_opens_and_the_scheme_is_written_as_you_like() {
        for header in [basic("user:pass"), basic("other:a:b"), basic("user:pass").replace("Basic", "bASIC")] {
            assert_eq!(keys().check_header(Some(&header.parse().unwrap())), Ok(()), "{header}");
        }
    }

    #[test]
    fn a_401_asks_for_basic_credentials() {
        let response = AuthError::Missing.response(V3, BASIC_CHALLENGE);
        assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"talaria\"");
        assert!(!AuthError::Missing.response(V2, BASIC_CHALLENGE).headers().contains_key("www-authenticate"));
    }

    #[test]
    fn a_key_that_does_not_decode_is_a_fault_and_never_an_open_api() {
        let good = STANDARD.encode("user:pass");
        for bad in ["secret!", &STANDARD.encode("nocolon"), &STANDARD.encode(":nouser")] {
            let fault = BasicKeys::parse([good.as_str(), bad]).unwrap_err();
            assert_eq!(fault, InvalidKeyError { number: 2 });
            assert!(!fault.to_string().contains(bad), "{fault}");
        }
    }

    #[test]
    fn without_keys_the_api_is_open() {
        assert!(BasicKeys::parse([""; 1]).unwrap().is_none());
        assert!(BasicKeys::parse([""; 0]).unwrap().is_none());
    }

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", keys()), "BasicKeys(2 hidden)");
    }
}
