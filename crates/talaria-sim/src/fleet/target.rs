//! Where devices connect to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// Connections that one source address can have to one server, with room to spare: Linux hands out some 28,000 ports.
const PER_SOURCE: usize = 25_000;

/// A gateway's device endpoint: `ws://host:port/path`, or `wss://` for TLS, looked up once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where to connect to.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub is_tls: bool,
    /// What the `Host` header says.
    pub host: String,
    /// The request's path.
    pub path: String,
}

/// Why a text is not the address of a device endpoint.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not `ws://host:port/path`, nor `wss://…`.
    #[error("`{0}` is not an address of the form ws://host:port/path or wss://host:port/path")]
    Malformed(String),
    /// The host has no address.
    #[error("the host of `{url}` is not to be found: {source}")]
    Unresolved {
        /// The address as given.
        url: String,
        /// What the resolver says.
        source: std::io::Error,
    },
}

impl Target {
    /// The device endpoint of a gateway at this address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { address, is_tls: false, host: address.to_string(), path: "/api/v2/device".to_owned() }
    }

    /// The source address for the `index`-th device, if the system's own choice would run out of ports. On the loopback
    /// network every address is ours to use.
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
    fn an_address_is_taken_apart() {
        let target: Target = "ws://127.0.0.1:6200/api/v3/device".parse().unwrap();
        assert_eq!(target.address, "127.0.0.1:6200".parse().unwrap());
        assert_eq!((target.host.as_str(), target.path.as_str()), ("127.0.0.1:6200", "/api/v3/device"));
        assert_eq!("ws://[::1]:1".parse::<Target>().unwrap().path, "/api/v2/device");
        assert!(!target.is_tls && "wss://127.0.0.1:1".parse::<Target>().unwrap().is_tls);
        assert_eq!("wss://127.0.0.1/x".parse::<Target>().unwrap().address.port(), 443);
        assert_eq!("ws://127.0.0.1/x".parse::<Target>().unwrap().address.port(), 80);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in ["", "http://127.0.0.1:1/", "ws://", "ws:///x", "ws://127.0.0.1:1/a b", "ws://h\r\nX: y/"]
        {
            assert!(matches!(url.parse::<Target>(), Err(TargetError::Malformed(_))), "{url:?}");
        }
    }

    #[test]
    fn loopback_devices_beyond_one_addresss_ports_get_another() {
        let target = Target::at("127.0.0.1:80".parse().unwrap());
        assert_eq!(target.source(24_999), None);
        assert_eq!(target.source(25_000), Some("127.0.1.1:0".parse().unwrap()));
        assert_eq!(Target::at("10.0.0.1:80".parse().unwrap()).source(25_000), None);
    }
}
