//! A schema registry, started and stopped by `scripts/registry`, and a Java consumer that deserializes with its schemas.

use serde::Deserialize;
use serde_json::Value;

use crate::kafka::Kafka;
use crate::script::{Script, instance};

const REGISTRY: Script = Script("registry");

/// A running Apicurio Registry. It is stopped on drop, and at the latest when this process ends.
#[derive(Debug)]
pub struct Registry {
    name: String,
    url: String,
}

/// The format of a topic's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Avro's binary encoding.
    Avro,
    /// JSON, which the reader validates against its JSON Schema.
    Json,
}

/// A record in the Confluent wire format, as `ReadFramed.java` reads it with Apicurio's deserializers.
#[derive(Debug, Clone, Deserialize)]
pub struct FramedRecord {
    /// The number of its partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Its key; `None` if the record has no key.
    pub key: Option<String>,
    /// The id of the schema in the frame; `None` if the value is not framed.
    pub schema_id: Option<u32>,
    /// The full name of an Avro record's schema.
    pub schema: Option<String>,
    /// The value. Bytes in an Avro record are an object with the member `hex`.
    #[serde(default)]
    pub value: Value,
    /// Why the value could not be deserialized or is not valid by its schema.
    pub error: Option<String>,
}

impl Registry {
    /// Starts a registry and waits until it answers. Returns `None`, after printing `SKIPPED`, if Java or Maven is missing.
    ///
    /// # Panics
    /// If the registry does not start, or if Java or Maven is missing although `TALARIA_REQUIRE_KAFKA` is set.
    #[must_use]
    pub fn start() -> Option<Self> {
        if !REGISTRY.is_possible() {
            return None;
        }
        let (name, pid) = (instance("test"), std::process::id().to_string());
        let url = REGISTRY.run(["start", "--name", &name, "--parent-pid", &pid]);
        Some(Self { name, url })
    }

    /// The URL of its Confluent API: `http://host:port/apis/ccompat/v7`. It stays the same over a restart.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills the registry (SIGKILL).
    pub fn kill(&self) {
        REGISTRY.run(["kill", "--name", &self.name]);
    }

    /// Starts the registry again, with the same port and schemas, and waits until it answers.
    pub fn restart(&self) {
        REGISTRY.run(["restart", "--name", &self.name]);
    }

    /// Waits at most a minute until the topic holds `expected` records, and returns all of them, also those in excess.
    #[must_use]
    pub fn read(&self, kafka: &Kafka, topic: &str, format: Format, expected: usize) -> Vec<FramedRecord> {
        let format = match format {
            Format::Avro => "avro",
            Format::Json => "json",
        };
        let count = expected.to_string();
        let output = REGISTRY.output([
            "read",
            kafka.bootstrap(),
            topic,
            "--name",
            &self.name,
            "--format",
            format,
            "--count",
            &count,
        ]);
        let text = String::from_utf8(output.stdout).expect("ReadFramed prints UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("ReadFramed prints JSON")).collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        _ = REGISTRY.output(["stop", "--name", &self.name]);
    }
}
