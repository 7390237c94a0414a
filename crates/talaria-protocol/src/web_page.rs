//! Requests that a web page of another site made, through the browser of a person who can reach this server.
//!
//! A page can make the browser send requests to any address, also to loopback (cross-site request forgery). The browser
//! says so in `Sec-Fetch-Site` or `Origin`. A page can also be loaded from a name that is then resolved to this server's
//! address (DNS rebinding). For the browser the server is then a part of the page's site, but `Host` shows that name.
//!
//! Clients that are not browsers send neither `Origin` nor `Sec-Fetch-Site`. Credentials are not checked here. Start reading
//! at [`ServerNames::check`].

use std::str::FromStr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

use crate::host::{Host, HostError};

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The names under which clients reach a server, besides its IP addresses and `localhost`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerNames(Vec<ServerName>);

/// The name of a server, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName(Box<str>);

/// Why a request may be one of a web page. The texts are the answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebPageError {
    /// Its browser says that it came from another site.
    #[error("requests of web pages of other sites are not allowed (Sec-Fetch-Site)")]
    Site,
    /// Its page has another origin.
    #[error("requests of web pages of other sites are not allowed (Origin)")]
    Origin,
    /// The server does not have the name in `Host`.
    #[error("Host is not a name of this server: expected an IP address, localhost or a name in allowedHosts")]
    Host,
}

impl ServerNames {
    /// These names and no others.
    pub fn new(names: impl IntoIterator<Item = ServerName>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Checks the headers of a request.
    ///
    /// # Errors
    /// If a web page of another site may have made it.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), WebPageError> {
        let is_own = |site: &[u8]| matches!(site, b"same-origin" | b"none");
        if !headers.get_all(SEC_FETCH_SITE).iter().all(|site| is_own(site.as_bytes())) {
            return Err(WebPageError::Site);
        }
        if !has_own_origin(headers) {
            return Err(WebPageError::Origin);
        }
        let is_known = |host: &[u8]| match Host::parse(host) {
            Ok(Host::Address(_)) => true,
            Ok(Host::Name(name)) => self.contains(name),
            Err(HostError) => false,
        };
        // Every browser sends one; a script may speak HTTP/1.0 without it.
        if !headers.get_all(HOST).iter().all(|host| is_known(host.as_bytes())) {
            return Err(WebPageError::Host);
        }
        Ok(())
    }

    fn contains(&self, name: &str) -> bool {
        let name = without_root(name);
        name.eq_ignore_ascii_case("localhost")
            || self.0.iter().any(|ServerName(own)| own.eq_ignore_ascii_case(name))
    }
}

impl FromStr for ServerName {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        match Host::parse(text.as_bytes())? {
            Host::Name(name) if name == text && !without_root(name).is_empty() => {
                Ok(Self(without_root(name).into()))
            }
            Host::Name(_) | Host::Address(_) => Err(HostError),
        }
    }
}

/// Whether there is no `Origin`, or one whose host and port are those of `Host`.
#[must_use]
pub fn has_own_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
    headers.get_all(ORIGIN).iter().filter(|origin| !origin.is_empty()).all(|origin| {
        let authority =
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
        authority
            .and_then(|rest| rest.split('/').next())
            .is_some_and(|authority| authority.as_bytes().eq_ignore_ascii_case(host))
    })
}

/// A name without the dot of the root.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(headers: &[(&'static str, &str)]) -> Result<(), WebPageError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        ServerNames::new(["control.example".parse().unwrap()]).check(&map)
    }

    #[test]
    fn programs_and_the_servers_own_pages_pass() {
        for host in
            ["127.0.0.1:6205", "[::1]:6205", "192.0.2.1", "localhost:6205", "LOCALHOST.", "Control.Example:1"]
        {
            assert_eq!(checked(&[("host", host)]), Ok(()), "{host}");
            let origin = format!("http://{host}");
            let own = [("host", host), ("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
            assert_eq!(checked(&own), Ok(()), "{host}");
            assert_eq!(
                checked(&[("host", host), ("sec-fetch-site", "none")]),
                Ok(()),
                "typed by the operator"
            );
        }
        assert_eq!(checked(&[]), Ok(()), "HTTP/1.0");
    }

    #[test]
    fn pages_of_other_sites_do_not() {
        for site in ["cross-site", "same-site", "", "none, cross-site"] {
            let headers = [("host", "localhost"), ("sec-fetch-site", site)];
            assert_eq!(checked(&headers), Err(WebPageError::Site), "{site}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost:3000",
            "file://",
            "http://localhost.evil.example",
        ] {
            let headers = [("host", "localhost:6205"), ("origin", origin)];
            assert_eq!(checked(&headers), Err(WebPageError::Origin), "{origin}");
        }
        let two = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.example")];
        assert_eq!(checked(&two), Err(WebPageError::Origin));
    }

    #[test]
    fn names_that_were_rebound_do_not() {
        for host in [
            "evil.example",
            "evil.example:6205",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.1",
            "",
        ] {
            let origin = format!("http://{host}");
            let headers = [("host", host), ("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
            assert_eq!(checked(&headers), Err(WebPageError::Host), "{host}");
        }
    }

    #[test]
    fn a_name_has_no_port_and_is_not_an_address() {
        for text in ["", ".", "a:1", "a:", "127.0.0.1", "[::1]", "http://a", "*.a b"] {
            assert_eq!(text.parse::<ServerName>(), Err(HostError), "{text}");
        }
    }
}
