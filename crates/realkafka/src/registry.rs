//! `scripts/registry`: a schema registry, and a Java consumer that deserializes with it.

use serde::Deserialize;
use serde_json::Value;

use crate::kafka::Kafka;
use crate::script::{Script, instance};

const REGISTRY: Script = Script("registry");

/// An Apicurio Registry that ends with this process, or when it is dropped.
#[derive(Debug)]
pub struct Registry {
    name: String,
    url: String,
}

/// How the values of a topic are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Avro, binary.
    Avro,
    /// JSON, checked against its JSON Schema.
    Json,
}

/// A record in the Confluent wire format, as `ReadFramed.java` read it with Apicurio's deserializers.
#[derive(Debug, Clone, Deserialize)]
pub struct FramedRecord {
    /// The partition it is in.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key.
    pub key: Option<String>,
    /// The schema's id in the frame; none if there is no frame.
    pub schema_id: Option<u32>,
    /// The full name of an Avro record's schema.
    pub schema: Option<String>,
    /// The value; bytes in an Avro record are an object with `hex`.
    #[serde(default)]
    pub value: Value,
    /// Why it could not be deserialized, or did not pass its schema.
    pub error: Option<String>,
}

impl Registry {
    /// Starts one and waits until it answers; `None` where it cannot be had, which has been said loudly then.
    ///
    /// # Panics
    /// When it cannot be had although `TALARIA_REQUIRE_KAFKA` is set, or does not start.
    #[must_use]
    pub fn start() -> Option<Registry> {
        if !REGISTRY.is_possible() {
            return None;
        }
        let (name, pid) = (instance("test"), std::process::id().to_string());
        let url = REGISTRY.run(["start", "--name", &name, "--parent-pid", &pid]);
        Some(Registry { name, url })
    }

    /// The URL of its Confluent API, also while it is down: `http://host:port/apis/ccompat/v7`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it as a crash would.
    pub fn kill(&self) {
        REGISTRY.run(["kill", "--name", &self.name]);
    }

    /// Brings it back: same port, same schemas. Returns when it answers.
    pub fn restart(&self) {
        REGISTRY.run(["restart", "--name", &self.name]);
    }

    /// Waits, a minute at most, until the topic holds `expected` records; returns these and what there is beyond them.
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
