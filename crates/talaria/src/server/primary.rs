//! What the primary server answers: devices at `/api/{v2,v3}/device`, the other services' REST API beside it.

mod admission;

use std::borrow::Cow;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use talaria_protocol::go::percent;

use super::{Body, Handler, reply};
use crate::api::Api;

pub use admission::Admission;

/// The primary server: devices' upgrades, and the API.
#[derive(Debug)]
pub struct Primary {
    devices: Admission,
    api: Api,
}

/// The two versions of the paths, which differ in some status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// `/api/v2`
    V2,
    /// `/api/v3`
    V3,
}

/// A path that the primary server knows, with a method that it takes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// A device's upgrade; any method gets here (contract §2.16).
    Device,
    /// `GET /devices`
    Devices,
    /// `GET /device/{id}/stat`; the id as it was decoded from the path.
    Stat(Cow<'a, str>),
    /// `POST|PATCH /device/send`
    Send,
    /// A known path whose method is answered with 405; these are the methods it has.
    WrongMethod(&'static str),
    /// Everything else.
    Unknown,
}

impl Primary {
    /// `devices` answers `/api/{v2,v3}/device`, `api` the rest.
    pub fn new(devices: Admission, api: Api) -> Self {
        Self { devices, api }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        // The path is looked at while the request is handed on.
        let uri = request.uri().clone();
        let (version, route) = Route::find(request.method(), uri.path());
        match route {
            Route::Device => self.devices.admit(version, request).await,
            Route::Devices => self.api.devices(version, &request).await,
            Route::Stat(id) => self.api.stat(version, &id, &request).await,
            Route::Send => self.api.send(version, request).await,
            Route::WrongMethod(allow) => reply::method_not_allowed(allow),
            Route::Unknown => reply::not_found(),
        }
    }
}

impl Handler for Primary {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let in_flight = self.api.metrics().begin(&request);
        let mut response = self.answer(request).await;
        in_flight.answered(&mut response);
        response
    }
}

impl<'a> Route<'a> {
    /// Finds the route of a request's path.
    pub fn find(method: &Method, path: &'a str) -> (ApiVersion, Self) {
        let (version, rest) = match (path.strip_prefix("/api/v2/"), path.strip_prefix("/api/v3/")) {
            (Some(rest), _) => (ApiVersion::V2, rest),
            (_, Some(rest)) => (ApiVersion::V3, rest),
            _ => return (ApiVersion::V3, Self::Unknown),
        };
        (version, Self::below_version(method, rest))
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
        match percent_decoded(id) {
            Some(id) if id.contains('/') => Self::Unknown,
            _ if !is_get(method) => Self::WrongMethod("GET, HEAD"),
            Some(id) => Self::Stat(id),
            // No device has a name that is not text.
            None => Self::Stat(Cow::Borrowed("")),
        }
    }
}

/// A HEAD is a GET whose answer's body is left out, which hyper does (RFC 9110 §9.3.2).
fn is_get(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// A segment of a path without its escapes; `None` if it is not UTF-8 or an escape is broken.
fn percent_decoded(segment: &str) -> Option<Cow<'_, str>> {
    match percent::decode(segment.as_bytes()).ok()? {
        // Without an escape it is the segment itself.
        Cow::Borrowed(_) => Some(Cow::Borrowed(segment)),
        Cow::Owned(decoded) => String::from_utf8(decoded).ok().map(Cow::Owned),
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
    fn a_wrong_method_is_unknown_but_for_stat() {
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
    fn the_version_is_told() {
        assert_eq!(Route::find(&Method::GET, "/api/v2/devices").0, ApiVersion::V2);
        assert_eq!(Route::find(&Method::GET, "/api/v3/devices").0, ApiVersion::V3);
    }
}
