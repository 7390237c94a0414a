//! A gateway that is started here: on free ports, with a minimal configuration, and stopped at the end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::certificates::Certificates;
use crate::process::Process;
use crate::run::RunId;

/// The time limit for the gateway to listen, also under a tool that makes it fifty times slower.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// The time limit for the gateway to end after SIGTERM. It drains its sinks first.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// The interval of the checks whether it listens or has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Makes the gateway check tokens without having a valid key: no server listens on port 1.
const NO_KEYS: &str = "jwtValidator: {Config: {Resolve: {Template: \"http://127.0.0.1:1/{keyID}\"}}}\n";

/// Does not send away devices that wait long for their handshake: a tool makes the gateway slow, not overloaded.
const SLOW: &str = "handshakes: {cpuPercent: 100, maxWait: 1m}, ";

/// Lets devices name hosts on this machine in their events.
const NAMED_HOSTS: &str = ", defaultScheme: http, allowedSchemes: [http], dns: {allowPrivate: true}";

/// The length of the end of the gateway's log that an error shows, in bytes.
const LOG_SHOWN: usize = 4000;

/// A running gateway. On drop it is killed and its directory is removed.
#[derive(Debug)]
pub(crate) struct SpawnedGateway {
    child: Child,
    directory: TemporaryDirectory,
    primary: SocketAddr,
    metric: SocketAddr,
    certificates: Option<Certificates>,
}

/// Limits of the gateway that are lower than its defaults, so that a short run reaches them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The time for the header and for the body of a request, and for a message of a device.
    pub(crate) request_timeout: Duration,
    /// The longest message of a device, in bytes.
    pub(crate) message: usize,
    /// The unfinished messages of all devices together, in bytes.
    pub(crate) unfinished: usize,
}

/// How fast the gateway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speed {
    Full,
    /// It runs under a tool.
    Slow,
}

/// Where the gateway sends the events of its devices. Their online and offline events always go to both sinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routes {
    /// To the receiver and to Kafka.
    Both,
    KafkaOnly,
}

/// What the configuration of the gateway depends on.
#[derive(Debug)]
pub(super) struct GatewayConfig<'a> {
    /// The URL to send events to.
    pub(super) receiver: &'a str,
    /// The bootstrap servers of Kafka.
    pub(super) brokers: &'a str,
    /// The topic of all events.
    pub(super) topic: &'a str,
    /// `user:password` of the API.
    pub(super) auth: &'a str,
    /// Whether the primary server uses TLS, with certificates that are made for it.
    pub(super) tls: bool,
    /// `None` for the gateway's defaults.
    pub(super) limits: Option<Limits>,
    pub(super) routes: Routes,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program, its directory or a free port could not be had.
    #[error("cannot start {path}: {source}", path = .path.display())]
    Io {
        /// The program.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The program ended before it listened.
    #[error("{path} ended with {status} before it listened; the end of its log:\n{log}", path = .path.display())]
    Ended {
        /// The program.
        path: PathBuf,
        /// Its exit status.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The program runs but does not listen.
    #[error(
        "{path} does not listen at {address} after {START_TIMEOUT:?}; the end of its log:\n{log}",
        path = .path.display()
    )]
    NotListening {
        /// The program.
        path: PathBuf,
        /// The configured address of its primary server.
        address: SocketAddr,
        /// The end of its log.
        log: String,
    },
}

impl SpawnedGateway {
    /// Starts the program at `path`, with this before it on the command line, and waits until it listens.
    ///
    /// # Errors
    /// If it does not start, or does not listen within [`START_TIMEOUT`].
    pub(super) async fn start(
        prefix: &[OsString],
        path: &Path,
        run: RunId,
        config: &GatewayConfig<'_>,
    ) -> Result<Self, SpawnError> {
        let io = |source| SpawnError::Io { path: path.to_owned(), source };
        let [primary, health, metric] = free_addresses().map_err(io)?;
        let directory = TemporaryDirectory::create(run).map_err(io)?;
        let config_file = directory.0.join("talaria.yaml");
        let certificates =
            config.tls.then(|| Certificates::create(&directory.0, primary.ip())).transpose().map_err(io)?;
        let speed = if prefix.is_empty() { Speed::Full } else { Speed::Slow };
        let text = yaml([primary, health, metric], config, certificates.as_ref(), speed);
        fs::write(&config_file, text).map_err(io)?;
        let log = File::create(directory.log()).map_err(io)?;
        let program = prefix.first().map_or(path.as_os_str(), |tool| tool);
        let child = Command::new(program)
            .args(prefix.iter().skip(1))
            .args((!prefix.is_empty()).then_some(path))
            .arg("-f")
            .arg(&config_file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(io)?)
            .stderr(log)
            .spawn()
            .map_err(io)?;
        let mut spawned = Self { child, directory, primary, metric, certificates };
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(primary).await.is_err() {
            if let Some(status) = spawned.child.try_wait().map_err(io)? {
                return Err(SpawnError::Ended {
                    path: path.to_owned(),
                    status,
                    log: spawned.directory.end_of_log(),
                });
            }
            if Instant::now() > deadline {
                let log = spawned.directory.end_of_log();
                return Err(SpawnError::NotListening { path: path.to_owned(), address: primary, log });
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(spawned)
    }

    /// The address of the primary server: devices and the API.
    pub(super) fn primary(&self) -> SocketAddr {
        self.primary
    }

    /// The address of the metrics server.
    pub(crate) fn metric(&self) -> SocketAddr {
        self.metric
    }

    /// The file of the authority that signed the server's certificate; `None` without TLS.
    pub(super) fn authority(&self) -> Option<&Path> {
        self.certificates.as_ref().map(|certificates| &*certificates.authority)
    }

    pub(super) fn process(&self) -> Process {
        Process::new(self.child.id())
    }

    /// Sends SIGTERM and waits until the process has ended. Returns `None` if it has not within [`STOP_TIMEOUT`]; it is killed
    /// then.
    ///
    /// # Errors
    /// If the signal cannot be sent or the status cannot be read.
    pub(super) async fn stop(mut self) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(Some(status));
        }
        self.process().terminate()?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(None)
    }
}

impl Drop for SpawnedGateway {
    fn drop(&mut self) {
        // Both fail if the process has already ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three different addresses with ports that are free now.
fn free_addresses() -> io::Result<[SocketAddr; 3]> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // All are bound at the same time, so that they differ.
    let listeners = [bind()?, bind()?, bind()?];
    Ok([listeners[0].local_addr()?, listeners[1].local_addr()?, listeners[2].local_addr()?])
}

/// A minimal configuration. Texts are quoted as JSON strings, which are also YAML.
fn yaml(
    [primary, health, metric]: [SocketAddr; 3],
    config: &GatewayConfig<'_>,
    certificates: Option<&Certificates>,
    speed: Speed,
) -> String {
    let GatewayConfig { receiver, brokers, topic, auth, limits, routes, .. } = config;
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let brokers: Vec<_> = brokers.split(',').map(quote).collect();
    let (mut server, mut manager, mut outbound, mut keys) = (String::new(), String::new(), "", "");
    if speed == Speed::Slow {
        manager += SLOW;
    }
    if let Some(Limits { request_timeout, message, unfinished }) = limits {
        let millis = request_timeout.as_millis();
        server = format!(", readHeaderTimeout: {millis}ms, readTimeout: {millis}ms");
        manager += &format!(
            "maxMessageSize: {message}, maxUnfinishedBytes: {unfinished}, messageTimeout: {millis}ms"
        );
        outbound = NAMED_HOSTS;
        keys = NO_KEYS;
    }
    if let Some(Certificates { certificate, key, .. }) = certificates {
        let quote = |path: &Path| quote(&path.to_string_lossy());
        server += &format!(", certificateFile: {}, keyFile: {}", quote(certificate), quote(key));
    }
    format!(
        "primary: {{address: \"{primary}\"{server}}}\n\
         health: {{address: \"{health}\"}}\n\
         metric: {{address: \"{metric}\"}}\n\
         {keys}inbound: {{authKey: [{auth}]}}\n\
         device: {{manager: {{{manager}}}, outbound: {{eventEndpoints: {{{receivers}: {receiver}}}, outboundQueueSize: 10000{outbound}}}}}\n\
         kafka:\n  enabled: true\n  brokers: [{brokers}]\n  initialDynamicConfig:\n    topicMap:\n    \
         - {{pattern: \"*\", topic: {topic}}}\n",
        auth = quote(&STANDARD.encode(auth)),
        receivers = receivers(*routes),
        receiver = quote(receiver),
        brokers = brokers.join(", "),
        topic = quote(topic),
    )
}

/// The event type whose events go to the receiver.
fn receivers(routes: Routes) -> &'static str {
    match routes {
        Routes::Both => "default",
        // contract §5.1: an event type without URLs goes to no receiver if there is no default.
        Routes::KafkaOnly => "device-status",
    }
}

/// A directory that is removed on drop.
#[derive(Debug)]
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn create(run: RunId) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("talaria-sim-{run}-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    fn end_of_log(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_SHOWN)..]).into_owned()
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            // A remark is enough: the directory is in the system's place for temporary files.
            let _ = writeln!(io::stderr(), "cannot remove {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_the_configuration_are_quoted() {
        let address = "127.0.0.1:1".parse().unwrap();
        let config = GatewayConfig {
            receiver: "http://h/\"",
            brokers: "a:1,b:2",
            topic: "t: x",
            auth: "user:pass",
            tls: false,
            limits: None,
            routes: Routes::Both,
        };
        let yaml = yaml([address; 3], &config, None, Speed::Full);
        for part in [
            r#"default: "http://h/\"""#,
            r#"["a:1", "b:2"]"#,
            r#"topic: "t: x""#,
            r#"authKey: ["dXNlcjpwYXNz"]"#,
        ] {
            assert!(yaml.contains(part), "{part} in\n{yaml}");
        }
    }

    #[tokio::test]
    async fn a_program_that_ends_at_once_is_an_error_that_shows_its_log() {
        let config = GatewayConfig {
            receiver: "",
            brokers: "",
            topic: "",
            auth: "",
            tls: false,
            limits: None,
            routes: Routes::Both,
        };
        let error =
            SpawnedGateway::start(&[], Path::new("/bin/ls"), RunId::random(), &config).await.unwrap_err();
        assert!(matches!(&error, SpawnError::Ended { .. }), "{error}");
        let error =
            SpawnedGateway::start(&[], Path::new("/no/such"), RunId::random(), &config).await.unwrap_err();
        assert!(matches!(error, SpawnError::Io { .. }), "{error}");
    }
}
