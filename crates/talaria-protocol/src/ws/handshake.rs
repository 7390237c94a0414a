//! The opening handshake (RFC 6455 §4.2): whether a request is an upgrade, and what the answer is.
//!
//! Status codes and texts are those of contract §2.16. Who the device is does not matter here; that is
//! [`connect`](crate::connect)'s task.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use crate::web_page::has_own_origin;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;

/// The only version of the protocol there is.
pub const VERSION: &str = "13";

/// The request is not a WebSocket handshake that this server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// Any method but GET.
    #[error("Method Not Allowed")]
    Method,
    /// HTTP/1.0, which has no upgrades (RFC 6455 §4.2.1), no `Upgrade: websocket`, no `Connection: Upgrade`, another version, or a key that is not 16 bytes of base64.
    #[error("Bad Request")]
    Headers,
    /// An `Origin` of another host: the page of another site in a browser.
    #[error("Forbidden")]
    Origin,
}

impl UpgradeError {
    /// The response's status; its body is the error's text and a line feed.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Headers => StatusCode::BAD_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
        }
    }
}

/// A subprotocol that a server supports (RFC 6455 §1.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subprotocol(HeaderValue);

/// The text is not the name of a subprotocol: a token of RFC 9110 §5.6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a WebSocket subprotocol")]
pub struct SubprotocolError;

impl std::str::FromStr for Subprotocol {
    type Err = SubprotocolError;

    fn from_str(name: &str) -> Result<Self, SubprotocolError> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(SubprotocolError);
        }
        HeaderValue::from_str(name).map(Self).map_err(|_| SubprotocolError)
    }
}

impl Subprotocol {
    /// The response's `Sec-WebSocket-Protocol`.
    #[must_use]
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }
}

/// The first of the supported subprotocols that the client offers (RFC 6455 §4.2.2). Names are compared with case.
#[must_use]
pub fn choose_subprotocol<'s>(headers: &HeaderMap, supported: &'s [Subprotocol]) -> Option<&'s Subprotocol> {
    let is_offered = |subprotocol: &&Subprotocol| {
        let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let mut names = offers.flat_map(|offer| offer.as_bytes().split(|byte| *byte == b','));
        names.any(|name| name.trim_ascii() == subprotocol.0.as_bytes())
    };
    supported.iter().find(is_offered)
}

/// Checks a request and gives the response's `Sec-WebSocket-Accept`.
///
/// # Errors
/// The first thing that is missing or wrong.
pub fn check(version: Version, method: &Method, headers: &HeaderMap) -> Result<String, UpgradeError> {
    if method != Method::GET {
        return Err(UpgradeError::Method);
    }
    if version < Version::HTTP_11 {
        return Err(UpgradeError::Headers);
    }
    for (name, token) in
        [(&CONNECTION, "upgrade"), (&UPGRADE, "websocket"), (&SEC_WEBSOCKET_VERSION, VERSION)]
    {
        if !has_token(headers, name, token) {
            return Err(UpgradeError::Headers);
        }
    }
    if !has_own_origin(headers) {
        return Err(UpgradeError::Origin);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map_or(&b""[..], |key| key.as_bytes());
    if STANDARD.decode(key).map(|bytes| bytes.len()) != Ok(KEY_BYTES) {
        return Err(UpgradeError::Headers);
    }
    Ok(accept(key))
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`.
#[must_use]
pub fn accept(key: &[u8]) -> String {
    let mut sha1 = sha1_smol::Sha1::from(key);
    sha1.update(GUID);
    STANDARD.encode(sha1.digest().bytes())
}

/// Whether one of the comma-separated tokens of a header is `token`, without regard to case.
fn has_token(headers: &HeaderMap, name: &http::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|found| found.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("host", "talaria:6200"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn headers(replace: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in GOOD.iter().chain(replace) {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn http_1_0_has_no_upgrades() {
        let refused = check(Version::HTTP_10, &Method::GET, &headers(&[]));
        assert_eq!(refused, Err(UpgradeError::Headers));
        assert_eq!(UpgradeError::Headers.status(), 400);
    }

    #[test]
    fn the_rfc_s_sample_nonce_is_accepted() {
        assert_eq!(
            check(Version::HTTP_11, &Method::GET, &headers(&[])).as_deref(),
            Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
    }

    #[test]
    fn a_request_that_is_no_handshake_has_its_error() {
        for (name, value) in [
            ("connection", "close"),
            ("upgrade", "h2c"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-key", "c2hvcnQ="),
            ("sec-websocket-key", "not base64"),
        ] {
            let refused = check(Version::HTTP_11, &Method::GET, &headers(&[(name, value)]));
            assert_eq!(refused, Err(UpgradeError::Headers), "{name}: {value}");
        }
        assert_eq!(check(Version::HTTP_11, &Method::POST, &headers(&[])), Err(UpgradeError::Method));
        assert_eq!(check(Version::HTTP_11, &Method::POST, &HeaderMap::new()), Err(UpgradeError::Method));
    }

    #[test]
    fn the_first_supported_subprotocol_that_is_offered_is_chosen() {
        let supported: Vec<Subprotocol> =
            ["wrp-0.1", "wrp"].iter().map(|name| name.parse().unwrap()).collect();
        for (offers, chosen) in [
            (&[][..], None),
            (&["chat"], None),
            (&["WRP"], None),
            (&["wrp"], Some("wrp")),
            (&["chat, wrp , wrp-0.1"], Some("wrp-0.1")),
            (&["wrp", "wrp-0.1"], Some("wrp-0.1")),
            (&["wrp-0.1x,,"], None),
        ] {
            let mut headers = HeaderMap::new();
            for offer in offers {
                headers.append(SEC_WEBSOCKET_PROTOCOL, offer.parse().unwrap());
            }
            let found =
                choose_subprotocol(&headers, &supported).map(|found| found.header().to_str().unwrap());
            assert_eq!(found, chosen, "{offers:?}");
        }
        for name in ["", "a b", "a,b", "a\r\nb", "é"] {
            assert_eq!(name.parse::<Subprotocol>(), Err(SubprotocolError), "{name:?}");
        }
    }

    #[test]
    fn only_an_origin_of_this_host_may_connect() {
        for (origin, ours) in [
            ("http://talaria:6200", true),
            ("https://TALARIA:6200/x", true),
            ("http://talaria", false),
            ("https://elsewhere.example", false),
            ("null", false),
        ] {
            let result = check(Version::HTTP_11, &Method::GET, &headers(&[("origin", origin)]));
            assert_eq!(result.is_ok(), ours, "origin {origin}");
        }
    }
}
