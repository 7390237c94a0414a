//! The header with which a proxy names the client of a connection: the PROXY protocol, versions 1 and 2 (haproxy's
//! `proxy-protocol.txt`).
//!
//! [`parse`] looks at all bytes that have arrived so far. It keeps nothing, and as a header has a maximum length, nothing
//! grows with what a stranger sends. Only the client's address and port are used; what else a header says (the
//! destination, TLS, a name) is checked for its form and ignored.
//!
//! Whether a peer may send a header is not decided here.

mod crc32c;
mod header;
mod v1;
mod v2;

pub use header::{Header, MAX_LENGTH, Progress, ProxyProtocolError};

/// Reads the header at the beginning of a connection, of which these bytes have arrived.
///
/// # Errors
/// If they are not, or cannot become, a header.
pub fn parse(bytes: &[u8]) -> Result<Progress, ProxyProtocolError> {
    if begins_with(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else if begins_with(bytes, v1::SIGNATURE) {
        v1::parse(bytes)
    } else {
        Err(ProxyProtocolError::Missing)
    }
}

/// Whether the bytes begin with the signature, as far as they go.
fn begins_with(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_connection_that_begins_otherwise_has_no_header() {
        for bytes in ["GET / HTTP/1.1\r\n", "PROXZ", "proxy TCP4", "\r\n\r\nGET", "\u{16}\u{3}\u{1}"] {
            assert_eq!(parse(bytes.as_bytes()), Err(ProxyProtocolError::Missing), "{bytes:?}");
        }
        assert_eq!(parse(b""), Ok(Progress::Incomplete));
    }

    /// Beginnings of headers, with anything behind them.
    fn beginnings() -> impl Strategy<Value = Vec<u8>> {
        let line = "PROXY (TCP4|TCP6|UNKNOWN)( [0-9a-f.:]{1,12}){0,3}( [0-9]{1,6}){0,3}(\r\n|\r|\n)?";
        let binary = (0x1f_u8..0x23, 0_u8..0x40, 0_u16..300, prop::collection::vec(any::<u8>(), 0..300));
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            line.prop_map(String::into_bytes),
            binary.prop_map(|(command, family, length, rest)| {
                [v2::SIGNATURE, &[command, family], &length.to_be_bytes(), &rest].concat()
            }),
        ]
    }

    proptest! {
        /// As more arrives, a beginning stays one until the header is complete or refused, and that does not change.
        #[test]
        fn the_verdict_does_not_depend_on_how_the_bytes_arrive(bytes in beginnings()) {
            let whole = parse(&bytes);
            let first = (0..=bytes.len()).map(|end| parse(&bytes[..end])).find(|p| *p != Ok(Progress::Incomplete));
            prop_assert_eq!(first.unwrap_or(Ok(Progress::Incomplete)), whole);
            if let Ok(Progress::Complete(header)) = whole {
                prop_assert!(header.length <= MAX_LENGTH && header.length <= bytes.len());
                prop_assert_eq!(parse(&bytes[..header.length]), whole);
            }
            prop_assert!(whole != Ok(Progress::Incomplete) || bytes.len() < MAX_LENGTH);
        }
    }
}
