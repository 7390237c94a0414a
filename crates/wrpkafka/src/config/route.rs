//! One route of the topic map, as it is written (contract §8.4, `topicMap`).
//!
//! Patterns, topic templates and header references stay text here: they are small languages, which the parsers in
//! `routing` read when the configuration is compiled.

use std::fmt;
use std::str::FromStr;

use super::{Filter, UnknownNameError};

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
    /// How one of the [`topics`](Route::topics) is chosen.
    pub topic_shard_strategy: Option<ShardStrategy>,
    /// A topic named after the event type, such as `wrp-{event_type}`; needs [`allowed_topics`](Route::allowed_topics).
    /// Devices choose their event types: without the list they could write to any topic.
    pub topic_template: String,
    /// The topics, by their whole names, that the template may lead to.
    pub allowed_topics: Vec<String>,
    /// The topic for event types whose own topic is not allowed; empty: this route rejects them.
    pub fallback_topic: String,
    /// Where the records' keys come from (`metadata/hw-deviceid`).
    pub hash_key: HashKey,
    /// Which senders' messages this route accepts; empty: all.
    pub filter: Filter,
}

/// How a route with several topics chooses one of them (`topicShardStrategy`).
///
/// A message that lacks what the strategy hashes goes round robin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardStrategy {
    /// `roundrobin`: one topic after the other.
    RoundRobin,
    /// `deviceid`: by the hash of the record's key, which is the device's id unless [`Route::hash_key`] says otherwise.
    DeviceId,
    /// `metadata:<field>`: by the hash of this metadata value; the field is named exactly.
    Metadata(String),
}

/// Where a record's key comes from (`hashKey`). The key decides the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// `metadata/<field>`: a metadata value; a field without a leading `/` also matches one that has it.
    Metadata(String),
    /// `source`: the device id in the message's source.
    Source,
    /// `none`: no key, so any partition.
    None,
}

/// The metadata field that holds a device's id.
const DEVICE_ID_FIELD: &str = "hw-deviceid";

impl Default for HashKey {
    fn default() -> Self {
        Self::Metadata(DEVICE_ID_FIELD.to_owned())
    }
}

impl ShardStrategy {
    /// The error of a text that is not a strategy.
    pub(crate) const UNKNOWN: UnknownNameError =
        UnknownNameError(&["roundrobin", "deviceid", "metadata:<field>"]);
}

impl HashKey {
    /// The error of a text that is not a hash key.
    pub(crate) const UNKNOWN: UnknownNameError = UnknownNameError(&["metadata/<field>", "source", "none"]);
}

impl FromStr for ShardStrategy {
    type Err = UnknownNameError;

    /// Case and blanks count.
    fn from_str(text: &str) -> Result<Self, UnknownNameError> {
        match (text, text.strip_prefix("metadata:")) {
            ("roundrobin", _) => Ok(Self::RoundRobin),
            ("deviceid", _) => Ok(Self::DeviceId),
            (_, Some(field)) if !field.trim().is_empty() => Ok(Self::Metadata(field.to_owned())),
            _ => Err(Self::UNKNOWN),
        }
    }
}

impl fmt::Display for ShardStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundRobin => f.write_str("roundrobin"),
            Self::DeviceId => f.write_str("deviceid"),
            Self::Metadata(field) => write!(f, "metadata:{field}"),
        }
    }
}

impl FromStr for HashKey {
    type Err = UnknownNameError;

    /// Reads `metadata/<field>`, `metadata`, `source` and `none`; the name's case does not count, and an empty text is
    /// the default. As in the reference, a field ends at the next `/` and the rest is ignored.
    fn from_str(text: &str) -> Result<Self, UnknownNameError> {
        let mut parts = text.split('/');
        let name = parts.next().unwrap_or_default();
        let field = parts.next().filter(|field| !field.is_empty()).unwrap_or(DEVICE_ID_FIELD);
        if text.is_empty() || name.eq_ignore_ascii_case("metadata") {
            Ok(Self::Metadata(field.to_owned()))
        } else if name.eq_ignore_ascii_case("source") {
            Ok(Self::Source)
        } else if name.eq_ignore_ascii_case("none") {
            Ok(Self::None)
        } else {
            Err(Self::UNKNOWN)
        }
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(field) => write!(f, "metadata/{field}"),
            Self::Source => f.write_str("source"),
            Self::None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_keys_and_strategies_print_as_they_are_written() {
        for text in ["metadata/tenant_id", "source", "none"] {
            assert_eq!(text.parse::<HashKey>().unwrap().to_string(), text);
        }
        assert_eq!("".parse::<HashKey>().unwrap().to_string(), "metadata/hw-deviceid");
        for text in ["roundrobin", "deviceid", "metadata: a "] {
            assert_eq!(text.parse::<ShardStrategy>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_strategy_without_a_field_or_in_another_case_is_unknown() {
        for text in ["", "RoundRobin", " deviceid", "metadata", "metadata:", "metadata: "] {
            let error = text.parse::<ShardStrategy>().unwrap_err();
            assert_eq!(error.to_string(), "expected roundrobin, deviceid or metadata:<field>", "{text}");
        }
    }
}
