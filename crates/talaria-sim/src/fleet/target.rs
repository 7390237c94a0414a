//! The address of a gateway's device endpoint.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// The number of connections from one source address. Linux has about 28,000 ports for them; this leaves some free.
const PER_SOURCE: usize = 25_000;

/// A gateway's device endpoint: `ws://host:port/path`, or `wss://` for TLS. The host is resolved when it is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The resolved address.
    pub address: SocketAddr,
    /// Whether the endpoint uses TLS.
    pub is_tls: bool,
    /// The value of the `Host` header.
    pub host: String,
    /// The path of the request.
    pub path: String,
}

/// Why a text is not the address of a device endpoint.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The text is neither `ws://host:port/path` nor `wss://host:port/path`.
    #[error("`{0}` is not an address of the form ws://host:port/path or wss://host:port/path")]
    Malformed(String),
    /// The host could not be resolved.
    #[error("cannot resolve the host of `{url}`: {source}")]
    Unresolved {
        /// The text.
        url: String,
        /// The resolver's error.
        source: std::io::Error,
    },
}

impl Target {
    /// The device endpoint of a gateway at this address, without TLS.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { address, is_tls: false, host: address.to_string(), path: "/api/v2/device".to_owned() }
    }

    /// The source address for the device with this index, if the default source address would run out of ports. Only the
    /// loopback network has further addresses that may be used.
    pub(super) fn source(&self, index: usize) -> Option<SocketAddr> {
        let more = u8::try_from(index / PER_SOURCE).ok().filter(|more| *more > 0)?;
        match self.address.ip() {
            IpAddr::V4(address) if address.is_loopback() => {
                Some(SocketAddr::new(Ipv4Addr::new(127, 0, 1, more).into(), 0))
            }
            _ => None,
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        let malformed = || TargetError::Malformed(url.to_owned());
        let (is_tls, rest) = match url.split_once("://") {
            Some(("ws", rest)) => (false, rest),
            Some(("wss", rest)) => (true, rest),
            _ => return Err(malformed()),
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if host.is_empty() || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(malformed());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority =
            if has_port { host.to_owned() } else { format!("{host}:{}", if is_tls { 443 } else { 80 }) };
        let unresolved = |source| TargetError::Unresolved { url: url.to_owned(), source };
        let address = authority.to_socket_addrs().map_err(unresolved)?.next().ok_or_else(malformed)?;
        let path = if path.is_empty() { "/api/v2/device" } else { path };
        Ok(Self { address, is_tls, host: host.to_owned(), path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_a_port_and_a_path_with_defaults() {
        let target: Target = "ws://127.0.0.1:6200/api/v3/device".parse().unwrap();
        assert_eq!(target.address, "127.0.0.1:6200".parse().unwrap());
        assert_eq!((target.host.as_str(), target.path.as_str()), ("127.0.0.1:6200", "/api/v3/device"));
        assert_eq!("ws://[::1]:1".parse::<Target>().unwrap().path, "/api/v2/device");
        assert!(!target.is_tls && "wss://127.0.0.1:1".parse::<Target>().unwrap().is_tls);
        assert_eq!("wss://127.0.0.1/x".parse::<Target>().unwrap().address.port(), 443);
        assert_eq!("ws://127.0.0.1/x".parse::<Target>().unwrap().address.port(), 80);
    }

    #[test]
    fn other_texts_are_malformed() {
        for url in ["", "http://127.0.0.1:1/", "ws://", "ws:///x", "ws://127.0.0.1:1/a b", "ws://h\r\nX: y/"]
        {
            assert!(matches!(url.parse::<Target>(), Err(TargetError::Malformed(_))), "{url:?}");
        }
    }

    #[test]
    fn loopback_devices_use_more_source_addresses_when_ports_run_out() {
        let target = Target::at("127.0.0.1:80".parse().unwrap());
        assert_eq!(target.source(24_999), None);
        assert_eq!(target.source(25_000), Some("127.0.1.1:0".parse().unwrap()));
        assert_eq!(Target::at("10.0.0.1:80".parse().unwrap()).source(25_000), None);
    }
}
