//! Listening addresses as Go writes them: `:6200` is port 6200 of every interface.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// A host (or every interface) and a port to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Empty for every interface.
    host: String,
    port: u16,
}

/// A text that is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected host:port, or :port for every interface")]
pub struct AddressError;

impl Address {
    /// This port of every interface.
    #[must_use]
    pub fn any(port: u16) -> Self {
        Self { host: String::new(), port }
    }

    /// This port of the loopback interface; port 0 lets the system choose.
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        Self { host: Ipv4Addr::LOCALHOST.to_string(), port }
    }

    /// The host's name or IP address; none for every interface.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        (!self.host.is_empty()).then_some(self.host.as_str())
    }

    /// The port, 0 if the system chooses one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether not both can be listened on.
    pub(crate) fn conflicts_with(&self, other: &Self) -> bool {
        let is_any = |host: &str| matches!(host, "" | "0.0.0.0" | "[::]" | "::");
        let is_same = self.host == other.host || is_any(&self.host) || is_any(&other.host);
        self.port != 0 && self.port == other.port && is_same
    }

    /// The socket addresses to try one after the other. For every interface that is IPv6, which accepts IPv4 as well, then
    /// IPv4 alone.
    ///
    /// # Errors
    /// If the host's name cannot be resolved.
    pub(super) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if self.host.is_empty() {
            let any = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
            return Ok(any.map(|ip| SocketAddr::new(ip, self.port)).to_vec());
        }
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError)?;
        let port = port.parse().map_err(|_| AddressError)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(v6) => v6.parse::<Ipv6Addr>().map_err(|_| AddressError)?.to_string(),
            None if host.contains([':', '[', ']', '/']) || host.contains(char::is_whitespace) => {
                return Err(AddressError);
            }
            None => host.to_owned(),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_go_writes_them() {
        for text in [":6200", "localhost:0", "127.0.0.1:80", "[::1]:8080"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", "6200", "localhost", "localhost:", ":99999", "::1:80", "http://h:80", "[h]:80", "a b:1"]
        {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text}");
        }
    }
}
