//! What a publisher can be told, as the user wrote it, and the check that finds every fault in it.
//!
//! Nothing here touches Kafka or a file: certificates are read when the client is built.

mod filter;
mod schema;

use std::fmt;
use std::time::Duration;

pub use filter::{Filter, Number, Relation, Rule, Test};
pub use schema::{DeadLetter, SchemaFormat, SchemaRegistry, SubjectStrategy, UnknownName, WhenDown};

/// A publisher's configuration as it was written. [`Config::default`] holds every default of contract §8.1,
/// so that setting [`brokers`](Config::brokers) is enough: every message goes to the topic `wrp-events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The brokers to learn the cluster from, each `host` or `host:port` (9092 without a port).
    pub brokers: Vec<String>,
    /// Whether a topic that does not exist is created by the first record for it, if the brokers allow it.
    pub allow_auto_topic_creation: bool,
    /// Records the client holds at most, sent or not (10000).
    pub max_buffered_records: u64,
    /// Bytes (keys, values and headers) the client holds at most (100 MiB).
    pub max_buffered_bytes: u64,
    /// The waiting room for records of QoS 25 and above that find the client's buffer full.
    pub waiting: WaitingLimit,
    /// Without effect: librdkafka has no such setting, and repeats what is no record's request for as long as it is
    /// needed. Taken because the reference's configuration has it (3).
    pub max_request_retries: u64,
    /// How often a record of low QoS is sent again when its client had to be replaced (3).
    /// Records of QoS 25 and above are never given up while their delivery timeout lasts.
    pub max_record_retries: u64,
    /// How long a broker may take to answer a request (30 s).
    pub request_timeout: Duration,
    /// How long a record may take from the call to the broker's acknowledgement; zero (the default): for ever.
    pub record_delivery_timeout: Duration,
    /// Whether a record without a key is an error instead of going to any partition (false).
    pub deny_nil_partition_key: bool,
    /// Transport security.
    pub tls: Tls,
    /// Authentication.
    pub sasl: Sasl,
    /// How often the client's statistics are brought up to date (5 s); zero: never.
    pub statistics_interval: Duration,
    /// How often certificates, keys and the password's file are looked at for changes (5 s); zero: never.
    pub file_check_interval: Duration,
    /// The registry that knows the schemas of record values; none by default.
    pub schema_registry: SchemaRegistry,
    /// Where records go that can never be delivered; nowhere by default.
    pub dead_letter: DeadLetter,
    /// What may change while the publisher runs.
    pub dynamic: DynamicConfig,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            brokers: Vec::new(),
            allow_auto_topic_creation: false,
            max_buffered_records: 10_000,
            max_buffered_bytes: 104_857_600,
            waiting: WaitingLimit::default(),
            max_request_retries: 3,
            max_record_retries: 3,
            request_timeout: Duration::from_secs(30),
            record_delivery_timeout: Duration::ZERO,
            deny_nil_partition_key: false,
            tls: Tls::default(),
            sasl: Sasl::default(),
            statistics_interval: Duration::from_secs(5),
            file_check_interval: Duration::from_secs(5),
            schema_registry: SchemaRegistry::default(),
            dead_letter: DeadLetter::default(),
            dynamic: DynamicConfig::default(),
        }
    }
}

/// The bounds of the waiting room. When it is full, the lowest QoS level, then the oldest, is dropped first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingLimit {
    /// Records that may wait (200000).
    pub records: u64,
    /// Bytes that may wait (256 MiB).
    pub bytes: u64,
}

impl Default for WaitingLimit {
    fn default() -> WaitingLimit {
        WaitingLimit { records: 200_000, bytes: 256 << 20 }
    }
}

/// Transport security (`tls`), off by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether connections to the brokers are encrypted.
    pub enabled: bool,
    /// Whether a broker's certificate is believed whatever it says. A warning is logged at every start.
    pub insecure_skip_verify: bool,
    /// The client's certificate chain (PEM), for brokers that ask for one; empty: none.
    pub cert_file: String,
    /// The client's private key (PEM), needed with [`cert_file`](Tls::cert_file).
    pub key_file: String,
    /// The authorities (PEM) that brokers' certificates are checked against; empty: the system's.
    pub ca_file: String,
}

impl Tls {
    /// The warning of every start.
    pub(crate) fn warn_if_unverified(&self) {
        if self.enabled && self.insecure_skip_verify {
            tracing::warn!("kafka brokers' certificates are not verified: tls.insecureSkipVerify is set");
        }
    }
}

/// Authentication (`sasl`), none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512` (case matters); empty: none.
    pub mechanism: String,
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// The file that holds the password instead, without the end of its last line; empty: none. A change of it is taken
    /// up as that of a certificate is.
    pub password_file: String,
}

/// A text that is never shown: [`fmt::Debug`] prints stars.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"***\"" })
    }
}

/// What [`Publisher::update_config`](crate::Publisher::update_config) may change (`initialDynamicConfig`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DynamicConfig {
    /// The routes, in order; none: one that sends everything to `wrp-events`.
    pub topic_map: Vec<Route>,
    /// Headers of every record: name and values, each a literal or a `wrp.<Field>` reference.
    pub headers: Vec<(String, Vec<String>)>,
    /// `snappy`, `gzip`, `lz4`, `zstd` or `none`; empty: none.
    pub compression: String,
    /// How long a batch waits for more records (0).
    pub linger: Duration,
    /// The largest batch, and so the largest record, in bytes; zero: the client's 1 MB.
    pub batch_max_bytes: u64,
    /// `all`, `leader` or `none`; empty: all. Anything but all turns idempotence off.
    pub acks: String,
}

/// One entry of `topicMap`: which event types go to which topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// Matched against the authority of the message's destination; at most one unescaped `*`.
    pub pattern: String,
    /// Whether the pattern ignores case.
    pub case_insensitive: bool,
    /// The one topic of this route; excludes [`topics`](Route::topics) and [`topic_template`](Route::topic_template).
    pub topic: String,
    /// The topics to choose from; needs a [`topic_shard_strategy`](Route::topic_shard_strategy).
    pub topics: Vec<String>,
    /// `roundrobin`, `deviceid` or `metadata:<field>`.
    pub topic_shard_strategy: String,
    /// A topic named after the event type, such as `wrp-{event_type}`; needs [`allowed_topics`](Route::allowed_topics).
    /// An event type is what a device says it is: the list keeps devices from choosing topics at will.
    pub topic_template: String,
    /// The topics, by their whole names, that the template may lead to.
    pub allowed_topics: Vec<String>,
    /// Where the template leads if its topic is not allowed; empty: nowhere.
    pub fallback_topic: String,
    /// `metadata/<field>`, `source` or `none`; empty: `metadata/hw-deviceid`.
    pub hash_key: String,
    /// Whose messages this route takes; empty: everybody's.
    pub filter: Filter,
}

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, relative to the `kafka` section: `initialDynamicConfig.topicMap[0].pattern`.
    pub key: String,
    /// What is wrong, and what is expected instead.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

/// Every fault of a configuration at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid kafka configuration: {}", list(.0))]
pub struct ConfigError(pub Vec<Fault>);

fn list(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

/// The dynamic configuration of a test vector, whose keys are those of the configuration file.
#[cfg(test)]
pub(crate) fn dynamic_from_vector(value: &serde_json::Value) -> DynamicConfig {
    use serde_json::Value;
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let texts = |of: &Value| -> Vec<String> {
        of.as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
    };
    let route = |of: &Value| Route {
        pattern: text(of, "pattern"),
        case_insensitive: of["caseInsensitive"] == true,
        topic: text(of, "topic"),
        topics: texts(&of["topics"]),
        topic_shard_strategy: text(of, "topicShardStrategy"),
        hash_key: text(of, "hashKey"),
        ..Route::default()
    };
    let linger = text(value, "linger");
    DynamicConfig {
        topic_map: value["topicMap"].as_array().into_iter().flatten().map(route).collect(),
        headers: value["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, values)| (name.clone(), texts(values)))
            .collect(),
        compression: text(value, "compression"),
        linger: match linger.as_str() {
            "" | "0s" => Duration::ZERO,
            "100ms" => Duration::from_millis(100),
            _ => Duration::from_secs(3600),
        },
        batch_max_bytes: value["batchMaxBytes"].as_u64().unwrap_or_default(),
        acks: text(value, "acks"),
    }
}
