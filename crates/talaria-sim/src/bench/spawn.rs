//! A gateway of our own: started on free ports with the least configuration, and stopped.

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

/// How long it may take to listen.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// How long it may take to end once asked to: it may drain for a while.
const DOWN_WITHIN: Duration = Duration::from_secs(60);

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Tokens are looked at, and there is no key that could be good: nobody listens on port 1.
const NO_KEYS: &str = "jwtValidator: {Config: {Resolve: {Template: \"http://127.0.0.1:1/{keyID}\"}}}\n";

/// How much of its log an error shows, in bytes.
const LOG_SHOWN: usize = 4000;

/// A gateway that runs. Killed, and its directory removed, when this is dropped.
#[derive(Debug)]
pub(crate) struct Spawned {
    child: Child,
    directory: Directory,
    primary: SocketAddr,
    metric: SocketAddr,
    certificates: Option<Certificates>,
}

/// Limits of the gateway's that are to be tighter than its own defaults, so that a short run meets them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a request's header and body may take.
    pub(crate) patience: Duration,
    /// The longest message of a device, in bytes.
    pub(crate) message: usize,
    /// What the unfinished messages of all devices together may take, in bytes.
    pub(crate) unfinished: usize,
}

/// What the gateway is configured with.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// The URL that events go to.
    pub(crate) receiver: &'a str,
    /// Kafka's bootstrap servers.
    pub(crate) brokers: &'a str,
    /// The topic that everything goes to.
    pub(crate) topic: &'a str,
    /// `user:password` of the API.
    pub(crate) auth: &'a str,
    /// Whether its primary server speaks TLS, with certificates that are made for it.
    pub(crate) tls: bool,
    /// None: the gateway's own.
    pub(crate) limits: Option<Limits>,
}

/// Why the gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No ports, no directory, no program.
    #[error("cannot start {path}: {source}", path = .path.display())]
    Io {
        /// The program.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It started and ended.
    #[error("{path} ended at once with {status}; it said:\n{log}", path = .path.display())]
    Ended {
        /// The program.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        log: String,
    },
    /// It runs, and nobody listens.
    #[error("{path} does not listen at {address} after {UP_WITHIN:?}; it said:\n{log}", path = .path.display())]
    Deaf {
        /// The program.
        path: PathBuf,
        /// Where it was told to listen.
        address: SocketAddr,
        /// The end of what it wrote.
        log: String,
    },
}

impl Spawned {
    /// Starts the gateway at `path` and waits until it listens.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) async fn start(
        path: &Path,
        run: RunId,
        surroundings: &Surroundings<'_>,
    ) -> Result<Self, SpawnError> {
        let io = |source| SpawnError::Io { path: path.to_owned(), source };
        let [primary, health, metric] = free_addresses().map_err(io)?;
        let directory = Directory::create(run).map_err(io)?;
        let config = directory.0.join("talaria.yaml");
        let certificates = surroundings
            .tls
            .then(|| Certificates::create(&directory.0, primary.ip()))
            .transpose()
            .map_err(io)?;
        let text = configuration([primary, health, metric], surroundings, certificates.as_ref());
        fs::write(&config, text).map_err(io)?;
        let log = File::create(directory.log()).map_err(io)?;
        let child = Command::new(path)
            .arg("-f")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(io)?)
            .stderr(log)
            .spawn()
            .map_err(io)?;
        let mut spawned = Self { child, directory, primary, metric, certificates };
        let deadline = Instant::now() + UP_WITHIN;
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
                return Err(SpawnError::Deaf { path: path.to_owned(), address: primary, log });
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(spawned)
    }

    /// Where it listens for devices and for the API's callers.
    #[must_use]
    pub(crate) fn primary(&self) -> SocketAddr {
        self.primary
    }

    /// Where it tells its metrics.
    #[must_use]
    pub(crate) fn metric(&self) -> SocketAddr {
        self.metric
    }

    /// The authority of its certificate, if it speaks TLS.
    pub(crate) fn authority(&self) -> Option<&Path> {
        self.certificates.as_ref().map(|certificates| &*certificates.authority)
    }

    /// Its process.
    #[must_use]
    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.id())
    }

    /// Asks it to end (SIGTERM) and waits until it has. `None`: it has not for a minute, and was killed.
    ///
    /// # Errors
    /// If the system does not let us.
    pub(crate) async fn stop(mut self) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(Some(status));
        }
        self.process().terminate()?;
        let deadline = Instant::now() + DOWN_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(None)
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // it may have ended by itself; nothing is to be done about a failure here
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Addresses that were free a moment ago.
fn free_addresses() -> io::Result<[SocketAddr; 3]> {
    let ask = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // all held at once, so that they differ
    let held = [ask()?, ask()?, ask()?];
    Ok([held[0].local_addr()?, held[1].local_addr()?, held[2].local_addr()?])
}

/// The least that a gateway needs to be told. Texts are JSON strings, which YAML takes.
fn configuration(
    [primary, health, metric]: [SocketAddr; 3],
    surroundings: &Surroundings<'_>,
    certificates: Option<&Certificates>,
) -> String {
    let Surroundings { receiver, brokers, topic, auth, limits, .. } = surroundings;
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let brokers: Vec<_> = brokers.split(',').map(quote).collect();
    let (mut server, mut manager, mut keys) = (String::new(), String::new(), "");
    if let Some(Limits { patience, message, unfinished }) = limits {
        let patience = patience.as_millis();
        server = format!(", readHeaderTimeout: {patience}ms, readTimeout: {patience}ms");
        manager = format!("manager: {{maxMessageSize: {message}, maxUnfinishedBytes: {unfinished}}}, ");
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
         device: {{{manager}outbound: {{eventEndpoints: {{default: {receiver}}}, outboundQueueSize: 10000}}}}\n\
         kafka:\n  enabled: true\n  brokers: [{brokers}]\n  initialDynamicConfig:\n    topicMap:\n    \
         - {{pattern: \"*\", topic: {topic}}}\n",
        auth = quote(&STANDARD.encode(auth)),
        receiver = quote(receiver),
        brokers = brokers.join(", "),
        topic = quote(topic),
    )
}

/// A directory that goes when this is dropped.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
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

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            // worth a word, no more: it is in the system's place for such files
            let _ = writeln!(io::stderr(), "cannot remove {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_quotes_what_it_is_given() {
        let address = "127.0.0.1:1".parse().unwrap();
        let surroundings = Surroundings {
            receiver: "http://h/\"",
            brokers: "a:1,b:2",
            topic: "t: x",
            auth: "user:pass",
            tls: false,
            limits: None,
        };
        let yaml = configuration([address; 3], &surroundings, None);
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
        let surroundings =
            Surroundings { receiver: "", brokers: "", topic: "", auth: "", tls: false, limits: None };
        let error = Spawned::start(Path::new("/bin/ls"), RunId::random(), &surroundings).await.unwrap_err();
        assert!(matches!(&error, SpawnError::Ended { .. }), "{error}");
        let error = Spawned::start(Path::new("/no/such"), RunId::random(), &surroundings).await.unwrap_err();
        assert!(matches!(error, SpawnError::Io { .. }), "{error}");
    }
}
