//! What proxies say in a request about the client that it comes from: `Forwarded` (RFC 7239) or `X-Forwarded-For`.
//!
//! Each proxy adds at the right the address that it got the request from. So the list is read from the right: as long as an
//! address is a trusted proxy's, what stands left of it was written by that proxy. The first other address is the client;
//! the client may have made up everything left of it.
//!
//! Whether the peer itself is a trusted proxy, without which none of this counts, is not decided here.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use http::header::{FORWARDED, HeaderMap, HeaderName};

/// The header that the proxies write. Only one is read: a proxy that writes one passes the other on as the client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `Forwarded`.
    Forwarded,
    /// `X-Forwarded-For`.
    XForwardedFor,
}

/// A name that is not that of such a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected Forwarded or X-Forwarded-For")]
pub struct ForwardedHeaderError;

impl ForwardedHeader {
    /// The client's address in a request that a trusted proxy sent. None if all addresses are those of trusted proxies, or
    /// if an element that has to be read is unknown, obfuscated or malformed.
    pub fn client(self, headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        // Several lines are one list (RFC 9110 §5.3). It is read from the right, where what a client wrote cannot change what
        // an element is.
        for line in headers.get_all(self.name()).iter().rev() {
            let mut rest = Some(line.as_bytes());
            while let Some(list) = rest {
                let (left, element) = self.split_last(list);
                rest = left;
                let element = element.trim_ascii();
                if element.is_empty() {
                    continue;
                }
                let address = self.address(std::str::from_utf8(element).ok()?)?;
                if !is_trusted(address) {
                    return Some(address);
                }
            }
        }
        None
    }

    fn name(self) -> HeaderName {
        match self {
            Self::Forwarded => FORWARDED,
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
        }
    }

    /// The last element of a list, and what is left of it. Commas within quotes separate nothing.
    fn split_last(self, list: &[u8]) -> (Option<&[u8]>, &[u8]) {
        let mut is_quoted = false;
        for (at, byte) in list.iter().enumerate().rev() {
            match byte {
                b'"' if self == Self::Forwarded && !(is_quoted && is_escaped(list, at)) => {
                    is_quoted = !is_quoted;
                }
                b',' if !is_quoted => return (Some(&list[..at]), &list[at + 1..]),
                _ => {}
            }
        }
        (None, list)
    }

    fn address(self, element: &str) -> Option<IpAddr> {
        match self {
            Self::Forwarded => node(parameter_for(element)?),
            Self::XForwardedFor => node(element),
        }
    }
}

impl FromStr for ForwardedHeader {
    type Err = ForwardedHeaderError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut headers = [Self::Forwarded, Self::XForwardedFor].into_iter();
        headers.find(|header| header.name().as_str().eq_ignore_ascii_case(name)).ok_or(ForwardedHeaderError)
    }
}

/// Whether a place in an element is within a quoted string (RFC 9110 §5.6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quoted {
    #[default]
    Outside,
    Inside,
    /// Behind a backslash.
    Escaped,
}

impl Quoted {
    /// Takes the next character. Returns whether it is outside of quoted strings.
    fn next(&mut self, letter: char) -> bool {
        let before = *self;
        *self = match (before, letter) {
            (Self::Outside, '"') | (Self::Escaped, _) => Self::Inside,
            (Self::Inside, '\\') => Self::Escaped,
            (Self::Inside, '"') => Self::Outside,
            (state, _) => state,
        };
        before == Self::Outside
    }
}

/// Whether the quote at this place follows a backslash that is not escaped itself (RFC 9110 §5.6.4).
fn is_escaped(list: &[u8], at: usize) -> bool {
    list[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Whether each quote of an element is closed and no backslash is outside of quotes. Otherwise it begins elsewhere if it is
/// read from the left.
fn is_well_quoted(element: &str) -> bool {
    let mut quoted = Quoted::default();
    let is_stray = |letter: char| quoted.next(letter) && letter == '\\';
    !element.contains(is_stray) && quoted == Quoted::Outside
}

/// The value of the only parameter `for` of an element of `Forwarded`.
fn parameter_for(element: &str) -> Option<&str> {
    if !is_well_quoted(element) {
        return None;
    }
    let mut quoted = Quoted::default();
    let mut found = None;
    for pair in element.split(|letter| quoted.next(letter) && letter == ';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        if trim(name).eq_ignore_ascii_case("for") && found.replace(trim(value)).is_some() {
            return None;
        }
    }
    let value = found?;
    match value.strip_prefix('"') {
        // An address needs no escapes.
        Some(value) => value.strip_suffix('"').filter(|value| !value.contains('"')),
        None => Some(value),
    }
}

/// The address of a node, which may have a port: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`, and
/// `2001:db8::1`, as many proxies write it.
fn node(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    address.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use ForwardedHeader::{Forwarded, XForwardedFor};
    use proptest::prelude::*;

    use http::HeaderValue;

    use super::*;

    /// What is found in these lines if all of 10.0.0.0/8 is trusted.
    fn client(header: ForwardedHeader, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header.name(), HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let is_trusted = |address| matches!(address, IpAddr::V4(address) if address.octets()[0] == 10);
        header.client(&headers, is_trusted).map(|address| address.to_string())
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_not_a_proxys() {
        for (header, lines, expected) in [
            (XForwardedFor, &["192.0.2.1"][..], Some("192.0.2.1")),
            (XForwardedFor, &["203.0.113.9, 192.0.2.1, 10.0.0.1 ,10.0.0.2"], Some("192.0.2.1")),
            (XForwardedFor, &["203.0.113.9", "192.0.2.1", "10.0.0.1"], Some("192.0.2.1")),
            (XForwardedFor, &["made up, 192.0.2.1,, 10.0.0.1"], Some("192.0.2.1")),
            (XForwardedFor, &["192.0.2.1:5000"], Some("192.0.2.1")),
            (XForwardedFor, &["2001:db8::1"], Some("2001:db8::1")),
            (XForwardedFor, &["[2001:db8::1]:5000, [::ffff:10.0.0.1]"], Some("2001:db8::1")),
            (XForwardedFor, &["\", 192.0.2.1"], Some("192.0.2.1")),
            (XForwardedFor, &["10.0.0.1, 10.0.0.2"], None),
            (XForwardedFor, &["192.0.2.1, unknown"], None),
            (XForwardedFor, &["192.0.2.1, \u{e9}"], None),
            (XForwardedFor, &["\u{e9}, 192.0.2.1"], Some("192.0.2.1")),
            (XForwardedFor, &[""], None),
            (XForwardedFor, &[], None),
            (Forwarded, &["for=192.0.2.1"], Some("192.0.2.1")),
            (Forwarded, &["For=\"192.0.2.1:5000\" ; proto=https;by=10.0.0.9"], Some("192.0.2.1")),
            (
                Forwarded,
                &["for=203.0.113.9, for=\"[2001:db8::1]:5000\"", "for=10.0.0.1"],
                Some("2001:db8::1"),
            ),
            (Forwarded, &["for=192.0.2.1;host=\"a, for=203.0.113.9\""], Some("192.0.2.1")),
            (Forwarded, &["for=192.0.2.1;host=\"\\\";for=203.0.113.9\", for=10.0.0.1"], Some("192.0.2.1")),
            (Forwarded, &["for=\"203.0.113.9, for=192.0.2.1"], Some("192.0.2.1")),
            (Forwarded, &["for=192.0.2.1, for=\"203.0.113.9"], None),
            (Forwarded, &["for=192.0.2.1;x=\""], None),
            (Forwarded, &["for=192.0.2.1;x=\\\"a\""], None),
            (Forwarded, &["for=192.0.2.1;x=\"\\\\\", for=\"10.0.0.1\""], Some("192.0.2.1")),
            (Forwarded, &["for=192.0.2.1;for=203.0.113.9"], None),
            (Forwarded, &["for=192.0.2.1, for=_hidden"], None),
            (Forwarded, &["for=192.0.2.1, for=unknown"], None),
            (Forwarded, &["for=192.0.2.1, proto=http"], None),
            (Forwarded, &["192.0.2.1"], None),
        ] {
            assert_eq!(client(header, lines).as_deref(), expected, "{header:?} {lines:?}");
        }
    }

    #[test]
    fn a_header_has_a_name() {
        assert_eq!("forwarded".parse(), Ok(Forwarded));
        assert_eq!("X-Forwarded-For".parse(), Ok(XForwardedFor));
        assert_eq!("X-Real-IP".parse::<ForwardedHeader>(), Err(ForwardedHeaderError));
    }

    proptest! {
        /// Whatever the client wrote before, what the proxy adds decides, in a line of its own or in the client's.
        #[test]
        fn what_a_client_writes_does_not_count(lines in prop::collection::vec("[ -~\u{e9}]{0,30}", 1..4)) {
            for (header, added) in [(Forwarded, "for=\"192.0.2.1:80\""), (XForwardedFor, "192.0.2.1")] {
                let own_line: Vec<&str> = lines.iter().map(String::as_str).chain([added]).collect();
                let mut same_line = lines.clone();
                same_line.last_mut().unwrap().push_str(&format!(", {added}"));
                let same_line: Vec<&str> = same_line.iter().map(String::as_str).collect();
                for lines in [own_line, same_line] {
                    let found = client(header, &lines);
                    prop_assert_eq!(found.as_deref(), Some("192.0.2.1"), "{:?}", lines);
                }
            }
        }
    }
}
