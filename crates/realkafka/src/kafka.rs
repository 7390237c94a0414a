//! A Kafka broker or cluster, started and stopped by `scripts/kafka`.

use crate::record::{Counts, Record};
use crate::script::{Script, instance};

const KAFKA: Script = Script("kafka");

/// The configuration of a [`Kafka`]. The default is one broker with a PLAINTEXT listener and no topics.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The number of brokers. With three or more, each topic has three replicas, and two of them must acknowledge a record.
    pub brokers: u32,
    /// The names of topics to create, with their number of partitions. Brokers do not create topics by themselves.
    pub topics: Vec<(String, u32)>,
    /// Additional listeners: a name and its protocol (`SSL`, `SASL_SSL`, `SASL_PLAINTEXT`, `PLAINTEXT`).
    pub listeners: Vec<(&'static str, &'static str)>,
    /// Additional lines of `server.properties`: keystores, SASL mechanisms, limits.
    pub properties: String,
    /// Names and passwords of users for SCRAM-SHA-256 and SCRAM-SHA-512.
    pub users: Vec<(&'static str, &'static str)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            brokers: 1,
            topics: Vec::new(),
            listeners: Vec::new(),
            properties: String::new(),
            users: Vec::new(),
        }
    }
}

impl Setup {
    /// Starts the brokers and waits until they answer. Returns `None`, after printing `SKIPPED`, if Java or Maven is missing.
    ///
    /// # Panics
    /// If a broker does not start, or if Java or Maven is missing although `TALARIA_REQUIRE_KAFKA` is set.
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

/// A running Apache Kafka. It is stopped on drop, and at the latest when this process ends. Its brokers are numbered from 1.
#[derive(Debug)]
pub struct Kafka {
    name: String,
    bootstrap: String,
    is_up: bool,
}

impl Kafka {
    /// The addresses of the PLAINTEXT listener: `host:port,…`. They stay the same over a restart.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The addresses of a listener of the [`Setup`]: `host:port,…`.
    ///
    /// # Panics
    /// If no listener has this name.
    #[must_use]
    pub fn listener(&self, name: &str) -> String {
        let status = KAFKA.run(["status", "--name", &self.name]);
        let addresses = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        addresses.unwrap_or_else(|| panic!("no listener {name} in:\n{status}")).to_owned()
    }

    /// Whether the brokers run: `false` between [`kill`](Kafka::kill) and [`restart`](Kafka::restart).
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Kills all brokers (SIGKILL).
    pub fn kill(&mut self) {
        self.is_up = false;
        self.run("kill", &[]);
    }

    /// Starts all brokers again, with the same ports and data, and waits until they answer.
    pub fn restart(&mut self) {
        self.run("restart", &[]);
        self.is_up = true;
    }

    /// Kills one broker (SIGKILL).
    pub fn kill_node(&self, node: u32) {
        self.run("kill", &["--node", &node.to_string()]);
    }

    /// Shuts one broker down in order (SIGTERM): its partitions move to other brokers first.
    pub fn shut_down_node(&self, node: u32) {
        self.run("shutdown", &["--node", &node.to_string()]);
    }

    /// Starts one broker again and waits until it answers. [`await_in_sync`](Kafka::await_in_sync) waits until it has caught
    /// up.
    pub fn restart_node(&self, node: u32) {
        self.run("restart", &["--node", &node.to_string()]);
    }

    /// Waits at most a minute until all replicas of all partitions are in sync.
    pub fn await_in_sync(&self) {
        self.run("in-sync", &[]);
    }

    /// Moves the leadership of each partition of a topic to another broker, and waits until that is done.
    pub fn move_leaders(&self, topic: &str) {
        self.run("move-leaders", &[topic]);
    }

    /// Creates a topic and waits until that is done.
    pub fn create_topic(&self, topic: &str, partitions: u32) {
        self.run("topic", &[topic, &partitions.to_string()]);
    }

    /// Waits at most a minute until the topic holds `expected` records whose key begins with `key`, and returns all of them,
    /// also those in excess. If `key` is empty, all records count, also those without a key.
    #[must_use]
    pub fn read(&self, topic: &str, key: &str, expected: usize) -> Vec<Record> {
        let count = expected.to_string();
        let mut arguments = vec!["read", topic, "--name", &self.name, "--count", &count];
        if !key.is_empty() {
            arguments.extend(["--key-prefix", key]);
        }
        // A timeout is not an error here: the caller knows which records are missing and fails with a better message.
        let output = KAFKA.output(arguments);
        let text = String::from_utf8(output.stdout).expect("ReadTopic prints UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("ReadTopic prints JSON")).collect()
    }

    /// Counts all records that the topics hold now. Those marked `seq=` are numbered.
    #[must_use]
    pub fn count(&self, topics: &[&str]) -> Counts {
        self.count_marked(topics, "seq=")
    }

    /// Counts all records that the topics hold now. Those with this marker are numbered.
    #[must_use]
    pub fn count_marked(&self, topics: &[&str], marker: &str) -> Counts {
        let counts = self.run("check", &[&topics.join(","), "--marker", marker]);
        serde_json::from_str(&counts).expect("CheckTopics prints JSON")
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
