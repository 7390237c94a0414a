//! A ZooKeeper server, started and stopped by `scripts/zookeeper`.

use crate::script::{Script, instance};

const ZOOKEEPER: Script = Script("zookeeper");

/// A running Apache ZooKeeper. It is stopped on drop, and at the latest when this process ends.
#[derive(Debug)]
pub struct ZooKeeper {
    name: String,
    address: String,
}

impl ZooKeeper {
    /// Starts a ZooKeeper and waits until it answers. Returns `None`, after printing `SKIPPED`, if Java or Maven is missing.
    ///
    /// # Panics
    /// If it does not start, or if Java or Maven is missing although `TALARIA_REQUIRE_KAFKA` is set.
    #[must_use]
    pub fn start() -> Option<Self> {
        if !ZOOKEEPER.is_possible() {
            return None;
        }
        let (name, pid) = (instance("test"), std::process::id().to_string());
        let address = ZOOKEEPER.run(["start", "--name", &name, "--parent-pid", &pid]);
        Some(Self { name, address })
    }

    /// Its address: `host:port`. It stays the same over a restart.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Kills it (SIGKILL).
    pub fn kill(&self) {
        self.run("kill");
    }

    /// Starts it again, with the same port and data, and waits until it answers.
    pub fn restart(&self) {
        self.run("restart");
    }

    /// Starts it again without its data.
    pub fn restart_empty(&self) {
        self.run("restart-empty");
    }

    /// Stops its process, which keeps its connections and says nothing, until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.run("pause");
    }

    /// Lets its process go on.
    pub fn resume(&self) {
        self.run("resume");
    }

    fn run(&self, command: &str) {
        ZOOKEEPER.run([command, "--name", &self.name]);
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        _ = ZOOKEEPER.output(["stop", "--name", &self.name]);
    }
}
