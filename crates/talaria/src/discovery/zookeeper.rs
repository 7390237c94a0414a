//! The backend of ZooKeeper: watches paths, and registers this gateway as ephemeral nodes as go-kit writes them (contract §11.8).
//!
//! One task has one session. A session outlives its connections: as long as ZooKeeper is found again in time, its nodes stay.
//! Otherwise the task opens another session, registers again, and only then reads what is watched, so that it sees itself.

mod config;
mod connection;

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::discovery::zookeeper::{
    Mode, Request, Session, ZooKeeperError, parents, protected_name,
};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::backoff::Backoff;
use super::registrations::{InForce, Registrations};
use super::report::{Finality, Reporter, Seen, WatchName};
use crate::random;
use connection::{Connection, ConnectionError};

pub use config::{Config, Registration};

/// After an error of a single request, what is watched is read again.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Runs until it is dropped.
pub(super) async fn run(config: Config, reporter: Reporter, registrations: Registrations) {
    let watches = config.watches.iter().map(|path| Watch::of(path)).collect();
    let nodes = config.registrations.iter().cloned().map(Node::of).collect();
    let task = Task {
        config,
        reporter,
        registrations,
        session: Session::default(),
        session_lost_at: None,
        watches,
        nodes,
        has_failed: false,
    };
    task.run().await;
}

struct Task {
    config: Config,
    reporter: Reporter,
    registrations: Registrations,
    session: Session,
    /// When the session is given up if ZooKeeper is not found again.
    session_lost_at: Option<Instant>,
    watches: Vec<Watch>,
    nodes: Vec<Node>,
    /// Whether that a registration failed has been logged.
    has_failed: bool,
}

/// A path that is watched.
struct Watch {
    name: Arc<WatchName>,
    /// What was last reported.
    latest: Option<Vec<String>>,
    /// Whether it has to be read.
    is_stale: bool,
}

/// A registration and the node that it is, if it is one.
struct Node {
    registration: Registration,
    /// By which the gateway recognizes its own node.
    guid: [u8; 16],
    registered: Option<(String, InForce)>,
}

impl Watch {
    fn of(path: &str) -> Self {
        let name = WatchName { service: path.to_owned(), key: path.to_owned() };
        Self { name: Arc::new(name), latest: None, is_stale: true }
    }
}

impl Node {
    fn of(registration: Registration) -> Self {
        let mut guid = [0; 16];
        let halves = [random::number(), random::number()];
        guid[..8].copy_from_slice(&halves[0].to_le_bytes());
        guid[8..].copy_from_slice(&halves[1].to_le_bytes());
        Self { registration, guid, registered: None }
    }
}

impl Task {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut next = usize::try_from(random::number() % 1024).unwrap_or(0);
        loop {
            let server = self.config.servers[next % self.config.servers.len()].clone();
            next += 1;
            match self.open(&server).await {
                Ok(mut connection) => {
                    backoff.reset();
                    let error = self.serve(&mut connection).await;
                    // The session goes on from here.
                    self.session.zxid = connection.zxid();
                    self.session_lost_at = Some(Instant::now() + connection.timeout() * 2);
                    self.failed(&server, &error).await;
                }
                Err(error) => self.failed(&server, &error).await,
            }
            self.forget_lost_session();
            backoff.wait().await;
        }
    }

    /// Connects in the current session, or in a new one if that has ended.
    async fn open(&mut self, server: &str) -> Result<Connection, ConnectionError> {
        let is_known = self.session.id != 0;
        let opened = Connection::open(server, &self.config, &self.session).await;
        let connection = match opened {
            Err(ConnectionError::Expired) if is_known => {
                self.start_over();
                Connection::open(server, &self.config, &self.session).await?
            }
            opened => opened?,
        };
        let is_new = !is_known || self.session.id != connection.session().id;
        self.session = connection.session().clone();
        self.session_lost_at = None;
        info!(server, session = format!("0x{:x}", self.session.id), is_new, "connected to zookeeper");
        for watch in &mut self.watches {
            watch.is_stale = true;
        }
        Ok(connection)
    }

    /// The nodes of the session are gone.
    fn start_over(&mut self) {
        warn!("the session at zookeeper has ended, registering in a new one");
        self.session = Session::default();
        for node in &mut self.nodes {
            node.registered = None;
        }
    }

    /// A server that has lost its data refuses those that have seen more than it has, without a word (ZooKeeper's
    /// `ZooKeeperServer.processConnectRequest`), so that the session would be asked for in vain for ever.
    fn forget_lost_session(&mut self) {
        if self.session_lost_at.is_some_and(|lost| Instant::now() >= lost) {
            self.session_lost_at = None;
            self.start_over();
        }
    }

    /// Registers, reads what is watched, and does so again whenever something changes. Returns when the connection is of no use.
    async fn serve(&mut self, connection: &mut Connection) -> ConnectionError {
        let mut again = None;
        loop {
            if let Err(error) = self.settle(connection, &mut again).await {
                return error;
            }
            let wanted = self.registrations.is_wanted();
            let mut changes = self.registrations.clone();
            tokio::select! {
                event = connection.event() => match event {
                    Ok(path) => self.changed(&path),
                    Err(error) => return error,
                },
                () = changes.wanted(!wanted) => {}
                () = at(again) => again = None,
            }
        }
    }

    fn changed(&mut self, path: &str) {
        for watch in self.watches.iter_mut().filter(|watch| watch.name.key == path) {
            watch.is_stale = true;
        }
    }

    /// Brings registrations and reports up to date. Errors of single requests are tried again later.
    async fn settle(
        &mut self,
        connection: &mut Connection,
        again: &mut Option<Instant>,
    ) -> Result<(), ConnectionError> {
        let wanted = self.registrations.is_wanted();
        for at in 0..self.nodes.len() {
            let result = match (wanted, self.nodes[at].registered.is_some()) {
                (true, false) => self.register(connection, at).await,
                (false, true) => self.deregister(connection, at).await,
                _ => Ok(()),
            };
            if let Err(error) = result {
                self.complain_of_registration(at, error.request()?);
                *again = Some(Instant::now() + READ_AGAIN);
            }
        }
        for at in 0..self.watches.len() {
            if !self.watches[at].is_stale {
                continue;
            }
            match self.read(connection, at).await {
                Ok(instances) => self.report(at, instances).await,
                Err(error) => {
                    let error = error.request()?;
                    self.watches[at].latest = None;
                    self.watches[at].is_stale = true;
                    let finality = if error.is_refusal() { Finality::Final } else { Finality::Passing };
                    let seen = Seen::Failed { error: error.to_string(), finality };
                    self.reporter.report(&self.watches[at].name, seen).await;
                    *again = Some(Instant::now() + READ_AGAIN);
                }
            }
        }
        Ok(())
    }

    async fn register(&mut self, connection: &mut Connection, at: usize) -> Result<(), ConnectionError> {
        let (registration, guid) = (self.nodes[at].registration.clone(), self.nodes[at].guid);
        let folder = registration.folder();
        // After an answer that was lost, the node may be there already.
        let path = match self.find(connection, &folder, guid).await? {
            Some(path) => path,
            None => {
                make(connection, &folder).await?;
                let path = format!("{folder}/{}", protected_name(guid));
                let data = registration.url.as_bytes();
                let create = Request::Create { path: &path, data, mode: Mode::EphemeralSequential };
                connection.ask(create).await?.path().map_err(ConnectionError::Request)?
            }
        };
        info!(instance = registration.url, path, "registered at zookeeper");
        self.has_failed = false;
        let in_force = self.registrations.in_force(&registration.url);
        self.nodes[at].registered = Some((path, in_force));
        Ok(())
    }

    /// The node of a registration that was made in this session.
    async fn find(
        &mut self,
        connection: &mut Connection,
        folder: &str,
        guid: [u8; 16],
    ) -> Result<Option<String>, ConnectionError> {
        let prefix = protected_name(guid);
        let children = match connection.ask(Request::Children(folder)).await {
            Ok(reply) => reply.children().map_err(ConnectionError::Request)?,
            Err(ConnectionError::Request(ZooKeeperError::NoNode)) => return Ok(None),
            Err(error) => return Err(error),
        };
        for name in children.iter().filter(|name| name.starts_with(&prefix)) {
            let path = format!("{folder}/{name}");
            // One of a former session would go with it.
            match connection.ask(Request::Owner(&path)).await {
                Ok(reply) if reply.owner().map_err(ConnectionError::Request)? == self.session.id => {
                    return Ok(Some(path));
                }
                Ok(_) | Err(ConnectionError::Request(ZooKeeperError::NoNode)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn deregister(&mut self, connection: &mut Connection, at: usize) -> Result<(), ConnectionError> {
        let Some((path, in_force)) = self.nodes[at].registered.take() else { return Ok(()) };
        match connection.ask(Request::Delete(&path)).await {
            Ok(_) | Err(ConnectionError::Request(ZooKeeperError::NoNode)) => {
                info!(instance = self.nodes[at].registration.url, path, "deregistered at zookeeper");
                Ok(())
            }
            Err(error) => {
                self.nodes[at].registered = Some((path, in_force));
                Err(error)
            }
        }
    }

    /// What the nodes of a path contain, from now on watched.
    async fn read(&mut self, connection: &mut Connection, at: usize) -> Result<Vec<String>, ConnectionError> {
        let path = self.watches[at].name.key.clone();
        let children = match connection.ask(Request::WatchChildren(&path)).await {
            Err(ConnectionError::Request(ZooKeeperError::NoNode)) => {
                make(connection, &path).await?;
                connection.ask(Request::WatchChildren(&path)).await?
            }
            asked => asked?,
        };
        let children = children.children().map_err(ConnectionError::Request)?;
        // From here on an event says that it has changed.
        self.watches[at].is_stale = false;
        let mut instances = Vec::with_capacity(children.len());
        for name in children {
            let path = format!("{path}/{name}");
            match connection.ask(Request::GetData(&path)).await {
                Ok(reply) => {
                    let data = reply.data().map_err(ConnectionError::Request)?;
                    instances.push(String::from_utf8_lossy(&data).into_owned());
                }
                // It has left, which is the next event, or is not an instance.
                Err(ConnectionError::Request(ZooKeeperError::NoNode | ZooKeeperError::NoAuth)) => {}
                Err(error) => return Err(error),
            }
        }
        instances.sort_unstable();
        Ok(instances)
    }

    async fn report(&mut self, at: usize, instances: Vec<String>) {
        let watch = &mut self.watches[at];
        if watch.latest.as_ref() != Some(&instances) {
            watch.latest = Some(instances.clone());
            self.reporter.report(&watch.name, Seen::Instances(instances)).await;
        }
    }

    /// Reports an error of the connection for each watch.
    async fn failed(&mut self, server: &str, error: &ConnectionError) {
        let text = format!("{server}: {error}");
        for watch in &mut self.watches {
            watch.latest = None;
            let seen = Seen::Failed { error: text.clone(), finality: Finality::Passing };
            self.reporter.report(&watch.name, seen).await;
        }
        if self.watches.is_empty() {
            warn!(server, %error, "zookeeper is not reached, trying again");
        }
    }

    fn complain_of_registration(&mut self, at: usize, error: ZooKeeperError) {
        if !self.has_failed {
            self.has_failed = true;
            let url = &self.nodes[at].registration.url;
            error!(instance = url, %error, "cannot register at zookeeper, trying again: no device and no request is sent here by the fleet");
        }
    }
}

/// Makes a node with all above it, as far as the session may.
async fn make(connection: &mut Connection, path: &str) -> Result<(), ConnectionError> {
    for path in parents(path) {
        match connection.ask(Request::Create { path, data: b"", mode: Mode::Persistent }).await {
            // It may be enough to read, as go-kit has it.
            Ok(_) | Err(ConnectionError::Request(ZooKeeperError::NodeExists | ZooKeeperError::NoAuth)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
