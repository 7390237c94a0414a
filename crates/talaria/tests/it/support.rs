//! What the integration tests share: a gateway in this process ([`gateway`]) and one as a process of its own ([`process`]),
//! devices, receivers, key servers, certificates, a real broker.
//!
//! Nothing here is the project's own client code: devices speak through tungstenite, topics are read by Kafka's Java client.

pub(crate) mod allocator;
pub(crate) mod bad_receiver;
pub(crate) mod certificates;
pub(crate) mod collector;
pub(crate) mod consul;
pub(crate) mod control;
pub(crate) mod device;
pub(crate) mod event;
pub(crate) mod fleet;
pub(crate) mod fleet_client;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod jaeger;
pub(crate) mod kafka;
pub(crate) mod process;
pub(crate) mod receiver;
pub(crate) mod tokens;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Checks again and again until `condition` holds.
///
/// # Panics
/// When it does not within `bound`, naming `what` was waited for.
pub(crate) async fn eventually(what: &str, bound: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + bound;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {bound:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lets paused time pass, and with it all that the runtime has to do until then, work on its blocking threads included.
///
/// Only for tests with `start_paused`: with a running clock it would be a sleep.
pub(crate) async fn time_passes(duration: Duration) {
    let before = Instant::now();
    tokio::time::sleep(duration).await;
    assert!(before.elapsed() < duration, "the clock is not paused");
}

/// Runs the body of a test in a process of its own, which this test binary starts of itself: nothing else allocates there.
///
/// # Panics
/// When the body fails there. `test` is the name of the test, with its module.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    const IS_ALONE: &str = "TALARIA_TEST_IS_ALONE";
    if std::env::var_os(IS_ALONE).is_some() {
        return body();
    }
    let binary = std::env::current_exe().expect("a process has a binary");
    let run = Command::new(binary)
        .args(["--exact", test, "--nocapture"])
        .env(IS_ALONE, "1")
        .output()
        .expect("this binary can be run again");
    let output = String::from_utf8_lossy(&run.stdout);
    let errors = String::from_utf8_lossy(&run.stderr);
    println!("{output}");
    assert!(run.status.success() && output.contains("1 passed"), "{output}\n{errors}");
}

/// Kills another process when this one ends, however it ends; dropped, it lets go.
pub(crate) struct Leash(Child);

impl Leash {
    pub(crate) fn on(pid: u32) -> Self {
        let child = Command::new("bash")
            .args(["-c", "tail --pid=\"$1\" -f /dev/null; kill -KILL \"$2\"", "leash"])
            .args([std::process::id().to_string(), pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash starts");
        Self(child)
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // Its `tail` ends by itself when this process does.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
