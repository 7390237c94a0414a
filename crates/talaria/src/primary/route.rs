//! The paths of the primary server and their methods (contract §3).

use std::borrow::Cow;

use http::Method;
use talaria_protocol::go::percent;

use crate::api_version::ApiVersion;

/// A path that the primary server knows, with a method that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// A device's connection, with any method: its checks come first (contract §2.16).
    Device,
    /// `GET /devices`
    Devices,
    /// `GET /device/{id}/stat`, with the decoded id.
    Stat(Cow<'a, str>),
    /// `POST|PATCH /device/send`
    Send,
    /// A known path with a method that it does not have, which is answered with 405; these are the methods that it has.
    WrongMethod(&'static str),
    /// Everything else.
    Unknown,
}

impl<'a> Route<'a> {
    /// Finds the route of a request. The version of an unknown path does not matter.
    pub(super) fn find(method: &Method, path: &'a str) -> (ApiVersion, Self) {
        match ApiVersion::split(path) {
            Some((version, rest)) => (version, Self::below_version(method, rest)),
            None => (ApiVersion::V3, Self::Unknown),
        }
    }

    fn below_version(method: &Method, path: &'a str) -> Self {
        let mut segments = path.split('/');
        match (segments.next(), segments.next(), segments.next(), segments.next()) {
            (Some("device"), None, None, None) => Self::Device,
            (Some("devices"), None, None, None) if is_get(method) => Self::Devices,
            (Some("device"), Some("send"), None, None)
                if method == Method::POST || method == Method::PATCH =>
            {
                Self::Send
            }
            (Some("device"), Some(id), Some("stat"), None) if !id.is_empty() => Self::stat(method, id),
            _ => Self::Unknown,
        }
    }

    fn stat(method: &Method, id: &'a str) -> Self {
        match decoded(id) {
            Some(id) if id.contains('/') => Self::Unknown,
            _ if !is_get(method) => Self::WrongMethod("GET, HEAD"),
            Some(id) => Self::Stat(id),
            // No device has this id, so the API answers that the name is invalid.
            None => Self::Stat(Cow::Borrowed("")),
        }
    }
}

/// HEAD is GET without the response's body, which hyper leaves out (RFC 9110 §9.3.2).
fn is_get(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// A percent-encoded segment as text; none if an escape is broken or the result is not UTF-8.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    match percent::decode(segment.as_bytes()).ok()? {
        Cow::Borrowed(_) => Some(Cow::Borrowed(segment)),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route<'a>(method: &str, path: &'a str) -> Route<'a> {
        Route::find(&method.parse().unwrap(), path).1
    }

    #[test]
    fn a_device_connects_with_any_method_so_that_its_checks_answer() {
        assert_eq!(route("GET", "/api/v2/device"), Route::Device);
        assert_eq!(route("POST", "/api/v3/device"), Route::Device);
    }

    #[test]
    fn other_versions_and_trailing_slashes_are_unknown() {
        for path in
            ["/api/v1/device", "/api/v4/device", "/api/v3/device/", "/api/v3/devices/", "/api/v3", "/", ""]
        {
            assert_eq!(route("GET", path), Route::Unknown, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_unknown_except_for_stat() {
        assert_eq!(route("POST", "/api/v2/devices"), Route::Unknown);
        assert_eq!(route("GET", "/api/v2/device/send"), Route::Unknown);
        assert_eq!(route("HEAD", "/api/v2/devices"), Route::Devices);
        assert_eq!(route("POST", "/api/v2/device/mac:112233445566/stat"), Route::WrongMethod("GET, HEAD"));
    }

    #[test]
    fn send_takes_post_and_patch() {
        assert_eq!(route("POST", "/api/v2/device/send"), Route::Send);
        assert_eq!(route("PATCH", "/api/v3/device/send"), Route::Send);
    }

    #[test]
    fn an_id_may_be_escaped_but_not_into_more_segments() {
        assert_eq!(route("GET", "/api/v3/device/mac%3A11/stat"), Route::Stat("mac:11".into()));
        assert_eq!(route("GET", "/api/v3/device/uuid:a%2Fb/stat"), Route::Unknown);
        assert_eq!(route("GET", "/api/v3/device/uuid:%zz/stat"), Route::Stat("".into()));
        assert_eq!(route("GET", "/api/v3/device//stat"), Route::Unknown);
    }

    #[test]
    fn the_version_comes_from_the_path() {
        assert_eq!(Route::find(&Method::GET, "/api/v2/devices").0, ApiVersion::V2);
        assert_eq!(Route::find(&Method::GET, "/api/v3/devices").0, ApiVersion::V3);
    }
}
