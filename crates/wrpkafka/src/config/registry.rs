//! The settings of the schema registry (`schemaRegistry`).

use std::time::Duration;

use super::Secret;
use super::choice::choices;

/// A registry that keeps the schemas of record values (`schemaRegistry`). Off while [`urls`](Self::urls) is empty: then
/// a value is WRP v5 msgpack without a frame.
///
/// Any registry with the API of Confluent's Schema Registry will do, such as Apicurio and Karapace. Values then begin
/// with a zero byte and the schema's id (4 bytes, big endian), the "Confluent wire format".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRegistry {
    /// Its addresses: `http://…` or `https://…`, with a path if its API has one. They are tried in order.
    pub urls: Vec<String>,
    /// The user of basic authentication; empty: none.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// A file with the password, read again each time it is needed; excludes [`password`](Self::password).
    pub password_file: String,
    /// The authorities (PEM) that an `https` registry's certificate is checked against; empty: the system's.
    pub ca_file: String,
    /// How long an answer may take (5 s).
    pub timeout: Duration,
    /// How values are encoded (avro).
    pub format: SchemaFormat,
    /// How subjects are named (topic).
    pub subjects: SubjectStrategy,
    /// Whether a schema that the registry lacks is registered (true), or only looked up.
    pub auto_register: bool,
    /// What happens to records whose schema's id is not known while the registry cannot be reached (buffer).
    pub when_down: WhenDown,
}

impl Default for SchemaRegistry {
    fn default() -> Self {
        Self {
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

impl SchemaRegistry {
    /// Whether a registry is configured.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.urls.is_empty()
    }
}

/// How a record's value is encoded under the registry's schema.
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

/// What happens to a record whose schema's id is not known because the registry cannot be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenDown {
    /// The record waits, whatever its QoS, and all records after it wait behind it, so that their order is kept.
    #[default]
    Buffer,
    /// The record is sent as WRP v5 msgpack without a frame, with the header `content-type: application/msgpack`. After a
    /// start, that includes the first records, until the registry has answered.
    Raw,
    /// The record fails, and becomes a dead letter if there is a topic for them. Until the registry was asked once, the
    /// record waits.
    DeadLetter,
}

choices!(SchemaFormat, any_case, Avro = "avro", Json = "json", Raw = "raw");
choices!(SubjectStrategy, any_case, Topic = "topic", Record = "record", TopicRecord = "topicRecord");
choices!(WhenDown, any_case, Buffer = "buffer", Raw = "raw", DeadLetter = "deadLetter");
