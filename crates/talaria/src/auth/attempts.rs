//! Failed attempts by address: an address that sends wrong credentials has to wait longer and longer.
//!
//! An address (an IPv4 address, or a /64 of IPv6, which is one customer) with more failures than allowed has to wait.
//! Credentials are checked during the wait, too: right ones are let in at once, because behind a load balancer or a NAT all
//! services share one address, and one with a wrong password must not shut out the others (contract §14.32). Wrong ones
//! are answered with 429 whatever is wrong with them. So the wait tells a client with a wrong password to slow down; it
//! does not protect a key that is short enough to be guessed.
//!
//! Start reading at [`Attempts::failed`]. Which failures count is decided in `reason.rs`.

use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use talaria_protocol::network::Customer;
use talaria_protocol::recent::RecentMap;
use tokio::time::Instant;

use crate::telemetry::keyed_throttle::KeyedThrottle;

/// How many addresses are remembered at most. Beyond it, those with the oldest failures are forgotten.
const MAX_ADDRESSES: usize = 4096;

/// How long failures are remembered.
const MEMORY: Duration = Duration::from_secs(10 * 60);

/// How many failed attempts are allowed (`inbound.throttle`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many failures of an address have no consequence (`failures`); if none, no failure ever has one.
    pub failures: Option<u32>,
    /// The wait after the first failure that is not allowed. It doubles with each further one.
    pub shortest: Duration,
    /// The longest wait (`longest`).
    pub longest: Duration,
}

/// The latest failures of each address.
#[derive(Debug)]
pub struct Attempts {
    config: Config,
    addresses: Mutex<RecentMap<Customer, Record>>,
    log: KeyedThrottle,
}

#[derive(Debug, Default)]
struct Record {
    failures: u32,
    last: Option<Instant>,
    waits_until: Option<Instant>,
}

impl Default for Config {
    fn default() -> Self {
        Self { failures: Some(20), shortest: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

impl Attempts {
    /// What is allowed.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// No failures yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let addresses = Mutex::new(RecentMap::new(MAX_ADDRESSES / 2));
        Self { config, addresses, log: KeyedThrottle::new() }
    }

    /// Whether an address has no wait left.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn check(&self, address: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        self.addresses.lock().get(&address.into()).map_or(Ok(()), |record| record.check(now))
    }

    /// An attempt of this address failed. It is counted unless the address has to wait already.
    ///
    /// # Errors
    /// How long the address has to wait.
    pub fn failed(&self, address: IpAddr) -> Result<(), Duration> {
        let Some(allowed) = self.config.failures else { return Ok(()) };
        let (now, customer) = (Instant::now(), Customer::from(address));
        let mut addresses = self.addresses.lock();
        let record = addresses.entry(customer);
        record.check(now)?;
        if record.last.is_some_and(|last| now - last > MEMORY) {
            record.failures = 0;
        }
        record.failures = record.failures.saturating_add(1);
        record.last = Some(now);
        if record.failures > allowed {
            let doublings = (record.failures - allowed - 1).min(16);
            let wait = (self.config.shortest * (1 << doublings)).min(self.config.longest);
            record.waits_until = Some(now + wait);
            let failures = record.failures;
            drop(addresses);
            self.log(customer, failures, wait);
        }
        Ok(())
    }

    fn log(&self, address: Customer, failures: u32, wait: Duration) {
        if let Some(suppressed) = self.log.admit(&address.to_string()) {
            let seconds = wait.as_secs_f64();
            tracing::warn!(
                %address,
                failures,
                wait = seconds,
                suppressed,
                "wrong credentials for the API: this address is answered with 429 until it has waited; right \
                 credentials are accepted from it all the same"
            );
        }
    }
}

impl Record {
    fn check(&self, now: Instant) -> Result<(), Duration> {
        let until = self.waits_until.filter(|until| now < *until);
        until.map_or(Ok(()), |until| Err(until - now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts() -> Attempts {
        Attempts::new(Config { failures: Some(3), longest: Duration::from_secs(10), ..Config::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_credentials_wait_ever_longer_up_to_the_longest() {
        let (attempts, address) = (attempts(), ip("192.0.2.1"));
        for _ in 0..3 {
            assert_eq!(attempts.failed(address), Ok(()));
            assert_eq!(attempts.check(address), Ok(()));
        }
        for seconds in [1, 2, 4, 8, 10, 10] {
            let wait = Duration::from_secs(seconds);
            assert_eq!(attempts.failed(address), Ok(()), "it has waited");
            assert_eq!(attempts.failed(address), Err(wait), "not counted");
            assert_eq!(attempts.check(address), Err(wait));
            assert_eq!(attempts.check(ip("192.0.2.2")), Ok(()), "another address");
            tokio::time::advance(wait).await;
            assert_eq!(attempts.check(address), Ok(()));
        }
        tokio::time::advance(MEMORY + Duration::from_secs(1)).await;
        assert_eq!((attempts.failed(address), attempts.failed(address)), (Ok(()), Ok(())), "forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_64_of_ipv6_is_one_address_and_a_mapped_ipv4_is_itself() {
        let attempts = attempts();
        for number in 0..4 {
            assert!(attempts.failed(ip(&format!("2001:db8:0:1::{number}"))).is_ok());
        }
        assert!(attempts.check(ip("2001:db8:0:1:ffff::1")).is_err());
        assert!(attempts.check(ip("2001:db8:0:2::1")).is_ok());
        for _ in 0..4 {
            assert!(attempts.failed(ip("::ffff:192.0.2.1")).is_ok());
        }
        assert!(attempts.check(ip("192.0.2.1")).is_err());
        assert!(attempts.check(ip("::ffff:192.0.2.2")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded() {
        let attempts = attempts();
        for number in 0..2 * MAX_ADDRESSES as u32 {
            assert!(attempts.failed(IpAddr::V4(number.into())).is_ok());
        }
        assert!(attempts.addresses.lock().len() <= MAX_ADDRESSES);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nobody_is_slowed_and_nothing_kept() {
        let attempts = Attempts::new(Config { failures: None, ..Config::default() });
        for _ in 0..100 {
            assert_eq!(attempts.failed(ip("192.0.2.1")), Ok(()));
        }
        assert_eq!(attempts.check(ip("192.0.2.1")), Ok(()));
        assert!(attempts.addresses.lock().is_empty());
    }
}
