//! Responses that several handlers give, in the form that clients of the reference know.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, Response, StatusCode};
use talaria_protocol::answer;

use super::Body;

/// What most responses have: the type and the length of the body, the date, and five of the gateway's identity.
const HEADERS: usize = 8;

/// A response without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A response with this body.
pub fn with_body(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A plain text; no line feed is added.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    with_body(status, answer::TEXT, text.into())
}

/// An error as JSON, `{"code": 404, "message": "…"}`, escaped (contract §14.16).
pub fn json_error(status: StatusCode, message: &str) -> Response<Body> {
    with_body(status, answer::JSON, answer::json_error(status, message))
}

/// The response to an unknown path.
pub fn not_found() -> Response<Body> {
    let mut response = text(StatusCode::NOT_FOUND, "404 page not found\n");
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, answer::NO_SNIFF);
    response
}

/// The response to a known path with a method that it does not have.
pub fn method_not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
