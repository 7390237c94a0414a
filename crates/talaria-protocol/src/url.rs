//! The URL of an event receiver: configured, or named by a device as the destination of its event.
//!
//! Which texts are URLs is decided as Go's `net/url` decides it, because configurations and devices were written for
//! it. A text that Go rejects is a [`UrlError`]. A text that Go accepts but to which no request can be made (another
//! scheme, no host) is a [`Target`] whose [`address`](Target::address) is an [`AddressError`], so that it fails when it
//! is sent to, as in the reference.
//!
//! Nothing is resolved or connected here, and which schemes and hosts are allowed is the gateway's configuration. Whether
//! a host is one of those is decided by a [`HostPattern`], whether an address is public by [`public_address`].

mod host_pattern;
pub mod public_address;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};

pub use host_pattern::{HostPattern, HostPatternError};

use crate::go::percent;

/// The text is not a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a URL")]
pub struct UrlError;

/// No request can be made to the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `http` nor `https`.
    #[error("the scheme of the URL is neither http nor https")]
    Scheme,
    /// No host, or one that cannot be looked up.
    #[error("the URL names no usable host")]
    Host,
}

/// A URL to post to.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Box<str>,
    address: Result<Address, AddressError>,
}

/// The parts of a URL that a request is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What to connect to.
    pub origin: Origin,
    /// The `Host` header.
    pub host: HeaderValue,
    /// The request line's path and query.
    pub path: Uri,
    /// `Authorization`, if the URL contains a user and nothing better is configured.
    pub credentials: Option<HeaderValue>,
}

/// What a connection is made to, and shared for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// A name or an address, without brackets, in lower case.
    pub host: Box<str>,
    /// The TCP port.
    pub port: u16,
}

impl Target {
    /// Splits a URL into its parts.
    ///
    /// # Errors
    /// [`UrlError`] for a text that is not a URL.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let split = Split::new(url)?;
        Ok(Self { url: url.into(), address: split.address()? })
    }

    /// The URL as it was written.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What a request to it is made of.
    ///
    /// # Errors
    /// [`AddressError`] if no request can be made to it.
    pub fn address(&self) -> Result<&Address, AddressError> {
        self.address.as_ref().map_err(|unusable| *unusable)
    }

    /// The URL that a `Location` header means, seen from this one (RFC 3986 §5.2).
    ///
    /// # Errors
    /// [`UrlError`] if the result is not a URL.
    pub fn redirected(&self, location: &str) -> Result<Self, UrlError> {
        let base = Split::new(&self.url)?;
        if Split::new(location)?.scheme.is_some() {
            return Self::parse(location);
        }
        let (scheme, authority) = (base.scheme.unwrap_or_default(), base.authority.unwrap_or_default());
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        let path = if location.starts_with('/') {
            location.to_owned()
        } else if location.starts_with('?') {
            format!("{}{location}", base.path)
        } else {
            let folder = base.path.rfind('/').map_or("/", |slash| &base.path[..=slash]);
            format!("{folder}{location}")
        };
        Self::parse(&format!("{scheme}://{authority}{}", without_dot_segments(&path)))
    }
}

/// The URL as it may be logged: without its user and password.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = Split::new(&self.url).ok().and_then(|split| split.authority);
        let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
        match (user, self.url.split_once("//")) {
            (Some(user), Some((scheme, rest))) => write!(f, "{scheme}//***{}", &rest[user.len()..]),
            _ => f.write_str(&self.url),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// The raw parts of a URL.
struct Split<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Split<'a> {
    fn new(url: &'a str) -> Result<Self, UrlError> {
        if url.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(UrlError);
        }
        let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
        check_escapes(fragment)?;
        let (scheme, rest) = split_scheme(url)?;
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        if !rest.starts_with('/') {
            if scheme.is_none() && rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err(UrlError);
            }
            // With a scheme: "opaque", a mail address for instance. Nothing that a request can be made to.
            let path = if scheme.is_some() { "" } else { rest };
            check_escapes(path)?;
            return Ok(Self { scheme, authority: None, path, query });
        }
        let has_authority = rest.starts_with("//") && (scheme.is_some() || !rest.starts_with("///"));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(after) if has_authority => {
                let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
                (Some(authority), path)
            }
            _ => (None, rest),
        };
        check_escapes(path)?;
        Ok(Self { scheme, authority, path, query })
    }

    /// The checked address; the outer error is for a text that is no URL.
    fn address(&self) -> Result<Result<Address, AddressError>, UrlError> {
        let authority = Authority::parse(self.authority.unwrap_or_default())?;
        let scheme = self.scheme.unwrap_or_default();
        let tls = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ => return Ok(Err(AddressError::Scheme)),
        };
        Ok(authority.address(tls, &origin_form(self.path, self.query)).ok_or(AddressError::Host))
    }
}

/// The parts between `//` and the path.
struct Authority<'a> {
    user: Option<&'a str>,
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Authority<'a> {
    fn parse(text: &'a str) -> Result<Self, UrlError> {
        let (user, rest) = text.rsplit_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
        if let Some(user) = user {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
            if !user.bytes().all(allowed) {
                return Err(UrlError);
            }
            check_escapes(user)?;
        }
        let (host, colon_port) = match rest.strip_prefix('[') {
            Some(inside) => {
                let end = inside.rfind(']').ok_or(UrlError)?;
                (&inside[..end], &inside[end + 1..])
            }
            None => rest.split_at(rest.rfind(':').unwrap_or(rest.len())),
        };
        let port = match colon_port.strip_prefix(':') {
            Some(port) => Some(port).filter(|port| !port.is_empty()),
            None if colon_port.is_empty() => None,
            None => return Err(UrlError),
        };
        if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(UrlError);
        }
        let in_host = |byte: u8| {
            !byte.is_ascii() || byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]<>\"%".contains(&byte)
        };
        if !host.bytes().all(in_host) {
            return Err(UrlError);
        }
        check_host_escapes(host)?;
        Ok(Self { user, host, port })
    }

    /// `None` if nothing can be connected to.
    fn address(&self, tls: bool, path: &str) -> Option<Address> {
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if self.host.is_empty() || !self.host.bytes().all(usable) {
            return None;
        }
        let port = match self.port {
            Some(port) => port.parse().ok()?,
            None if tls => 443,
            None => 80,
        };
        let mut host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_owned() };
        if let Some(port) = self.port {
            host.push(':');
            host.push_str(port);
        }
        let credentials = match self.user {
            Some(user) => Some(basic(user)?),
            None => None,
        };
        Some(Address {
            origin: Origin { tls, host: self.host.to_ascii_lowercase().into(), port },
            host: HeaderValue::try_from(host).ok()?,
            path: Uri::try_from(path).ok()?,
            credentials,
        })
    }
}

/// `None` in front of a text without a scheme.
fn split_scheme(url: &str) -> Result<(Option<&str>, &str), UrlError> {
    for (at, byte) in url.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at > 0 => return Ok((Some(&url[..at]), &url[at + 1..])),
            b':' => return Err(UrlError),
            _ => break,
        }
    }
    Ok((None, url))
}

/// Every `%` has to be followed by two hex digits.
fn check_escapes(text: &str) -> Result<(), UrlError> {
    percent::escapes(text.as_bytes()).try_for_each(|escape| escape.map(|_| ()).map_err(|_| UrlError))
}

/// In a host, only bytes beyond ASCII may be escaped, and the `%` itself before a zone.
fn check_host_escapes(host: &str) -> Result<(), UrlError> {
    percent::escapes(host.as_bytes()).try_for_each(|escape| match escape {
        Ok(b'%' | 0x80..) => Ok(()),
        _ => Err(UrlError),
    })
}

/// The path and query as they stand in the request line; what may not stand there is escaped.
fn origin_form(path: &str, query: Option<&str>) -> String {
    let mut out = String::with_capacity(path.len() + query.map_or(0, |query| query.len() + 1) + 1);
    if !path.starts_with('/') {
        out.push('/');
    }
    push_escaped(&mut out, path);
    if let Some(query) = query {
        out.push('?');
        push_escaped(&mut out, query);
    }
    out
}

fn push_escaped(out: &mut String, text: &str) {
    percent::encode(out, text.as_bytes(), |byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte));
}

fn basic(user: &str) -> Option<HeaderValue> {
    let user = if user.contains(':') { user.to_owned() } else { format!("{user}:") };
    let user = percent::decode(user.as_bytes()).ok()?;
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(user))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// RFC 3986 §5.2.4; the query is left alone.
fn without_dot_segments(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Target::parse(url).unwrap().address().unwrap().clone()
    }

    #[test]
    fn a_url_gives_origin_host_header_and_path() {
        let address = address("https://caduceus.example.com:8443/api/v4/notify?a=b#c");
        assert_eq!(address.origin, Origin { tls: true, host: "caduceus.example.com".into(), port: 8443 });
        assert_eq!(address.host, "caduceus.example.com:8443");
        assert_eq!(address.path, "/api/v4/notify?a=b");
    }

    #[test]
    fn the_port_and_the_path_have_defaults() {
        assert_eq!(address("http://h").origin.port, 80);
        assert_eq!(address("HTTPS://h:").origin.port, 443);
        assert_eq!(address("http://h").path, "/");
        assert_eq!(address("http://h").host, "h");
    }

    #[test]
    fn an_ipv6_address_keeps_its_brackets_in_the_header_only() {
        let address = address("http://[::1]:80/y");
        assert_eq!((&*address.origin.host, address.host.to_str().unwrap()), ("::1", "[::1]:80"));
    }

    #[test]
    fn user_and_password_become_credentials() {
        assert_eq!(address("https://us%65r:pw@h/y").credentials.unwrap(), "Basic dXNlcjpwdw==");
    }

    #[test]
    fn what_go_rejects_is_not_a_url() {
        for url in [
            "http://a b/",
            "https://a%zz",
            "http://h:x/",
            "http://h/%2",
            ":x",
            "a b:c/d",
            "http://[::1/",
            "h\n",
        ] {
            assert_eq!(Target::parse(url), Err(UrlError), "{url}");
        }
    }

    #[test]
    fn what_go_accepts_but_cannot_send_to_has_no_address() {
        for (url, unusable) in [
            ("", AddressError::Scheme),
            ("caduceus:6000/x", AddressError::Scheme),
            ("ftp://x/y", AddressError::Scheme),
            ("https:///x", AddressError::Host),
            ("http:x", AddressError::Host),
        ] {
            assert_eq!(Target::parse(url).unwrap().address(), Err(unusable), "{url}");
        }
    }

    #[test]
    fn no_password_of_a_url_is_ever_shown() {
        for (url, shown) in [
            ("http://http:secret@h:1/a@b", "http://***@h:1/a@b"),
            ("https://token@h/", "https://***@h/"),
            ("http://h/a@b", "http://h/a@b"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.to_string(), shown);
            assert_eq!(format!("{target:?}"), format!("Target({shown})"));
        }
    }

    #[test]
    fn characters_that_a_request_line_cannot_hold_are_escaped() {
        assert_eq!(address("http://h/a b/ü?q=<x>").path, "/a%20b/%C3%BC?q=%3Cx%3E");
    }

    #[test]
    fn a_redirect_is_resolved_against_the_url_it_came_from() {
        let base = Target::parse("http://h:1/a/b/c?q").unwrap();
        for (location, url) in [
            ("https://other/x", "https://other/x"),
            ("//other/x", "http://other/x"),
            ("/x?y", "http://h:1/x?y"),
            ("d", "http://h:1/a/b/d"),
            ("../d", "http://h:1/a/d"),
            ("./", "http://h:1/a/b/"),
            ("?z", "http://h:1/a/b/c?z"),
        ] {
            assert_eq!(base.redirected(location).unwrap().url(), url, "{location}");
        }
    }
}
