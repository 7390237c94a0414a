//! The address of a gateway's REST API.

use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// The address of a gateway's REST API: `http://host:port` or `https://host:port`. The host is resolved when it is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    pub(crate) address: SocketAddr,
    is_tls: bool,
    pub(crate) host: String,
}

/// The text is not the address of an API.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an address of the form http://host:port or https://host:port")]
pub struct ApiError(String);

impl Api {
    /// The API at this address, over plain HTTP.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { address, is_tls: false, host: address.to_string() }
    }

    /// The API at the same address, over TLS.
    #[must_use]
    pub fn over_tls(self) -> Self {
        Self { is_tls: true, ..self }
    }

    /// Whether the API uses TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl FromStr for Api {
    type Err = ApiError;

    fn from_str(url: &str) -> Result<Self, ApiError> {
        let malformed = || ApiError(url.to_owned());
        let (is_tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(malformed()),
        };
        let host = rest.trim_end_matches('/').to_owned();
        let address = host.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(malformed)?;
        Ok(Self { address, is_tls, host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_address_is_http_with_a_port() {
        assert_eq!("http://127.0.0.1:80/".parse::<Api>().unwrap(), Api::at("127.0.0.1:80".parse().unwrap()));
        assert!("https://127.0.0.1:443".parse::<Api>().unwrap().is_tls());
        for url in ["127.0.0.1:80", "ftp://127.0.0.1:80", "http://127.0.0.1", ""] {
            assert!(url.parse::<Api>().is_err(), "{url:?}");
        }
    }
}
