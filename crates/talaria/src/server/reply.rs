//! The plain responses that several paths give, as the reference's clients know them.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};

use super::Body;

/// `application/json`
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// `text/plain; charset=utf-8`
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A response without a body.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A response with this body.
pub fn with_body(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A plain text; the text ends as it is given.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    with_body(status, TEXT, text.into())
}

/// `{"code": 404, "message": "…"}`, escaped (contract §14.16).
pub fn json_error(status: StatusCode, message: &str) -> Response<Body> {
    let message = serde_json::Value::from(message);
    with_body(status, JSON, format!("{{\"code\": {}, \"message\": {message}}}", status.as_u16()))
}

/// What an unknown path gets.
pub fn not_found() -> Response<Body> {
    let mut response = text(StatusCode::NOT_FOUND, "404 page not found\n");
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What a path gets that knows other methods only.
pub fn method_not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
