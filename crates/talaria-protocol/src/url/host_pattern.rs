//! The hosts that an operator allows devices to name: `example.com`, `*.example.com`, `10.0.0.7:8080`.
//!
//! Hosts are compared as they are written, without regard to case; nothing is resolved. Start reading at
//! [`HostPattern`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::Origin;

/// A host or all hosts below a domain, with any port or with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(Box<str>),
    /// `*.example.com`: every name below this one, not the name itself.
    Below(Box<str>),
}

/// The text is not a pattern for hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a host such as example.com, *.example.com, 192.0.2.7 or [2001:db8::7], with or without :port"
)]
pub struct HostPatternError;

impl HostPattern {
    /// Whether this host and port match.
    #[must_use]
    pub fn matches(&self, origin: &Origin) -> bool {
        if self.port.is_some_and(|port| port != origin.port) {
            return false;
        }
        let name = origin.host.strip_suffix('.').unwrap_or(&origin.host);
        match &self.host {
            Host::Address(address) => name.parse() == Ok(*address),
            Host::Name(allowed) => name.eq_ignore_ascii_case(allowed),
            Host::Below(domain) => name.len().checked_sub(domain.len()).is_some_and(|at| {
                let (front, back) = name.as_bytes().split_at(at);
                front.len() > 1 && front.ends_with(b".") && back.eq_ignore_ascii_case(domain.as_bytes())
            }),
        }
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        if let Ok(address) = text.parse() {
            return Ok(Self { host: Host::Address(address), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => {
                let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
                let port = port.parse().ok().filter(|port| is_number && *port != 0);
                (host, Some(port.ok_or(HostPatternError)?))
            }
            _ => (text, None),
        };
        if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            let address: std::net::Ipv6Addr = inside.parse().map_err(|_| HostPatternError)?;
            return Ok(Self { host: Host::Address(address.into()), port });
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        if let Ok(address) = host.parse::<std::net::Ipv4Addr>() {
            return Ok(Self { host: Host::Address(address.into()), port });
        }
        let (name, is_below) = host.strip_prefix("*.").map_or((host, false), |domain| (domain, true));
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if !name.split('.').all(is_label) {
            return Err(HostPatternError);
        }
        let host = if is_below { Host::Below(name.into()) } else { Host::Name(name.into()) };
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            Host::Address(address) => write!(f, "{address}")?,
            Host::Name(name) => f.write_str(name)?,
            Host::Below(domain) => write!(f, "*.{domain}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str, port: u16) -> bool {
        let pattern: HostPattern = pattern.parse().unwrap();
        pattern.matches(&Origin { tls: true, host: host.into(), port })
    }

    #[test]
    fn a_name_matches_itself_only() {
        assert!(matches("example.com", "example.com", 443));
        assert!(matches("Example.com", "eXample.COM.", 8080));
        assert!(!matches("example.com", "www.example.com", 443));
        assert!(!matches("example.com", "example.com.evil.org", 443));
        assert!(!matches("example.com", "badexample.com", 443));
    }

    #[test]
    fn a_wildcard_matches_names_below_the_domain_only() {
        assert!(matches("*.example.com", "a.example.com", 443));
        assert!(matches("*.example.com", "a.b.EXAMPLE.com", 443));
        for host in ["example.com", ".example.com", "badexample.com", "example.com.evil.org", "com"] {
            assert!(!matches("*.example.com", host, 443), "{host}");
        }
    }

    #[test]
    fn a_port_restricts_a_pattern() {
        assert!(matches("example.com:8080", "example.com", 8080));
        assert!(!matches("example.com:8080", "example.com", 443));
        assert!(matches("*.example.com:8080", "a.example.com", 8080));
    }

    #[test]
    fn addresses_match_however_they_are_written_but_no_name_matches_them() {
        assert!(matches("::1", "0:0:0:0:0:0:0:1", 80));
        assert!(matches("[::1]:80", "::1", 80));
        assert!(!matches("[::1]:80", "::1", 81));
        assert!(matches("127.0.0.1", "127.0.0.1", 80));
        assert!(matches("127.0.0.1.", "127.0.0.1", 80));
        assert_eq!("127.0.0.1.:80".parse::<HostPattern>().unwrap().to_string(), "127.0.0.1:80");
        for host in ["127.1", "2130706433", "localhost", "::ffff:127.0.0.1"] {
            assert!(!matches("127.0.0.1", host, 80), "{host}");
        }
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        for text in [
            "", "*", "*.", "a..b", "http://h", "h/x", "h:", "h:0", "h:+1", "h:70000", "a*.b", "[::1", "[h]",
            "h b",
        ] {
            assert_eq!(text.parse::<HostPattern>(), Err(HostPatternError), "{text}");
        }
    }

    #[test]
    fn a_pattern_is_shown_as_it_can_be_written() {
        for text in ["example.com", "*.example.com:8080", "[::1]:80", "192.0.2.7"] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
        }
    }
}
