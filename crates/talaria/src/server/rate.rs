//! The limit on how often one address may connect (`connectionRate`). Off by default: many devices may share one address.

use std::net::IpAddr;

use talaria_protocol::network::Customer;
use talaria_protocol::rate::{Bucket, Rate};
use talaria_protocol::recent::RecentMap;
use tokio::time::Instant;

/// How many clients are remembered in each half of the table.
const CLIENTS: usize = 32 * 1024;

/// The recent connections of each client. Its memory is bounded: the clients that have not connected for the longest time
/// are forgotten.
#[derive(Debug)]
pub(super) struct RateLimiter {
    rate: Rate,
    started: Instant,
    clients: RecentMap<Customer, Bucket>,
}

impl RateLimiter {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, started: Instant::now(), clients: RecentMap::new(CLIENTS) }
    }

    /// Whether a connection from this address is within the rate. If it is, it is counted.
    pub(super) fn allows(&mut self, address: IpAddr, now: Instant) -> bool {
        let since_start = now.saturating_duration_since(self.started);
        self.clients.entry(address.into()).try_take(&self.rate, since_start)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limiter() -> RateLimiter {
        RateLimiter::new(Rate::per_second(10, 3))
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
        assert!(limiter.clients.len() <= 2 * CLIENTS);
    }
}
