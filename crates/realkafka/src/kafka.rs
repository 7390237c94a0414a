//! `scripts/kafka`: a broker or a cluster of them.

use crate::record::{Counts, Record};
use crate::script::{Script, instance};

const KAFKA: Script = Script("kafka");

/// What a [`Kafka`] is to be; the default is one broker with a PLAINTEXT listener and no topic.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How many brokers (1); with three or more each topic has three replicas, two of which must have each record.
    pub brokers: u32,
    /// Topics and their partitions. No topic is there unless it was created.
    pub topics: Vec<(String, u32)>,
    /// More listeners: a name and its protocol (`SSL`, `SASL_SSL`, `SASL_PLAINTEXT`, `PLAINTEXT`).
    pub listeners: Vec<(&'static str, &'static str)>,
    /// Lines of `server.properties`: keystores, mechanisms, limits.
    pub properties: String,
    /// Names and passwords for SCRAM-SHA-256 and SCRAM-SHA-512.
    pub users: Vec<(&'static str, &'static str)>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            brokers: 1,
            topics: Vec::new(),
            listeners: Vec::new(),
            properties: String::new(),
            users: Vec::new(),
        }
    }
}

impl Setup {
    /// Starts it and waits until it answers; `None` where it cannot be had, which has been said loudly then.
    ///
    /// # Panics
    /// When it cannot be had although `TALARIA_REQUIRE_KAFKA` is set, or does not start.
    #[must_use]
    pub fn start(&self) -> Option<Kafka> {
        if !KAFKA.is_possible() {
            return None;
        }
        let name = instance("test");
        let mut arguments = vec!["start".to_owned(), "--name".to_owned(), name.clone()];
        let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        option("--parent-pid", std::process::id().to_string());
        option("--brokers", self.brokers.to_string());
        for (topic, partitions) in &self.topics {
            option("--topic", format!("{topic}:{partitions}"));
        }
        for (listener, protocol) in &self.listeners {
            option("--listener", format!("{listener}:{protocol}"));
        }
        for (user, password) in &self.users {
            option("--scram", format!("{user}:{password}"));
        }
        let properties = std::env::temp_dir().join(format!("{name}.properties"));
        if !self.properties.is_empty() {
            std::fs::write(&properties, &self.properties).expect("a temporary file can be written");
            option("--properties", properties.display().to_string());
        }
        let bootstrap = KAFKA.run(arguments.iter().map(String::as_str));
        _ = std::fs::remove_file(properties);
        Some(Kafka { name, bootstrap, is_up: true })
    }
}

/// An Apache Kafka that ends with this process, or when it is dropped. Its brokers are numbered from 1.
#[derive(Debug)]
pub struct Kafka {
    name: String,
    bootstrap: String,
    is_up: bool,
}

impl Kafka {
    /// Where it is reached without encryption and authentication, also while it is down: `host:port,…`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Where another listener of the [`Setup`] is reached: `host:port,…`.
    ///
    /// # Panics
    /// When there is none of this name.
    #[must_use]
    pub fn listener(&self, name: &str) -> String {
        let status = KAFKA.run(["status", "--name", &self.name]);
        let addresses = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        addresses.unwrap_or_else(|| panic!("no listener {name} in {status}")).to_owned()
    }

    /// Whether it has not been killed, or was restarted since.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Ends all brokers as a crash would.
    pub fn kill(&mut self) {
        self.is_up = false;
        self.run("kill", &[]);
    }

    /// Brings all brokers back: same ports, same data. Returns when they answer.
    pub fn restart(&mut self) {
        self.run("restart", &[]);
        self.is_up = true;
    }

    /// Ends one broker as a crash would.
    pub fn kill_node(&self, node: u32) {
        self.run("kill", &["--node", &node.to_string()]);
    }

    /// Ends one broker as its operator would: it gives its partitions to others first.
    pub fn shut_down_node(&self, node: u32) {
        self.run("shutdown", &["--node", &node.to_string()]);
    }

    /// Brings one broker back. Returns when it answers; that it has caught up is [`await_in_sync`](Kafka::await_in_sync)'s.
    pub fn restart_node(&self, node: u32) {
        self.run("restart", &["--node", &node.to_string()]);
    }

    /// Waits, a minute at most, until every replica of every partition is in sync.
    pub fn await_in_sync(&self) {
        self.run("in-sync", &[]);
    }

    /// Gives every partition of a topic to another broker. Returns when each has its new leader.
    pub fn move_leaders(&self, topic: &str) {
        self.run("move-leaders", &[topic]);
    }

    /// Creates a topic.
    pub fn create_topic(&self, topic: &str, partitions: u32) {
        self.run("topic", &[topic, &partitions.to_string()]);
    }

    /// Waits, a minute at most, until the topic holds `expected` records whose key begins with `key`; returns these and what
    /// there is beyond them. An empty `key` is any, also none.
    #[must_use]
    pub fn read(&self, topic: &str, key: &str, expected: usize) -> Vec<Record> {
        let count = expected.to_string();
        let mut arguments = vec!["read", topic, "--name", &self.name, "--count", &count];
        if !key.is_empty() {
            arguments.extend(["--key-prefix", key]);
        }
        // Too few records are for the caller to complain of, who knows which are missing.
        let output = KAFKA.output(arguments);
        let text = String::from_utf8(output.stdout).expect("ReadTopic prints UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("ReadTopic prints JSON")).collect()
    }

    /// Counts whole topics as they are now, however long.
    #[must_use]
    pub fn count(&self, topics: &[&str]) -> Counts {
        serde_json::from_str(&self.run("check", &[&topics.join(",")])).expect("CheckTopics prints JSON")
    }

    fn run(&self, command: &str, arguments: &[&str]) -> String {
        KAFKA.run([command, "--name", &self.name].into_iter().chain(arguments.iter().copied()))
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        _ = KAFKA.output(["stop", "--name", &self.name]);
    }
}
