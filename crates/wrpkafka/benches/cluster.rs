//! A mock cluster in a process of its own, so that its CPU is not counted.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use wrpkafka::mock::MockKafka;

/// The variable that makes a process the cluster's.
const CLUSTER: &str = "WRPKAFKA_BENCH_CLUSTER";

pub(crate) struct Cluster {
    child: Child,
    pub(crate) brokers: String,
}

/// Whether this process is to be the cluster's.
pub(crate) fn is_asked_for() -> bool {
    std::env::var_os(CLUSTER).is_some()
}

/// Serves until the input of the process ends.
pub(crate) fn serve() {
    let kafka = MockKafka::start(4).unwrap();
    println!("{}", kafka.brokers());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(CLUSTER, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut brokers = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut brokers).unwrap();
        Self { child, brokers: brokers.trim().to_owned() }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The process ends when its input ends.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
