//! A gateway as the command line names it: the URL of its metrics page.
//!
//! The credentials of a URL are taken out of it here, and are in no text that is shown.

use std::fmt::{self, Debug};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::http::Uri;

/// The page of a gateway on this host with the default configuration (`metric.address`).
pub const DEFAULT_URL: &str = "http://127.0.0.1:8082/metrics";

/// The path of the page, unless the URL has one.
const PATH: &str = "/metrics";

/// The port of a host that is not written as a URL.
const PORT: u16 = 8082;

/// Where a gateway's metrics page is.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Without credentials.
    url: String,
    /// What the screen calls the gateway: host and port, and a path that is not the usual one.
    name: String,
    /// The value of the header `Authorization`.
    authorization: Option<String>,
}

/// A text that is not the URL of a metrics page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a URL at all, or without a host.
    #[error("expected a host, host:port or a URL such as {DEFAULT_URL}")]
    Url,
    /// Another scheme than `http` and `https`.
    #[error("expected a URL with http or https")]
    Scheme,
}

impl Target {
    /// Parses a URL, or a host with or without its port.
    ///
    /// # Errors
    /// [`TargetError`]
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let written = text.split_once("://");
        let (scheme, rest) = written.unwrap_or(("http", text));
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => "http",
            "https" => "https",
            _ => return Err(TargetError::Scheme),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        let has_port = host.rsplit(']').next().is_some_and(|after| after.contains(':'));
        let host = if written.is_none() && !has_port { format!("{host}:{PORT}") } else { host.to_owned() };
        let path = match path {
            "" | "/" => PATH.to_owned(),
            query if query.starts_with('?') => format!("{PATH}{query}"),
            path => path.to_owned(),
        };
        let url = format!("{scheme}://{host}{path}");
        let parsed: Uri = url.parse().map_err(|_| TargetError::Url)?;
        if parsed.host().is_none_or(str::is_empty) || (has_port && parsed.port_u16().is_none()) {
            return Err(TargetError::Url);
        }
        let name = if path == PATH { host } else { format!("{host}{path}") };
        Ok(Self { url, name, authorization: credentials.map(basic) })
    }

    /// Without credentials.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What the screen calls it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The value of the header `Authorization`.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Whether its page comes over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.url.starts_with("https:")
    }
}

impl Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.url).finish()
    }
}

/// The credentials of a URL as Basic authentication has them (RFC 7617 §2).
fn basic(credentials: &str) -> String {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut plain = percent_decoded(user);
    plain.push(b':');
    plain.extend(percent_decoded(password));
    format!("Basic {}", STANDARD.encode(plain))
}

/// RFC 3986 §2.1. A `%` without two digits stands for itself.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded =
            digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match decoded {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_a_url_or_a_host_with_its_port() {
        for (text, url, name) in [
            (DEFAULT_URL, "http://127.0.0.1:8082/metrics", "127.0.0.1:8082"),
            ("gw1:9000", "http://gw1:9000/metrics", "gw1:9000"),
            ("gw1", "http://gw1:8082/metrics", "gw1:8082"),
            ("[::1]", "http://[::1]:8082/metrics", "[::1]:8082"),
            ("HTTPS://gw1", "https://gw1/metrics", "gw1"),
            ("http://[::1]:8082/", "http://[::1]:8082/metrics", "[::1]:8082"),
            ("http://proxy/gw1/metrics?a=b#c", "http://proxy/gw1/metrics?a=b", "proxy/gw1/metrics?a=b"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.url(), target.name()), (url, name), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_page_is_refused() {
        for (text, error) in [
            ("", TargetError::Url),
            ("http://", TargetError::Url),
            ("http://gw 1/", TargetError::Url),
            ("gw1:port", TargetError::Url),
            ("ftp://gw1", TargetError::Scheme),
            ("file:///metrics", TargetError::Scheme),
        ] {
            assert_eq!(Target::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        let target = Target::parse("http://ops%40home:s%3Ae%2fcret@gw1:8082").unwrap();
        let expected = format!("Basic {}", STANDARD.encode("ops@home:s:e/cret"));
        assert_eq!(target.authorization(), Some(expected.as_str()));
        let shown = format!("{target:?} {} {}", target.url(), target.name());
        assert!(!shown.contains("cret") && !shown.contains("ops"), "{shown}");
        assert_eq!(Target::parse("gw1:8082").unwrap().authorization(), None);
    }
}
