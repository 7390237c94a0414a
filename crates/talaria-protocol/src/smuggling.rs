//! Request headers that two servers could read in two ways (RFC 9112 §6.1, §11.2): smuggling.
//!
//! A request with both `Content-Length` and `Transfer-Encoding` ends at different places for a proxy that reads the one
//! and a server that reads the other. hyper reads the second and removes the first, so that a handler cannot see it.
//! Therefore [`Ambiguity`] scans the bytes on their way to hyper. Only headers that begin with a read of the socket are
//! scanned: a proxy's request does, and a request that arrives in one piece with the one before is read as the RFC says.
//!
//! Nothing is parsed or changed here: the scan can only lead to a rejection, and what a request means is hyper's matter.

/// Scans a header while it arrives, without keeping it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ambiguity {
    line: Line,
    has_length: bool,
    has_encoding: bool,
}

/// Where in a line the header is, and which names its beginning still fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// So many letters of a name were read; these may be it.
    Name { read: usize, may_be_length: bool, may_be_encoding: bool },
    /// Empty lines before the request line, which hyper skips.
    #[default]
    Before,
    /// The rest of the line is skipped.
    Rest,
    /// The header has ended.
    Over,
}

const LENGTH: &[u8] = b"content-length";
const ENCODING: &[u8] = b"transfer-encoding";
const START: Line = Line::Name { read: 0, may_be_length: true, may_be_encoding: true };

impl Ambiguity {
    /// Scans the next bytes of the header, which begins with the request line.
    pub fn scan(&mut self, mut bytes: &[u8]) {
        while let [byte, next @ ..] = bytes {
            bytes = match self.line {
                Line::Over => return,
                // Most of a header. Only its end matters.
                Line::Rest => {
                    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
                    self.line = START;
                    &bytes[end + 1..]
                }
                Line::Before | Line::Name { .. } => {
                    self.line = self.after(*byte);
                    next
                }
            };
        }
    }

    /// Where in a line the header is after this byte.
    fn after(&mut self, byte: u8) -> Line {
        match (self.line, byte) {
            (Line::Before, b'\r' | b'\n') => Line::Before,
            // An empty line.
            (Line::Name { read: 0, .. }, b'\n') => Line::Over,
            (_, b'\n') => START,
            (line @ Line::Name { read: 0, .. }, b'\r') => line,
            (Line::Name { read, may_be_length, may_be_encoding }, b':') => {
                self.has_length |= may_be_length && read == LENGTH.len();
                self.has_encoding |= may_be_encoding && read == ENCODING.len();
                Line::Rest
            }
            (Line::Name { read, may_be_length, may_be_encoding }, byte) => {
                let fits = |name: &[u8]| name.get(read) == Some(&byte.to_ascii_lowercase());
                let (may_be_length, may_be_encoding) =
                    (may_be_length && fits(LENGTH), may_be_encoding && fits(ENCODING));
                if may_be_length || may_be_encoding {
                    Line::Name { read: read + 1, may_be_length, may_be_encoding }
                } else {
                    Line::Rest
                }
            }
            (line @ (Line::Rest | Line::Over), _) => line,
            (Line::Before, _) => Line::Rest,
        }
    }

    /// Whether the header gives two lengths.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.has_length && self.has_encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ambiguous(header: &str) -> bool {
        let mut whole = Ambiguity::default();
        whole.scan(header.as_bytes());
        let mut torn = Ambiguity::default();
        for byte in header.as_bytes().chunks(1) {
            torn.scan(byte);
        }
        assert_eq!(whole, torn, "{header:?}");
        whole.is_found()
    }

    #[test]
    fn both_lengths_in_any_order_and_case_are_found() {
        for header in [
            "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: t\r\ntransfer-encoding: chunked\r\nX: y\r\nCONTENT-LENGTH: 4\r\n\r\n",
            "POST / HTTP/1.1\nContent-Length: 4\nTransfer-Encoding: chunked\n\n",
            "\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(is_ambiguous(header), "{header:?}");
        }
    }

    #[test]
    fn one_length_and_look_alikes_are_not() {
        for header in [
            "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nTransfer-Encoding: chunked\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX-Content-Length: 4\r\n\r\n",
            "POST /Content-Length: HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Lengths: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nX: Content-Length:\r\nTransfer-Encoding: chunked\r\nContent: 4\r\n\r\n",
        ] {
            assert!(!is_ambiguous(header), "{header:?}");
        }
    }
}
