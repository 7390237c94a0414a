//! One real Apache Kafka for a test binary, brought up by `scripts/kafka`.

use std::io::Write as _;
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};
use wrp::{Message, MessageRef};

use super::repository;

/// The topic that the minimal configuration writes to, and how many partitions it has here.
pub(crate) const TOPIC: &str = "wrp-events";
const PARTITIONS: u32 = 12;

static BROKER: LazyLock<Option<Mutex<Kafka>>> = LazyLock::new(|| Kafka::start().map(Mutex::new));

/// The broker, for the caller alone and running; `None` where it cannot be had, which has been said loudly then.
///
/// # Panics
/// When it cannot be had although `TALARIA_REQUIRE_KAFKA` is set.
pub(crate) async fn broker() -> Option<MutexGuard<'static, Kafka>> {
    let mut kafka = BROKER.as_ref()?.lock().await;
    if !kafka.is_up {
        kafka.restart(); // the test before this one failed while it had the broker down
    }
    Some(kafka)
}

/// An Apache Kafka that ends with this process. It starts with one topic, [`TOPIC`].
///
/// Its methods block: they are for a test's own body, which a multi-threaded runtime runs beside its workers.
pub(crate) struct Kafka {
    name: String,
    bootstrap: String,
    is_up: bool,
}

impl Kafka {
    fn start() -> Option<Kafka> {
        if let Err(missing) = checked(&script(["fetch"])) {
            assert!(std::env::var_os("TALARIA_REQUIRE_KAFKA").is_none(), "no Kafka to test with: {missing}");
            // Straight to the file: the test harness would keep what a macro prints of a test that passes.
            _ = writeln!(std::io::stderr(), "\nSKIPPED: the tests on a real Kafka: {missing}");
            return None;
        }
        let pid = std::process::id().to_string();
        let name = format!("test-{pid}");
        let topic = format!("{TOPIC}:{PARTITIONS}");
        let bootstrap = run(["start", "--name", &name, "--parent-pid", &pid, "--topic", &topic]);
        Some(Kafka { name, bootstrap: bootstrap.trim().to_owned(), is_up: true })
    }

    /// Where it is reached, also while it is down: `host:port`.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.is_up = false;
        run(["kill", "--name", &self.name]);
    }

    /// Brings it back: same port, same data. Returns when it answers.
    pub(crate) fn restart(&mut self) {
        run(["restart", "--name", &self.name]);
        self.is_up = true;
    }

    /// Waits, a minute at most, until the topic holds `expected` records whose key begins with `key`; returns these and what
    /// there is beyond them.
    pub(crate) fn read(&self, key: &str, expected: usize) -> Vec<Record> {
        let count = expected.to_string();
        let output = script(["read", TOPIC, "--name", &self.name, "--key-prefix", key, "--count", &count]);
        let text = String::from_utf8(output.stdout).expect("ReadTopic prints UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("ReadTopic prints JSON")).collect()
    }
}

/// A record of the topic, as the Java client saw it.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<String>,
    /// The partition that a Java producer would have chosen for the key.
    pub(crate) expected_partition: Option<i32>,
    value_hex: String,
}

impl Record {
    /// The record's value, as WRP v5 to its last byte.
    pub(crate) fn message(&self) -> Message {
        let bytes = hex(&self.value_hex);
        let (message, rest) =
            MessageRef::decode_v5(&bytes).unwrap_or_else(|e| panic!("{e}, in {}", self.value_hex));
        assert!(rest.is_empty(), "bytes after the message: {}", self.value_hex);
        message.to_owned()
    }
}

fn hex(digits: &str) -> Vec<u8> {
    let nibble = |digit: u8| (digit as char).to_digit(16).expect("hexadecimal") as u8;
    digits.as_bytes().chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}

fn script<const N: usize>(arguments: [&str; N]) -> Output {
    Command::new(repository().join("scripts/kafka"))
        .args(arguments)
        .output()
        .expect("scripts/kafka can be run")
}

fn run<const N: usize>(arguments: [&str; N]) -> String {
    checked(&script(arguments)).unwrap_or_else(|error| panic!("{error}"))
}

fn checked(output: &Output) -> Result<String, String> {
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
