//! Responses as bytes, for clients whose request never reached a handler.
//!
//! hyper answers a header that it cannot parse by itself, without the identity headers that every response carries
//! (contract §3.8). The [stream](super::stream) below hyper notices this and writes one of these responses instead.

use std::fmt::Write as _;

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::{HeaderName, StatusCode};

use super::{Identity, reply};

/// The status of a response head that hyper has written.
pub(super) fn status_of(head: &[u8]) -> Option<StatusCode> {
    let code = head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    StatusCode::from_bytes(code).ok()
}

/// A complete response, after which the connection is closed.
pub(super) fn response(status: StatusCode, text: &str, identity: &Identity) -> Vec<u8> {
    let mut response = reply::text(status, String::new());
    identity.sign(&mut response);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend_from_slice(title_case(name).as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// The body of such a response in the words of Go's server: `400 Bad Request`.
pub(super) fn text(status: StatusCode) -> String {
    let mut text = status.as_u16().to_string();
    if let Some(reason) = status.canonical_reason() {
        let _ = write!(text, " {reason}");
    }
    text
}

/// `X-Talaria-Build`: the case in which hyper writes the headers of the other responses.
fn title_case(name: &HeaderName) -> String {
    let mut starts = true;
    let letters = name.as_str().chars().map(|letter| {
        let letter = if starts { letter.to_ascii_uppercase() } else { letter };
        starts = letter == '-';
        letter
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_complete_and_has_the_identity_headers() {
        let identity = Identity::new("1.0", "host", "east", "mint", jiff::Timestamp::UNIX_EPOCH).unwrap();
        let status = StatusCode::BAD_REQUEST;
        let bytes = String::from_utf8(response(status, &text(status), &identity)).unwrap();
        assert!(bytes.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{bytes}");
        assert!(bytes.contains("\r\nX-Talaria-Build: 1.0\r\n"), "{bytes}");
        assert!(bytes.contains("\r\nConnection: close\r\n"), "{bytes}");
        assert!(bytes.ends_with("\r\n\r\n400 Bad Request"), "{bytes}");
        assert_eq!(status_of(bytes.as_bytes()), Some(status));
    }

    #[test]
    fn bytes_that_are_not_a_response_have_no_status() {
        for head in ["", "HTTP/1.1 ", "HTTP/1.1 4", "hello world, this is a body"] {
            assert_eq!(status_of(head.as_bytes()), None, "{head}");
        }
    }
}
