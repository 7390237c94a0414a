//! The host of a `Host` header or an `Origin` (RFC 9110 §7.2, RFC 3986 §3.2).
//!
//! Whether the host exists is not decided here. Start reading at [`Host::parse`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host without its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An IPv4 address, or an IPv6 address in brackets.
    Address(IpAddr),
    /// A name. It is empty if the client had none.
    Name(&'a str),
}

/// A value that is not a host, with or without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a host name or an IP address, with or without a port")]
pub struct HostError;

impl<'a> Host<'a> {
    /// Reads `host` or `host:port`. Zones of IPv6 addresses are errors.
    ///
    /// # Errors
    /// If a byte, an address or the port is invalid.
    pub fn parse(value: &'a [u8]) -> Result<Self, HostError> {
        let value = str::from_utf8(value).map_err(|_| HostError)?;
        if let Some(rest) = value.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or(HostError)?;
            let address = address.parse::<Ipv6Addr>().map_err(|_| HostError)?;
            match rest.strip_prefix(':') {
                Some(port) => check_port(port)?,
                None if rest.is_empty() => {}
                None => return Err(HostError),
            }
            return Ok(Self::Address(address.into()));
        }
        let (name, port) = value.split_once(':').unwrap_or((value, ""));
        check_port(port)?;
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if is_name(name.as_bytes()) { Ok(Self::Name(name)) } else { Err(HostError) }
    }
}

/// An empty port is the scheme's default.
fn check_port(port: &str) -> Result<(), HostError> {
    let is_port =
        port.bytes().all(|byte| byte.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok());
    if is_port { Ok(()) } else { Err(HostError) }
}

/// `reg-name` of RFC 3986 §3.2.2.
fn is_name(mut name: &[u8]) -> bool {
    loop {
        name = match name {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            [byte, rest @ ..] if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => rest,
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses_with_or_without_a_port() {
        for (value, host) in [
            ("t", Host::Name("t")),
            ("talaria-1.example.com:6200", Host::Name("talaria-1.example.com")),
            ("a_b.%C3%A9.example:", Host::Name("a_b.%C3%A9.example")),
            ("", Host::Name("")),
            ("127.1:80", Host::Name("127.1")),
            ("127.0.0.1:80", Host::Address(Ipv4Addr::LOCALHOST.into())),
            ("[::1]", Host::Address(Ipv6Addr::LOCALHOST.into())),
            ("[::1]:65535", Host::Address(Ipv6Addr::LOCALHOST.into())),
        ] {
            assert_eq!(Host::parse(value.as_bytes()), Ok(host), "{value}");
        }
    }

    #[test]
    fn everything_else_is_an_error() {
        for value in [
            "a b",
            "a/b",
            "a@b",
            "http://a",
            "a:b",
            "a:+1",
            "a:1:2",
            "a:65536",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[fe80::1%25eth0]",
            "[v1.a]",
            "[1.2.3.4]",
            "a%2",
            "a%zz",
            "a,b c",
            "a#b",
            "a?b",
            "a\"b",
            "\u{e9}",
            "a\\b",
        ] {
            assert_eq!(Host::parse(value.as_bytes()), Err(HostError), "{value}");
        }
        assert_eq!(Host::parse(b"\xff"), Err(HostError));
    }
}
