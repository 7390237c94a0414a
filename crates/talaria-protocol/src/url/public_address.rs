//! Which IP addresses are public, so that a gateway may connect to them although a stranger named them.
//!
//! The source is IANA's special-purpose address registries (RFC 6890). An IPv6 address that carries an IPv4 address is
//! judged by it, because the packets end there. Of IPv6 only global unicast (`2000::/3`) is public, so that what is
//! assigned later for a special purpose is not public by accident.
//!
//! Names are not resolved here. Start reading at [`check`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPublicError {
    /// `0.0.0.0/8` or `::`.
    #[error("an unspecified address")]
    Unspecified,
    /// `127.0.0.0/8` or `::1`.
    #[error("a loopback address")]
    Loopback,
    /// RFC 1918, or the unique local addresses of IPv6 (`fc00::/7`) and their predecessor (`fec0::/10`).
    #[error("a private address")]
    Private,
    /// `100.64.0.0/10`: between a carrier and its customers.
    #[error("a shared address")]
    Shared,
    /// `169.254.0.0/16` or `fe80::/10`; clouds serve the credentials of the machine there.
    #[error("a link-local address")]
    LinkLocal,
    /// `224.0.0.0/4` or `ff00::/8`.
    #[error("a multicast address")]
    Multicast,
    /// `255.255.255.255`.
    #[error("the broadcast address")]
    Broadcast,
    /// Addresses of examples.
    #[error("a documentation address")]
    Documentation,
    /// `198.18.0.0/15` or `2001:2::/48`.
    #[error("a benchmarking address")]
    Benchmarking,
    /// Reserved, or assigned to a protocol.
    #[error("a reserved address")]
    Reserved,
}

/// Checks that an address is public.
///
/// # Errors
/// Why it is not.
pub fn check(address: IpAddr) -> Result<(), NotPublicError> {
    match address {
        IpAddr::V4(address) => check_v4(address),
        IpAddr::V6(address) => check_v6(address),
    }
}

fn check_v4(address: Ipv4Addr) -> Result<(), NotPublicError> {
    Err(match address.octets() {
        [0, ..] => NotPublicError::Unspecified,
        [127, ..] => NotPublicError::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => NotPublicError::Private,
        [100, 64..=127, ..] => NotPublicError::Shared,
        [169, 254, ..] => NotPublicError::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => NotPublicError::Documentation,
        [198, 18 | 19, ..] => NotPublicError::Benchmarking,
        [224..=239, ..] => NotPublicError::Multicast,
        [255, 255, 255, 255] => NotPublicError::Broadcast,
        // 192.0.0.0/24 is for protocols (a cloud serves credentials there), 192.88.99.0/24 was for relays of 6to4.
        [240..=255, ..] | [192, 0, 0, _] | [192, 88, 99, _] => NotPublicError::Reserved,
        _ => return Ok(()),
    })
}

fn check_v6(address: Ipv6Addr) -> Result<(), NotPublicError> {
    if let Some(inner) = embedded(address) {
        return check_v4(inner);
    }
    Err(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => NotPublicError::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => NotPublicError::Loopback,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => NotPublicError::Private,
        [0xfe80..=0xfebf, ..] => NotPublicError::LinkLocal,
        [0xff00..=0xffff, ..] => NotPublicError::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => NotPublicError::Documentation,
        [0x2001, 2, 0, ..] => NotPublicError::Benchmarking,
        // 2001::/23 is for protocols; with Teredo (2001::/32), whose IPv4 address is that of a client behind a NAT.
        [0x2001, 0..=0x1ff, ..] => NotPublicError::Reserved,
        [0x2000..=0x3fff, ..] => return Ok(()),
        _ => NotPublicError::Reserved,
    })
}

/// The IPv4 address that the packets to an IPv6 address end at.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [high, low] = match address.segments() {
        // Mapped (RFC 4291 §2.5.5.2), and NAT64's well-known prefix (RFC 6052 §2.1).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [high, low],
        // Translated (RFC 2765 §2.1), and compatible (RFC 4291 §2.5.5.1), except `::` and `::1`.
        [0, 0, 0, 0, 0xffff, 0, high, low] => [high, low],
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => [high, low],
        // 6to4 (RFC 3056 §2).
        [0x2002, high, low, ..] => [high, low],
        _ => return None,
    };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::NotPublicError::{
        Benchmarking, Broadcast, Documentation, LinkLocal, Loopback, Multicast, Private, Reserved, Shared,
        Unspecified,
    };
    use super::*;

    #[track_caller]
    fn checked(address: &str) -> Result<(), NotPublicError> {
        check(address.parse().unwrap())
    }

    /// The first and last addresses of the blocks of RFC 6890's registries, as they stand at IANA.
    #[test]
    fn every_block_of_the_registries_is_refused_from_its_first_to_its_last_address() {
        for (first, last, why) in [
            ("0.0.0.0", "0.255.255.255", Unspecified),
            ("10.0.0.0", "10.255.255.255", Private),
            ("100.64.0.0", "100.127.255.255", Shared),
            ("127.0.0.0", "127.255.255.255", Loopback),
            ("169.254.0.0", "169.254.255.255", LinkLocal),
            ("172.16.0.0", "172.31.255.255", Private),
            ("192.0.0.0", "192.0.0.255", Reserved),
            ("192.0.2.0", "192.0.2.255", Documentation),
            ("192.88.99.0", "192.88.99.255", Reserved),
            ("192.168.0.0", "192.168.255.255", Private),
            ("198.18.0.0", "198.19.255.255", Benchmarking),
            ("198.51.100.0", "198.51.100.255", Documentation),
            ("203.0.113.0", "203.0.113.255", Documentation),
            ("224.0.0.0", "239.255.255.255", Multicast),
            ("240.0.0.0", "255.255.255.254", Reserved),
            ("255.255.255.255", "255.255.255.255", Broadcast),
            ("::", "::", Unspecified),
            ("::1", "::1", Loopback),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("100::", "100::ffff:ffff:ffff:ffff", Reserved),
            ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", Reserved),
            ("2001::", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Benchmarking),
            ("2001:3::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
            ("4000::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LinkLocal),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast),
        ] {
            assert_eq!((checked(first), checked(last)), (Err(why), Err(why)), "{first} to {last}");
        }
    }

    #[test]
    fn the_neighbours_of_the_blocks_are_public() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2001:200::",
            "2001:db7::",
            "2001:db9::",
            "2003::",
            "3ffe::",
            "3fff:1000::",
            "2606:4700::1111",
        ] {
            assert_eq!(checked(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn an_ipv6_address_that_carries_an_ipv4_address_is_judged_by_it() {
        for (inner, why) in [
            ("127.0.0.1", Err(Loopback)),
            ("10.1.2.3", Err(Private)),
            ("169.254.169.254", Err(LinkLocal)),
            ("100.64.0.1", Err(Shared)),
            ("0.0.0.2", Err(Unspecified)),
            ("8.8.8.8", Ok(())),
        ] {
            let [a, b, c, d] = inner.parse::<Ipv4Addr>().unwrap().octets();
            for carrier in [
                format!("::ffff:{inner}"),
                format!("::ffff:0:{inner}"),
                format!("::{inner}"),
                format!("64:ff9b::{inner}"),
                format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
            ] {
                assert_eq!(checked(&carrier), why, "{carrier}");
            }
        }
    }
}
