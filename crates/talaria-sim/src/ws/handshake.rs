//! The client's side of the opening handshake (RFC 6455 §4.1).

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::random::Random;

/// The text that a server appends to the key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The longest head of a response that is accepted, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// The request of a handshake.
#[derive(Debug)]
pub struct Request {
    key: String,
}

impl Request {
    /// A request with a random key (RFC 6455 §4.1, item 7).
    #[must_use]
    pub fn new(random: &mut Random) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&random.next_u64().to_le_bytes());
        key[8..].copy_from_slice(&random.next_u64().to_le_bytes());
        Self { key: STANDARD.encode(key) }
    }

    /// The bytes of the request for `path` at `host`, with further headers.
    #[must_use]
    pub fn to_bytes<'a>(
        &self,
        host: &str,
        path: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Vec<u8> {
        let mut out = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n",
            self.key
        )
        .into_bytes();
        for (name, value) in headers {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{name}: {value}\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Checks the bytes of the response that have arrived so far.
    ///
    /// # Errors
    /// If the server rejects the handshake, or the response is not one of a WebSocket server.
    pub fn check(&self, bytes: &[u8]) -> Result<Answer, HandshakeError> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if bytes.len() > LONGEST_HEAD {
                Err(HandshakeError::Garbled)
            } else {
                Ok(Answer::Incomplete)
            };
        };
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| HandshakeError::Garbled)?;
        let mut lines = head.split("\r\n");
        let status =
            lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).ok_or(HandshakeError::Garbled)?;
        let status: u16 =
            status.get(..3).and_then(|code| code.parse().ok()).ok_or(HandshakeError::Garbled)?;
        if status != 101 {
            return Err(HandshakeError::Refused { status });
        }
        let accept = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("Sec-WebSocket-Accept"))
            .map(|(_, value)| value.trim());
        if accept != Some(accept_of(&self.key).as_str()) {
            return Err(HandshakeError::WrongAccept);
        }
        Ok(Answer::Accepted { head: end + 4 })
    }
}

/// The state of a server's response.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The head has not arrived completely.
    Incomplete,
    /// The server accepts the handshake. Frames may follow directly after the head.
    Accepted {
        /// The length of the head in bytes.
        head: usize,
    },
}

/// Why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The server answered with another status than 101.
    #[error("the gateway refused the device with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// The response is not HTTP/1.1, not UTF-8, or its head is too long.
    #[error("the gateway's answer is not an HTTP/1.1 response")]
    Garbled,
    /// `Sec-WebSocket-Accept` is missing or does not belong to the key (RFC 6455 §4.2.2).
    #[error("the gateway's Sec-WebSocket-Accept does not match the key")]
    WrongAccept,
}

/// The `Sec-WebSocket-Accept` that belongs to a key (RFC 6455 §4.2.2).
fn accept_of(key: &str) -> String {
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(key.as_bytes());
    sha1.update(GUID);
    STANDARD.encode(sha1.digest().bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the accept of RFC 6455 §1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn check(answer: &str) -> Result<Answer, HandshakeError> {
        Request { key: KEY.to_owned() }.check(answer.as_bytes())
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted_up_to_the_end_of_its_head() {
        let head = format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept:{ACCEPT}\r\n\r\n");
        assert_eq!(check(&format!("{head}\u{2}frame")), Ok(Answer::Accepted { head: head.len() }));
    }

    #[test]
    fn a_response_without_the_end_of_its_head_is_incomplete() {
        assert_eq!(check("HTTP/1.1 101 Switching Protocols\r\nX: y\r\n"), Ok(Answer::Incomplete));
    }

    #[test]
    fn another_status_is_an_error_with_that_status() {
        let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(check(answer), Err(HandshakeError::Refused { status: 403 }));
    }

    #[test]
    fn other_responses_are_errors() {
        assert_eq!(check("SSH-2.0-OpenSSH\r\n\r\n"), Err(HandshakeError::Garbled));
        assert_eq!(check(&"x".repeat(LONGEST_HEAD + 1)), Err(HandshakeError::Garbled));
        assert_eq!(
            check("HTTP/1.1 101 x\r\nSec-WebSocket-Accept: no\r\n\r\n"),
            Err(HandshakeError::WrongAccept)
        );
        assert_eq!(check("HTTP/1.1 101 x\r\n\r\n"), Err(HandshakeError::WrongAccept));
    }

    #[test]
    fn a_request_carries_its_headers() {
        let request = Request::new(&mut Random::seeded(1));
        let bytes = request.to_bytes("h:1", "/api/v2/device", [("X-Webpa-Device-Name", "mac:112233445566")]);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("GET /api/v2/device HTTP/1.1\r\nHost: h:1\r\n"), "{text}");
        assert!(
            text.contains("\r\nX-Webpa-Device-Name: mac:112233445566\r\n") && text.ends_with("\r\n\r\n"),
            "{text}"
        );
    }
}
