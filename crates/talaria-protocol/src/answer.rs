//! The parts of HTTP answers that several places need, as the reference's clients know them.
//!
//! Whole responses are made where their status is decided.

use http::{HeaderValue, StatusCode};
use serde_json::Value;

/// The content type of JSON.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The content type of plain text.
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The value of `X-Content-Type-Options` that comes with plain text (contract §2.16).
pub const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The text of a 415 for a body with a `Content-Encoding`.
pub const COMPRESSED: &str = "compressed bodies are not supported";

/// The body of a JSON error, `{"code": 404, "message": "…"}`: spaced as the reference spaces it, but escaped
/// (contract §14.16).
#[must_use]
pub fn json_error(status: StatusCode, message: &str) -> String {
    format!("{{\"code\": {}, \"message\": {}}}", status.as_u16(), Value::from(message))
}
