//! Failed attempts by address: a client that guesses credentials has to wait longer and longer.
//!
//! An address (an IPv4 address, or a /64 of IPv6, which is one customer) with more failures than allowed is answered with
//! 429 until its wait is over, without its credentials being checked. An address with a success within the last ten minutes
//! never has to wait: behind a load balancer or a NAT all services share one address, and one with a wrong password must
//! not shut out the others. The price is that a guesser who shares an address with a working service is counted but not
//! slowed down.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How many addresses are remembered. Beyond it, the one with the oldest attempt is forgotten.
const MAX_ADDRESSES: usize = 4096;

/// How long failures and successes are remembered.
const MEMORY: Duration = Duration::from_secs(10 * 60);

/// The wait after the first failure that is not allowed. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// How many failed attempts are allowed (`inbound.throttle`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many failures of an address have no consequence (`failures`); if none, no failure ever has one.
    pub failures: Option<u32>,
    /// The longest wait (`longest`).
    pub longest: Duration,
}

/// The latest attempts of each address.
#[derive(Debug)]
pub struct Attempts {
    config: Config,
    addresses: Mutex<HashMap<IpAddr, Record>>,
}

#[derive(Debug)]
struct Record {
    failures: u32,
    last: Instant,
    waits_until: Option<Instant>,
    succeeded: Option<Instant>,
}

impl Default for Config {
    fn default() -> Self {
        Self { failures: Some(20), longest: Duration::from_secs(30) }
    }
}

impl Attempts {
    /// No attempts yet.
    pub fn new(config: Config) -> Self {
        Self { config, addresses: Mutex::default() }
    }

    /// Whether an address may make an attempt now.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn check(&self, address: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let addresses = self.addresses.lock();
        let record = addresses.get(&network(address));
        let until = record.and_then(|record| record.waits_until).filter(|until| now < *until);
        until.map_or(Ok(()), |until| Err(until - now))
    }

    /// An attempt of this address failed.
    pub fn failed(&self, address: IpAddr) {
        let Some(allowed) = self.config.failures else { return };
        let now = Instant::now();
        self.update(address, now, |record| {
            if now.duration_since(record.last) > MEMORY {
                record.failures = 0;
            }
            record.failures = record.failures.saturating_add(1);
            let is_trusted = record.succeeded.is_some_and(|at| now.duration_since(at) < MEMORY);
            if record.failures > allowed && !is_trusted {
                let doublings = (record.failures - allowed - 1).min(16);
                record.waits_until = Some(now + (FIRST_WAIT * (1 << doublings)).min(self.config.longest));
            }
        });
    }

    /// An attempt of this address succeeded.
    pub fn succeeded(&self, address: IpAddr) {
        if self.config.failures.is_none() {
            return;
        }
        let now = Instant::now();
        self.update(address, now, |record| {
            record.failures = 0;
            record.waits_until = None;
            record.succeeded = Some(now);
        });
    }

    fn update(&self, address: IpAddr, now: Instant, change: impl FnOnce(&mut Record)) {
        let mut addresses = self.addresses.lock();
        let address = network(address);
        if addresses.len() == MAX_ADDRESSES && !addresses.contains_key(&address) {
            let oldest = addresses.iter().min_by_key(|(_, record)| record.last).map(|(address, _)| *address);
            if let Some(oldest) = oldest {
                addresses.remove(&oldest);
            }
        }
        let new = Record { failures: 0, last: now, waits_until: None, succeeded: None };
        let record = addresses.entry(address).or_insert(new);
        change(record);
        record.last = now;
    }
}

/// The address that stands for all addresses of one customer.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts() -> Attempts {
        Attempts::new(Config { failures: Some(3), longest: Duration::from_secs(10) })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_guesser_waits_ever_longer_up_to_the_longest() {
        let (attempts, address) = (attempts(), ip("192.0.2.1"));
        for _ in 0..3 {
            attempts.failed(address);
            assert_eq!(attempts.check(address), Ok(()));
        }
        for seconds in [1, 2, 4, 8, 10, 10] {
            attempts.failed(address);
            let wait = Duration::from_secs(seconds);
            assert_eq!(attempts.check(address), Err(wait));
            assert_eq!(attempts.check(ip("192.0.2.2")), Ok(()), "another address");
            tokio::time::advance(wait).await;
            assert_eq!(attempts.check(address), Ok(()));
        }
        tokio::time::advance(MEMORY + Duration::from_secs(1)).await;
        attempts.failed(address);
        assert_eq!(attempts.check(address), Ok(()), "forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_succeeds_is_never_slowed() {
        let (attempts, address) = (attempts(), ip("192.0.2.1"));
        attempts.succeeded(address);
        for _ in 0..100 {
            attempts.failed(address);
            assert_eq!(attempts.check(address), Ok(()));
        }
        tokio::time::advance(MEMORY).await;
        attempts.failed(address);
        assert!(attempts.check(address).is_err(), "its success was too long ago");
        attempts.succeeded(address);
        assert_eq!(attempts.check(address), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_64_of_ipv6_is_one_address_and_a_mapped_ipv4_is_itself() {
        let attempts = attempts();
        for number in 0..4 {
            attempts.failed(ip(&format!("2001:db8:0:1::{number}")));
        }
        assert!(attempts.check(ip("2001:db8:0:1:ffff::1")).is_err());
        assert!(attempts.check(ip("2001:db8:0:2::1")).is_ok());
        for _ in 0..4 {
            attempts.failed(ip("::ffff:192.0.2.1"));
        }
        assert!(attempts.check(ip("192.0.2.1")).is_err());
        assert!(attempts.check(ip("::ffff:192.0.2.2")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded() {
        let attempts = attempts();
        for number in 0..2 * MAX_ADDRESSES as u32 {
            attempts.failed(IpAddr::V4(number.into()));
        }
        assert_eq!(attempts.addresses.lock().len(), MAX_ADDRESSES);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nobody_is_slowed_and_nothing_kept() {
        let attempts = Attempts::new(Config { failures: None, ..Config::default() });
        for _ in 0..100 {
            attempts.failed(ip("192.0.2.1"));
        }
        attempts.succeeded(ip("192.0.2.1"));
        assert_eq!(attempts.check(ip("192.0.2.1")), Ok(()));
        assert!(attempts.addresses.lock().is_empty());
    }
}
