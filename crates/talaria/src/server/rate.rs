//! The limit on how often one address may connect.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How many addresses are remembered in each of the two maps.
const MAX_SOURCES: usize = 32 * 1024;

/// How often one address may connect (`connectionRate`). Off by default: many devices may share one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRate {
    /// Connections a second, in the long run (`perAddress`).
    pub per_second: u32,
    /// Connections at once (`burst`).
    pub burst: u32,
}

/// The recent connections of each address (GCRA). Its memory is bounded: when `recent` is full it replaces `older`, so that
/// the addresses that have not connected for the longest time are forgotten.
#[derive(Debug)]
pub(super) struct RateLimiter {
    /// The time between two connections at the allowed rate.
    interval: Duration,
    /// How far ahead of that rate an address may be.
    tolerance: Duration,
    recent: HashMap<Source, Instant>,
    older: HashMap<Source, Instant>,
}

/// A client for this purpose: an IPv4 address or a /64 of IPv6, which one customer gets (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Source(u64);

impl RateLimiter {
    pub(super) fn new(rate: ConnectionRate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        let tolerance = interval * rate.burst.max(1).saturating_sub(1);
        Self { interval, tolerance, recent: HashMap::new(), older: HashMap::new() }
    }

    /// Whether a connection from this address is within the rate. If it is, it is counted.
    pub(super) fn allows(&mut self, address: IpAddr, now: Instant) -> bool {
        let source = Source::from(address);
        // The time at which all connections of this address are paid for.
        let even =
            self.recent.get(&source).or_else(|| self.older.get(&source)).map_or(now, |even| now.max(*even));
        if even.duration_since(now) > self.tolerance {
            return false;
        }
        if self.recent.len() >= MAX_SOURCES {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(source, even + self.interval);
        true
    }
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            // No /64 of the global range begins with zeros only.
            IpAddr::V4(address) => Self(u64::from(address.to_bits())),
            IpAddr::V6(address) => Self((address.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> RateLimiter {
        RateLimiter::new(ConnectionRate { per_second: 10, burst: 3 })
    }

    #[test]
    fn an_address_may_burst_and_then_comes_at_its_rate() {
        let (mut limiter, start) = (limiter(), Instant::now());
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut allowed = |millis| limiter.allows(address, start + Duration::from_millis(millis));
        assert_eq!(
            [0, 0, 0, 0, 99, 100, 100, 200].map(&mut allowed),
            [true, true, true, false, false, true, false, true]
        );
        assert_eq!([10_000; 4].map(allowed), [true, true, true, false]);
    }

    #[test]
    fn other_addresses_are_not_affected_but_a_slash_64_is_one() {
        let (mut limiter, now) = (limiter(), Instant::now());
        let mut count = |addresses: [&str; 5]| {
            addresses.iter().filter(|address| limiter.allows(address.parse().unwrap(), now)).count()
        };
        assert_eq!(count(["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"]), 5);
        assert_eq!(count(["2001:db8::1", "2001:db8::2", "2001:db8::3:4", "2001:db8::4", "2001:db8::5"]), 3);
        assert_eq!(count(["::ffff:198.51.100.1", "198.51.100.1", "198.51.100.1", "198.51.100.1", "::1"]), 4);
    }

    #[test]
    fn any_number_of_addresses_takes_bounded_memory() {
        let (mut limiter, now) = (limiter(), Instant::now());
        for address in 0..200_000_u32 {
            assert!(limiter.allows(IpAddr::from(address.to_be_bytes()), now));
        }
        assert!(limiter.recent.len() + limiter.older.len() <= 2 * MAX_SOURCES);
    }
}
