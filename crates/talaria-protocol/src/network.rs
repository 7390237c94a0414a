//! Networks of IP addresses, as a configuration names them: `10.0.0.0/8`, `2001:db8::/32`, or one address.
//!
//! An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address, in a network and in what is looked
//! up.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// All addresses with a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// A client for limits by address: an IPv4 address, or a /64 of IPv6, which is what one customer gets (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Customer(IpAddr);

/// A text that is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address or a network such as 10.0.0.0/8, without bits behind its prefix")]
pub struct NetworkError;

impl Network {
    /// Whether the address belongs to the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                without_last(u128::from(network.to_bits() ^ address.to_bits()), 32 - self.prefix) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                without_last(network.to_bits() ^ address.to_bits(), 128 - self.prefix) == 0
            }
            _ => false,
        }
    }
}

impl From<IpAddr> for Customer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => Self(IpAddr::V6((address.to_bits() >> 64 << 64).into())),
        }
    }
}

impl fmt::Display for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let width = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| NetworkError)?
            }
            Some(_) => return Err(NetworkError),
            None => width(written),
        };
        let address = written.to_canonical();
        // The prefix of a mapped address counts the 96 bits in front of it.
        let prefix = u32::checked_sub(prefix, width(written) - width(address)).ok_or(NetworkError)?;
        if prefix > width(address) {
            return Err(NetworkError);
        }
        let host = match address {
            IpAddr::V4(address) => address.to_bits().checked_shl(prefix).unwrap_or(0) != 0,
            IpAddr::V6(address) => address.to_bits().checked_shl(prefix).unwrap_or(0) != 0,
        };
        if host { Err(NetworkError) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The bits without the last ones.
fn without_last(bits: u128, last: u32) -> u128 {
    bits.checked_shr(last).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.1/32", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
    }

    #[test]
    fn a_customer_is_an_ipv4_address_or_a_64_of_ipv6() {
        let customer = |text: &str| Customer::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(customer("2001:db8:0:1::5"), customer("2001:db8:0:1:ffff::1"));
        assert_ne!(customer("2001:db8:0:1::5"), customer("2001:db8:0:2::5"));
        assert_eq!(customer("::ffff:192.0.2.1"), customer("192.0.2.1"));
        assert_ne!(customer("192.0.2.1"), customer("192.0.2.2"));
        assert_eq!(customer("2001:db8:0:1::5").to_string(), "2001:db8:0:1::/64");
        assert_eq!(customer("192.0.2.1").to_string(), "192.0.2.1");
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "10.0.0/8",
            "::/129",
            "2001:db8::1/64",
            "::ffff:10.0.0.0/8",
            "localhost",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }
}
