//! Checks brokers, sizes and durations against what the client and the buffer can hold (contract §8.2).

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Faults, dynamic};
use crate::config::{Config, DynamicConfig};

/// Records and bytes are counted in one word of memory: 24 bits for the records, 40 for the bytes.
const MAX_BUFFERED_RECORDS: u64 = (1 << 24) - 1;
const MAX_BUFFERED_BYTES: u64 = (1 << 40) - 1;

const MAX_LINGER: Duration = Duration::from_secs(60);
const BATCH_BYTES: RangeInclusive<u64> = 512..=100 << 20;
/// The upper bound is librdkafka's.
const REQUEST_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(900);
/// librdkafka counts the delivery timeout in 31 bits of milliseconds.
const DELIVERY_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_millis(i32::MAX as u64);
const MAX_STATISTICS_INTERVAL: Duration = Duration::from_secs(86_400);

impl Config {
    pub(super) fn check_brokers(&self, faults: &mut Faults) {
        if self.brokers.is_empty() {
            faults.add("brokers", "is empty: expected at least one `host:port`");
        }
        for (i, broker) in self.brokers.iter().enumerate() {
            if let Some(problem) = broker_problem(broker) {
                faults.add(format!("brokers[{i}]"), format!("`{broker}` {problem}"));
            }
        }
    }

    pub(super) fn check_buffer(&self, faults: &mut Faults) {
        for (key, value, max) in [
            ("maxBufferedRecords", self.max_buffered_records, MAX_BUFFERED_RECORDS),
            ("maxBufferedBytes", self.max_buffered_bytes, MAX_BUFFERED_BYTES),
        ] {
            if !(1..=max).contains(&value) {
                faults.add(key, format!("is {value}: expected 1 to {max}"));
            }
        }
    }

    pub(super) fn check_times(&self, faults: &mut Faults) {
        let request = self.request_timeout;
        if !REQUEST_TIMEOUT.contains(&request) {
            faults.add("requestTimeout", format!("is {request:?}: expected 100ms to 15m"));
        }
        let delivery = self.record_delivery_timeout;
        if !delivery.is_zero() && !DELIVERY_TIMEOUT.contains(&delivery) {
            let problem =
                format!("is {delivery:?}: expected 0 (none), or 1s to {:?}", DELIVERY_TIMEOUT.end());
            faults.add("recordDeliveryTimeout", problem);
        } else if !delivery.is_zero() && delivery <= self.dynamic.linger {
            let problem = format!("is {delivery:?}: expected more than linger ({:?})", self.dynamic.linger);
            faults.add("recordDeliveryTimeout", problem);
        }
        if self.statistics_interval > MAX_STATISTICS_INTERVAL {
            faults.add(
                "statisticsInterval",
                format!("is {:?}: expected at most 24h", self.statistics_interval),
            );
        }
    }
}

impl DynamicConfig {
    pub(super) fn check_limits(&self, faults: &mut Faults) {
        if self.linger > MAX_LINGER {
            faults.add(dynamic("linger"), format!("is {:?}: expected at most 1m", self.linger));
        }
        let batch = self.batch_max_bytes;
        if batch != 0 && !BATCH_BYTES.contains(&batch) {
            let problem = format!("is {batch}: expected {} to {}", BATCH_BYTES.start(), BATCH_BYTES.end());
            faults.add(dynamic("batchMaxBytes"), problem);
        }
    }
}

/// What is wrong with a broker's address. A comma is refused because librdkafka would read a list.
fn broker_problem(broker: &str) -> Option<&'static str> {
    let broker = broker.trim();
    let port = match broker.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(_, port)| port.strip_prefix(':').unwrap_or("9092")),
        None => broker.split_once(':').map(|(_, port)| port).or(Some("9092")),
    };
    if broker.is_empty() {
        Some("is empty: expected `host:port`")
    } else if broker.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '\0')) {
        Some("contains a blank, a comma or a zero byte: expected one `host:port`")
    } else if broker.starts_with(':') || port.is_none_or(|port| port.parse::<u16>().is_err()) {
        Some("is not an address: expected `host:port`, and `[…]` around an IPv6 address")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_hosts_with_or_without_a_port() {
        for good in ["localhost", "localhost:9092", "[::1]:9092", "[::1]", " a:1 "] {
            assert_eq!(broker_problem(good), None, "{good}");
        }
        for bad in ["", " ", ":9092", "host:", "host:x", "host:70000", "::1", "a b:1", "http://a:1"] {
            assert!(broker_problem(bad).is_some(), "{bad}");
        }
    }
}
