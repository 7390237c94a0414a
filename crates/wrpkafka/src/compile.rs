//! The check of a configuration, which is its compilation: what compiles is right.

mod registry;
mod route;

use std::time::Duration;

use crate::config::{Config, DynamicConfig, Fault};
use crate::routing::{CompiledRoute, HeaderTemplates, RouteTable};

/// Records and bytes are counted in one word of memory: 24 bits for the records, 40 for the bytes.
const MAX_BUFFERED_RECORDS: u64 = (1 << 24) - 1;
const MAX_BUFFERED_BYTES: u64 = (1 << 40) - 1;

const MAX_LINGER: Duration = Duration::from_secs(60);
const BATCH_BYTES: std::ops::RangeInclusive<u64> = 512..=100 << 20;
const MIN_REQUEST_TIMEOUT: Duration = Duration::from_millis(100);
/// The client's own limit for the time a broker may take.
const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(900);
const MIN_DELIVERY_TIMEOUT: Duration = Duration::from_secs(1);
/// The client counts the delivery timeout in 31 bits of milliseconds.
const MAX_DELIVERY_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);
const MAX_STATISTICS_INTERVAL: Duration = Duration::from_secs(86_400);

impl Config {
    /// Checks the whole configuration. Files are not opened: that is [`Publisher::start`](crate::Publisher::start)'s.
    ///
    /// # Errors
    /// All faults at once, keys relative to the `kafka` section.
    pub fn check(&self) -> Result<(), Vec<Fault>> {
        self.compile().map(|_| ())
    }

    pub(crate) fn compile(&self) -> Result<RouteTable, Vec<Fault>> {
        let mut faults = Faults::default();
        self.check_brokers(&mut faults);
        self.check_buffer(&mut faults);
        self.check_times(&mut faults);
        self.check_security(&mut faults);
        self.schema_registry.check(&mut faults);
        self.dead_letter.check(&mut faults);
        self.dynamic.check_limits(&mut faults);
        let table = self.dynamic.compile_into(self.deny_nil_partition_key, &mut faults);
        faults.or(table)
    }

    fn check_brokers(&self, faults: &mut Faults) {
        if self.brokers.is_empty() {
            faults.add("brokers", "is empty: expected at least one `host:port`");
        }
        for (i, broker) in self.brokers.iter().enumerate() {
            if let Some(problem) = broker_problem(broker) {
                faults.add(format!("brokers[{i}]"), format!("`{broker}` {problem}"));
            }
        }
    }

    fn check_buffer(&self, faults: &mut Faults) {
        for (key, value, max) in [
            ("maxBufferedRecords", self.max_buffered_records, MAX_BUFFERED_RECORDS),
            ("maxBufferedBytes", self.max_buffered_bytes, MAX_BUFFERED_BYTES),
        ] {
            if !(1..=max).contains(&value) {
                faults.add(key, format!("is {value}: expected 1 to {max}"));
            }
        }
    }

    fn check_times(&self, faults: &mut Faults) {
        let request = self.request_timeout;
        if !(MIN_REQUEST_TIMEOUT..=MAX_REQUEST_TIMEOUT).contains(&request) {
            faults.add("requestTimeout", format!("is {request:?}: expected 100ms to 15m"));
        }
        let delivery = self.record_delivery_timeout;
        if !delivery.is_zero() && !(MIN_DELIVERY_TIMEOUT..=MAX_DELIVERY_TIMEOUT).contains(&delivery) {
            let problem = format!("is {delivery:?}: expected 0 (none), or 1s to {MAX_DELIVERY_TIMEOUT:?}");
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

    fn check_security(&self, faults: &mut Faults) {
        let tls = &self.tls;
        if tls.enabled && tls.cert_file.is_empty() != tls.key_file.is_empty() {
            let missing = if tls.cert_file.is_empty() { "tls.certFile" } else { "tls.keyFile" };
            faults.add(missing, "is empty: a client certificate needs both certFile and keyFile");
        }
        let sasl = &self.sasl;
        match sasl.mechanism.as_str() {
            "" => {
                let texts = [&sasl.username, sasl.password.reveal(), &sasl.password_file];
                if texts.iter().any(|text| !text.is_empty()) {
                    faults.add("sasl.mechanism", format!("is empty: {MECHANISMS}"));
                }
            }
            "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
                if sasl.username.is_empty() {
                    faults.add("sasl.username", format!("is empty: {} needs one", sasl.mechanism));
                }
            }
            other => faults.add("sasl.mechanism", format!("`{other}` is unknown: {MECHANISMS}")),
        }
        if !sasl.password_file.is_empty() && !sasl.password.reveal().is_empty() {
            faults.add("sasl.passwordFile", "excludes password: expected only one of them");
        }
        for (key, value) in [
            ("tls.certFile", tls.cert_file.as_str()),
            ("tls.keyFile", &tls.key_file),
            ("tls.caFile", &tls.ca_file),
            ("sasl.username", &sasl.username),
            ("sasl.password", sasl.password.reveal()),
            ("sasl.passwordFile", &sasl.password_file),
        ] {
            if value.contains('\0') {
                faults.add(key, "contains a zero byte");
            }
        }
    }
}

const MECHANISMS: &str = "expected `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`";

/// What is wrong with a broker's address. A list in one text is what a comma means to the client.
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
        Some("is no address: expected `host:port`, and `[…]` around an IPv6 address")
    } else {
        None
    }
}

impl DynamicConfig {
    /// Checks routes, headers and the names of compression and acks.
    ///
    /// # Errors
    /// All faults at once, keys relative to the `kafka` section.
    pub fn check(&self) -> Result<(), Vec<Fault>> {
        self.compile(false).map(|_| ())
    }

    pub(crate) fn compile(&self, deny_nil_key: bool) -> Result<RouteTable, Vec<Fault>> {
        let mut faults = Faults::default();
        let table = self.compile_into(deny_nil_key, &mut faults);
        faults.or(table)
    }

    fn compile_into(&self, deny_nil_key: bool, faults: &mut Faults) -> RouteTable {
        let default_map = [CompiledRoute::catch_all()];
        let map = if self.topic_map.is_empty() { &default_map[..] } else { &self.topic_map };
        let routes = map.iter().enumerate().filter_map(|(i, route)| route.compile(i, faults)).collect();
        for (key, value, names) in [
            ("compression", self.compression.as_str(), &["none", "gzip", "snappy", "lz4", "zstd"][..]),
            ("acks", &self.acks, &["all", "leader", "none"]),
        ] {
            if !value.is_empty() && !names.contains(&value) {
                faults
                    .add(dynamic(key), format!("`{value}` is unknown: expected one of {}", names.join(", ")));
            }
        }
        let headers = HeaderTemplates::compile(&self.headers, |name, problem| {
            faults.add(dynamic(&format!("headers.{name}")), problem.to_string());
        });
        RouteTable::new(routes, headers, deny_nil_key)
    }

    /// The limits that the client has.
    fn check_limits(&self, faults: &mut Faults) {
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

fn dynamic(key: &str) -> String {
    format!("initialDynamicConfig.{key}")
}

/// The faults found so far.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Fault { key: key.into(), problem: problem.into() });
    }

    fn or<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Route, Secret, dynamic_from_vector};

    fn minimal() -> Config {
        Config { brokers: vec!["localhost:9092".to_owned()], ..Config::default() }
    }

    fn keys(config: &Config) -> Vec<String> {
        config.check().err().into_iter().flatten().map(|fault| fault.key).collect()
    }

    #[test]
    fn vectors_config_errors() {
        vectors::run("config_errors.json", |case| {
            let value = &case.value;
            let dynamic = dynamic_from_vector(&value["config"]);
            // Contract §14.1: without a topic map everything goes to `wrp-events`, where the library refuses.
            let valid = value["valid"] == true || dynamic.topic_map.is_empty();
            let checked = if value["kind"] == "publisher" {
                let brokers = value["brokers"].as_array().into_iter().flatten();
                let brokers = brokers.map(|text| text.as_str().unwrap_or_default().to_owned()).collect();
                Config { brokers, dynamic, ..Config::default() }.check()
            } else {
                dynamic.check()
            };
            match checked {
                Ok(()) if valid => Ok(()),
                Err(faults) if !valid && faults.iter().all(|fault| !fault.key.is_empty()) => Ok(()),
                other => Err(format!("{other:?}, expected valid: {valid}, error {}", value["error"])),
            }
        });
    }

    #[test]
    fn brokers_alone_are_a_whole_configuration() {
        assert_eq!(minimal().check(), Ok(()));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let mut config = Config {
            brokers: vec!["ok:1".to_owned(), "a:1,b:2".to_owned()],
            max_buffered_records: 0,
            request_timeout: Duration::from_millis(1),
            record_delivery_timeout: Duration::from_millis(999),
            ..Config::default()
        };
        config.tls.enabled = true;
        config.tls.cert_file = "client.pem".to_owned();
        config.sasl.mechanism = "plain".to_owned();
        config.dynamic.linger = Duration::from_secs(61);
        config.dynamic.batch_max_bytes = 511;
        config.dynamic.acks = "some".to_owned();
        config.dynamic.topic_map =
            vec![Route { pattern: "a**".to_owned(), hash_key: "key".to_owned(), ..Route::default() }];
        config.dynamic.headers = vec![("h".to_owned(), vec!["wrp.Nope".to_owned()])];
        assert_eq!(
            keys(&config),
            [
                "brokers[1]",
                "maxBufferedRecords",
                "requestTimeout",
                "recordDeliveryTimeout",
                "tls.keyFile",
                "sasl.mechanism",
                "initialDynamicConfig.linger",
                "initialDynamicConfig.batchMaxBytes",
                "initialDynamicConfig.topicMap[0].pattern",
                "initialDynamicConfig.topicMap[0].hashKey",
                "initialDynamicConfig.topicMap[0].topic",
                "initialDynamicConfig.acks",
                "initialDynamicConfig.headers.h",
            ]
        );
    }

    #[test]
    fn a_fault_never_shows_a_password() {
        let mut config = minimal();
        config.sasl.password = Secret::from("hunter2\0");
        let shown = format!("{config:?} {:?}", config.check());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_password_comes_from_one_place() {
        let mut config = minimal();
        config.sasl.password_file = "password".to_owned();
        assert_eq!(keys(&config), ["sasl.mechanism"]);
        config.sasl.mechanism = "PLAIN".to_owned();
        config.sasl.username = "me".to_owned();
        assert_eq!(keys(&config), [""; 0]);
        config.sasl.password = Secret::from("hunter2");
        assert_eq!(keys(&config), ["sasl.passwordFile"]);
    }

    #[test]
    fn a_delivery_timeout_must_outlast_the_linger() {
        let mut config = minimal();
        config.record_delivery_timeout = Duration::from_secs(1);
        config.dynamic.linger = Duration::from_secs(1);
        assert_eq!(keys(&config), ["recordDeliveryTimeout"]);
    }

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
