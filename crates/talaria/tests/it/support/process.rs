//! The gateway as a process of its own, with a configuration file: started, used over the network, ended by a signal.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{Leash, eventually};

/// The three servers that every gateway has, on ports that the system chooses.
pub(crate) const ON_FREE_PORTS: &str =
    "primary: {address: '127.0.0.1:0'}\nhealth: {address: '127.0.0.1:0'}\nmetric: {address: '127.0.0.1:0'}\n";

/// How long the gateway may take for what it does at once on a machine that is not busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The variable of `cpuScheduling`. Tests keep all cores busy, so their gateways run with `normal`, as on such a machine, unless a test
/// sets it.
pub(crate) const CPU_SCHEDULING: &str = "TALARIA_CPUSCHEDULING";

/// A running gateway; killed when it is dropped.
pub(crate) struct GatewayProcess {
    process: Child,
    _leash: Leash,
    primary: SocketAddr,
    health: SocketAddr,
    metric: SocketAddr,
    folder: PathBuf,
    /// How many lines of the log [`GatewayProcess::logged`] has read.
    lines_read: usize,
}

impl GatewayProcess {
    /// Starts a gateway and waits until it listens. `sections` is YAML: what is configured beside the three addresses.
    pub(crate) async fn start(sections: &str) -> Self {
        Self::start_in(sections, &[]).await
    }

    /// The same with these servers in place of those on free ports.
    pub(crate) async fn start_at(servers: &str, sections: &str) -> Self {
        let folder = configured(&format!("{servers}{sections}"));
        Self::spawned(command(&folder), folder).await
    }

    /// The same with these variables in its environment, which is empty otherwise.
    pub(crate) async fn start_in(sections: &str, environment: &[(&str, &Path)]) -> Self {
        let folder = configured(&format!("{ON_FREE_PORTS}{sections}"));
        let mut command = command(&folder);
        command.envs(environment.iter().copied());
        Self::spawned(command, folder).await
    }

    /// The same in a process that may open so many files.
    pub(crate) async fn start_with_files(files: u32, sections: &str) -> Self {
        let folder = configured(&format!("{ON_FREE_PORTS}{sections}"));
        let inner = command(&folder);
        let mut command = Command::new("/bin/sh");
        command.current_dir(&folder).env_clear().stdin(Stdio::null());
        command.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]);
        command.arg(inner.get_program()).args(inner.get_args());
        Self::spawned(command, folder).await
    }

    /// The same, with this socket as a service manager passes it: as file descriptor 3 (sd_listen_fds(3)).
    pub(crate) async fn start_on(listener: TcpListener, servers: &str) -> Self {
        let folder = configured(servers);
        let inner = command(&folder);
        let mut command = Command::new("/bin/sh");
        command.current_dir(&folder).env_clear().stdin(OwnedFd::from(listener));
        command.args(["-c", "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\""]);
        command.arg(inner.get_program()).args(inner.get_args());
        Self::spawned(command, folder).await
    }

    async fn spawned(mut command: Command, folder: PathBuf) -> Self {
        if command.get_envs().all(|(name, _)| name != CPU_SCHEDULING) {
            command.env(CPU_SCHEDULING, "normal");
        }
        let log = File::create(folder.join("gateway.log")).expect("the test's folder can be written to");
        let process = command
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("the gateway's binary can be run");
        let leash = Leash::on(process.id());
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut gateway = Self {
            process,
            _leash: leash,
            primary: nowhere,
            health: nowhere,
            metric: nowhere,
            folder,
            lines_read: 0,
        };
        while [gateway.primary, gateway.health, gateway.metric].contains(&nowhere) {
            let line = gateway.logged("starting server").await;
            let address = line["address"].as_str().unwrap().parse().unwrap();
            match line["server"].as_str().unwrap() {
                "primary" => gateway.primary = address,
                "health" => gateway.health = address,
                "metric" => gateway.metric = address,
                _ => {}
            }
        }
        gateway
    }

    /// Where devices and services reach it.
    pub(crate) fn primary(&self) -> SocketAddr {
        self.primary
    }

    /// A device's connection, as tungstenite gives it.
    pub(crate) async fn device(&self, id: &str) -> WebSocketStream<TcpStream> {
        let mut request = format!("ws://{}/api/v2/device", self.primary).into_client_request().unwrap();
        request.headers_mut().insert("X-Webpa-Device-Name", id.parse().unwrap());
        let socket = TcpStream::connect(self.primary).await.unwrap();
        tokio_tungstenite::client_async(request, socket).await.unwrap().0
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether `GET /health` answers 200.
    pub(crate) async fn is_healthy(&self) -> bool {
        get(self.health, "/health").await.is_some()
    }

    /// The JSON of `GET /health`.
    pub(crate) async fn health(&self) -> Json {
        serde_json::from_str(&get(self.health, "/health").await.expect("the health server answers")).unwrap()
    }

    /// Where `/health`, `/live` and `/ready` are.
    pub(crate) fn health_address(&self) -> SocketAddr {
        self.health
    }

    /// Where `/metrics` is.
    pub(crate) fn metric_address(&self) -> SocketAddr {
        self.metric
    }

    /// The text of `GET /metrics`.
    pub(crate) async fn metrics(&self) -> String {
        get(self.metric, "/metrics").await.expect("the metric server answers")
    }

    /// The sum of a metric's samples whose line contains all `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        self.metrics()
            .await
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Everything that it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("gateway.log")).unwrap_or_default()
    }

    /// The first line of the log with this message.
    pub(crate) fn log_line(&self, message: &str) -> Option<Json> {
        self.log_lines(message).into_iter().next()
    }

    /// All lines of the log with this message.
    pub(crate) fn log_lines(&self, message: &str) -> Vec<Json> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
        lines.filter(|line| line["msg"] == message).collect()
    }

    /// Reads the log on to the next line with this message, and waits until there is one.
    pub(crate) async fn logged(&mut self, message: &str) -> Json {
        let mut found = None;
        eventually(&format!("the log line `{message}`"), PATIENCE, async || {
            let log = self.log();
            let whole = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
            for line in whole.lines().skip(self.lines_read) {
                self.lines_read += 1;
                let parsed: Json = serde_json::from_str(line).unwrap_or_default();
                if parsed["msg"] == message {
                    found = Some(parsed);
                    return true;
                }
            }
            if let Ok(Some(status)) = self.process.try_wait() {
                panic!("the gateway ended with {status}:\n{}", self.log());
            }
            false
        })
        .await;
        found.expect("it was found")
    }

    /// Writes another configuration, and has it read with SIGHUP.
    pub(crate) fn reload(&self, sections: &str) {
        self.write(sections);
        self.signal("-HUP");
    }

    /// Writes another configuration.
    pub(crate) fn write(&self, sections: &str) {
        self.write_at(ON_FREE_PORTS, sections);
    }

    /// The same with these servers in place of those on free ports.
    pub(crate) fn write_at(&self, servers: &str, sections: &str) {
        fs::write(self.folder.join("talaria.yaml"), format!("{servers}{sections}")).unwrap();
    }

    /// Where operators reach it, once its control server has started.
    pub(crate) fn control(&self) -> SocketAddr {
        let lines = self.log_lines("starting server");
        let line = lines.iter().find(|line| line["server"] == "control").expect("it has a control server");
        line["address"].as_str().unwrap().parse().unwrap()
    }

    /// Sends a signal: `-TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(name).arg(self.process.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "{name} can be sent");
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the gateway ends", Duration::from_secs(60), async || {
            ended = self.process.try_wait().expect("a child can be waited for");
            ended.is_some()
        })
        .await;
        ended.expect("it has ended")
    }

    /// Ends it with SIGTERM, as an operator does, and waits until it has flushed.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        self.signal("-TERM");
        self.ended().await
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.get(log.len().saturating_sub(4_000)..).unwrap_or(&log);
            note(&format!("--- the end of the gateway's log ({}):\n{tail}\n---", self.folder.display()));
        } else {
            _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Runs a gateway that does not start, with this whole configuration: its exit code and what it writes to stderr.
pub(crate) fn failed_start(configuration: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = configured(configuration);
    let output = command(&folder).envs(environment.iter().copied()).output().unwrap();
    fs::remove_dir_all(folder).unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// The gateway's command, with the configuration of this folder and an empty environment.
fn command(folder: &Path) -> Command {
    // Another binary can be put to the same tests: an optimised one, or an older one.
    let binary = std::env::var_os("TALARIA_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_talaria").into());
    let mut command = Command::new(binary);
    command.current_dir(folder).env_clear().args(["--file", "./talaria.yaml"]).stdin(Stdio::null());
    command
}

/// A new folder with this `talaria.yaml`.
fn configured(configuration: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("gateway-{}-{number}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("cargo's folder for tests can be written to");
    fs::write(folder.join("talaria.yaml"), configuration).expect("the test's folder can be written to");
    folder
}

#[expect(clippy::print_stderr, reason = "belongs to the failing test's output")]
fn note(text: &str) {
    eprintln!("{text}");
}

/// The body of a GET that is answered with 200.
async fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    // HTTP/1.0: the body comes as it is, without chunks, and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await.ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.0 200").then(|| body.to_owned())
}
