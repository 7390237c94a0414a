//! The gateway: the binary, as its own process, with a configuration file.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Leash, eventually};

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    process: Child,
    _leash: Leash,
    primary: SocketAddr,
    health: SocketAddr,
    metric: SocketAddr,
    folder: PathBuf,
}

impl Gateway {
    /// Starts a gateway and waits until it takes connections. `sections` is YAML: what is to be configured beyond addresses.
    pub(crate) async fn start(sections: &str) -> Gateway {
        Self::start_in(sections, &[]).await
    }

    /// The same with these variables in its environment.
    pub(crate) async fn start_in(sections: &str, environment: &[(&str, &Path)]) -> Gateway {
        let [primary, health, metric] = free_addresses();
        let folder = new_folder();
        let file = folder.join("talaria.yaml");
        let servers = format!(
            "primary: {{address: \"{primary}\"}}\nhealth: {{address: \"{health}\"}}\nmetric: {{address: \"{metric}\"}}\n"
        );
        fs::write(&file, servers + sections).expect("the test's folder can be written to");
        let log = File::create(folder.join("gateway.log")).expect("the test's folder can be written to");
        // Another binary can be put to the same tests: an optimised one, or yesterday's.
        let binary =
            std::env::var_os("TALARIA_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_talaria").into());
        let mut command = Command::new(binary);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"TALARIA_"))
        {
            command.env_remove(name); // what is meant for the tests is no configuration
        }
        let process = command
            .arg("--file")
            .arg(&file)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("the gateway's binary can be run");
        let leash = Leash::on(process.id());
        let mut gateway = Gateway { process, _leash: leash, primary, health, metric, folder };
        eventually("the gateway takes connections", Duration::from_secs(20), async || {
            if let Ok(Some(status)) = gateway.process.try_wait() {
                panic!("the gateway ended with {status}:\n{}", gateway.log());
            }
            TcpStream::connect(primary).await.is_ok()
        })
        .await;
        gateway
    }

    /// Where devices and services reach it.
    pub(crate) fn primary(&self) -> SocketAddr {
        self.primary
    }

    /// Whether `GET /health` answers 200.
    pub(crate) async fn is_healthy(&self) -> bool {
        get(self.health, "/health").await.is_some_and(|response| response.starts_with("HTTP/1.0 200"))
    }

    /// The sum of a metric's samples whose line contains all `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = get(self.metric, "/metrics").await.expect("the metric server answers");
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Ends it with SIGTERM, as an operator does, and waits until it has flushed.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let sent = Command::new("kill").arg("-TERM").arg(self.process.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM can be sent");
        let mut ended = None;
        eventually("the gateway ends after SIGTERM", Duration::from_secs(60), async || {
            ended = self.process.try_wait().expect("a child can be waited for");
            ended.is_some()
        })
        .await;
        ended.expect("it has ended")
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("gateway.log")).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
        if std::thread::panicking() {
            let log = self.log();
            let start = log.len().saturating_sub(4_000);
            let tail = log.get(start..).unwrap_or(&log);
            panic_note(&format!("--- the gateway's log ends so ({}):\n{tail}\n---", self.folder.display()));
        } else {
            _ = fs::remove_dir_all(&self.folder);
        }
    }
}

#[expect(clippy::print_stderr, reason = "belongs to the failing test's output")]
fn panic_note(text: &str) {
    eprintln!("{text}");
}

/// Addresses that were free a moment ago: held together, so that they differ.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound listener has an address"))
}

fn new_folder() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("gateway-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("cargo's folder for tests can be written to");
    folder
}

async fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    // HTTP/1.0: the body comes as it is, without chunks, and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await.ok()?;
    Some(response)
}
