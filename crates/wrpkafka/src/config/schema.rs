//! The settings of the schema registry and of dead letters.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Secret;

/// A registry that knows the schemas of record values (`schemaRegistry`). Off while [`urls`](Self::urls) is empty: then a
/// value is WRP v5 msgpack, unframed.
///
/// It speaks the API of Confluent's Schema Registry, as Apicurio and Karapace do as well. Values then begin with a zero
/// byte and the schema's id (4 bytes, big endian): the "Confluent wire format".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRegistry {
    /// Where it is: `http://…` or `https://…`, with a path if its API has one. Several are tried in order.
    pub urls: Vec<String>,
    /// The user of basic authentication; empty: none.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// A file with the password, read anew each time it is needed; excludes [`password`](Self::password).
    pub password_file: String,
    /// The authorities (PEM) that an `https` registry is checked against; empty: the system's.
    pub ca_file: String,
    /// How long an answer may take (5 s).
    pub timeout: Duration,
    /// What values are written as (avro).
    pub format: SchemaFormat,
    /// What the subjects are called (topic).
    pub subjects: SubjectStrategy,
    /// Whether a schema that the registry does not have is registered (true), or only looked up.
    pub auto_register: bool,
    /// What becomes of records while the registry cannot be reached and their schema's id is not known (buffer).
    pub when_down: WhenDown,
}

impl Default for SchemaRegistry {
    fn default() -> SchemaRegistry {
        SchemaRegistry {
            urls: Vec::new(),
            username: String::new(),
            password: Secret::default(),
            password_file: String::new(),
            ca_file: String::new(),
            timeout: Duration::from_secs(5),
            format: SchemaFormat::default(),
            subjects: SubjectStrategy::default(),
            auto_register: true,
            when_down: WhenDown::default(),
        }
    }
}

/// Where records go that can never be delivered (`deadLetter`). Off while the topic is empty: they are counted and logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic. It should exist, with a `max.message.bytes` that is no smaller than that of the others.
    pub topic: String,
}

/// What a record's value is, under the registry's schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SchemaFormat {
    /// An Avro record `xmidt.wrp.Message`, with a field for each of the message's (`schemas/wrp.avsc`).
    #[default]
    Avro,
    /// The message as WRP v5 JSON, which a JSON Schema describes (`schemas/wrp.schema.json`).
    Json,
    /// An Avro record `xmidt.wrp.RawMessage` with one field of bytes: the message as WRP v5 msgpack
    /// (`schemas/wrp-raw.avsc`).
    Raw,
}

/// The subject under which the registry keeps the schema of a topic's values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SubjectStrategy {
    /// `<topic>-value`
    #[default]
    Topic,
    /// The record's full name: `xmidt.wrp.Message`
    Record,
    /// `<topic>-<the record's full name>`
    TopicRecord,
}

/// What becomes of a record while its schema's id is not known because the registry cannot be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenDown {
    /// It waits in the waiting room, whatever its QoS, and everything after it behind it, so that order is kept.
    #[default]
    Buffer,
    /// It goes out as WRP v5 msgpack without a frame, with the header `content-type: application/msgpack`. That holds for
    /// the first records after a start as well, until the registry has answered.
    Raw,
    /// It fails, and becomes a dead letter where there is a topic for them. Until the registry was asked once, it waits.
    DeadLetter,
}

/// A text that is none of a setting's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct UnknownName(&'static str);

/// A setting with a few values, each with a name.
macro_rules! named {
    ($type:ident, $expected:literal, $($variant:ident = $name:literal),+) => {
        impl $type {
            /// The value's name in the configuration.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            /// Reads a name, without regard to case.
            fn from_str(text: &str) -> Result<$type, UnknownName> {
                $(if text.eq_ignore_ascii_case($name) {
                    return Ok($type::$variant);
                })+
                Err(UnknownName($expected))
            }
        }
    };
}

named!(SchemaFormat, "avro, json or raw", Avro = "avro", Json = "json", Raw = "raw");
named!(
    SubjectStrategy,
    "topic, record or topicRecord",
    Topic = "topic",
    Record = "record",
    TopicRecord = "topicRecord"
);
named!(WhenDown, "buffer, raw or deadLetter", Buffer = "buffer", Raw = "raw", DeadLetter = "deadLetter");

impl SchemaRegistry {
    /// Whether there is a registry at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.urls.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_regard_to_case_and_print_as_they_are_written() {
        for name in ["buffer", "raw", "deadLetter"] {
            assert_eq!(name.to_uppercase().parse::<WhenDown>().unwrap().to_string(), name);
        }
        assert_eq!("topicRecord".parse(), Ok(SubjectStrategy::TopicRecord));
        assert_eq!("xml".parse::<SchemaFormat>().unwrap_err().to_string(), "expected avro, json or raw");
    }
}
