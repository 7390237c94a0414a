//! Version 1: a line of text (section 2.1 of `proxy-protocol.txt`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::header::{Header, Progress, ProxyProtocolError};

/// How the line begins.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// The longest line, its end included.
const MAX_LENGTH: usize = 107;

/// Reads bytes that begin with the signature, as far as they go.
pub(super) fn parse(bytes: &[u8]) -> Result<Progress, ProxyProtocolError> {
    let start = &bytes[..bytes.len().min(MAX_LENGTH)];
    let Some(end) = start.windows(2).position(|pair| pair == b"\r\n") else {
        let is_too_long = bytes.len() >= MAX_LENGTH;
        return if is_too_long { Err(ProxyProtocolError::LineTooLong) } else { Ok(Progress::Incomplete) };
    };
    let line = start[..end].strip_prefix(SIGNATURE).ok_or(ProxyProtocolError::Line)?;
    Ok(Progress::Complete(Header { length: end + 2, client: client(line).ok_or(ProxyProtocolError::Line)? }))
}

/// The client that the line names; `None` if the line is malformed.
fn client(line: &[u8]) -> Option<Option<SocketAddr>> {
    // The rest of the line has to be ignored.
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Some(None);
    }
    let mut fields = std::str::from_utf8(line).ok()?.split(' ');
    let address = match fields.next()? {
        "TCP4" => |text: &str| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |text: &str| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return None,
    };
    let source = address(fields.next()?)?;
    address(fields.next()?)?;
    let source_port = port(fields.next()?)?;
    port(fields.next()?)?;
    fields.next().is_none().then_some(Some(SocketAddr::new(source, source_port)))
}

/// A port in its shortest form.
fn port(text: &str) -> Option<u16> {
    let is_shortest = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
    is_shortest.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_client() {
        for (line, client) in [
            ("PROXY TCP4 192.0.2.7 127.0.0.1 5000 6200\r\n", Some("192.0.2.7:5000")),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Some("255.255.255.255:65535")),
            ("PROXY TCP6 2001:db8::1 ::1 0 6200\r\n", Some("[2001:db8::1]:0")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN what ever it says\r\n", None),
        ] {
            let client = client.map(|client| client.parse().unwrap());
            let complete = Ok(Progress::Complete(Header { length: line.len(), client }));
            assert_eq!(parse(line.as_bytes()), complete, "{line:?}");
            assert_eq!(parse(format!("{line}GET / HTTP/1.1\r\n").as_bytes()), complete, "{line:?}");
            assert_eq!(parse(&line.as_bytes()[..line.len() - 1]), Ok(Progress::Incomplete), "{line:?}");
        }
    }

    #[test]
    fn a_malformed_line_is_refused() {
        for line in [
            "PROXY \r\n",
            "PROXY TCP\r\n",
            "PROXY TCP4\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY TCP5 192.0.2.7 127.0.0.1 5000 6200\r\n",
            "PROXY tcp4 192.0.2.7 127.0.0.1 5000 6200\r\n",
            "PROXY TCP4 192.0.2.7 127.0.0.1 5000\r\n",
            "PROXY TCP4 192.0.2.7 127.0.0.1 5000 6200 1\r\n",
            "PROXY TCP4 192.0.2.7 127.0.0.1 5000 6200 \r\n",
            "PROXY TCP4  192.0.2.7 127.0.0.1 5000 6200\r\n",
            "PROXY TCP4 192.0.2.7 127.0.0.1 05000 6200\r\n",
            "PROXY TCP4 192.0.2.7 127.0.0.1 +5000 6200\r\n",
            "PROXY TCP4 192.0.2.7 127.0.0.1 5000 65536\r\n",
            "PROXY TCP4 192.0.2.07 127.0.0.1 5000 6200\r\n",
            "PROXY TCP4 2001:db8::1 ::1 5000 6200\r\n",
            "PROXY TCP6 192.0.2.7 127.0.0.1 5000 6200\r\n",
            "PROXY TCP4 192.0.2.7 127.0.0.1 5000 6200\n\r\n",
            "PROXY TCP4 192.0.2.7\t127.0.0.1 5000 6200\r\n",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(ProxyProtocolError::Line), "{line:?}");
        }
    }

    #[test]
    fn a_line_ends_within_107_bytes() {
        let longest = format!("PROXY UNKNOWN {:x<91}\r\n", "");
        assert_eq!(longest.len(), MAX_LENGTH);
        assert!(matches!(parse(longest.as_bytes()), Ok(Progress::Complete(_))));
        let longer = format!("PROXY UNKNOWN {:x<92}\r\n", "");
        assert_eq!(parse(longer.as_bytes()), Err(ProxyProtocolError::LineTooLong));
        assert_eq!(parse(&longer.as_bytes()[..106]), Ok(Progress::Incomplete));
    }
}
