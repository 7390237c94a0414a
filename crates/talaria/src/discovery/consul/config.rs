//! The settings of Consul (contract §11.5).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::client_tls::TlsConfig;

/// Where Consul is, what is registered there and what is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How its HTTP API is reached.
    pub client: ClientConfig,
    /// What this gateway is registered as.
    pub registrations: Vec<Registration>,
    /// The services that are watched.
    pub watches: Vec<Watch>,
    /// How often the list of datacenters is asked for again; zero: not once it is known.
    pub datacenter_interval: Duration,
}

/// How Consul's HTTP API is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The host without its port.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How connections are encrypted; `None` for plain HTTP.
    pub tls: Option<TlsConfig>,
    /// What stands before the paths of the API, without a slash at its end.
    pub path_prefix: String,
    /// The datacenter of requests that name none.
    pub datacenter: String,
    /// The namespace of requests that name none (Consul Enterprise).
    pub namespace: String,
    /// The partition of requests that name none (Consul Enterprise).
    pub partition: String,
    /// The ACL token.
    pub token: Option<Token>,
    /// User and password of a proxy before Consul.
    pub basic_auth: Option<BasicAuth>,
    /// How long a blocking query waits; zero: as long as Consul's default of five minutes.
    pub wait_time: Duration,
}

/// An ACL token, or the file that has it.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// The token itself.
    Text(String),
    /// Its file, which is read for each request.
    File(PathBuf),
}

/// User and password. Its `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A registration of this gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The id, by which it is withdrawn.
    pub id: String,
    /// The URL that the fleet knows it by; `None` if it has the node's address, which only Consul knows.
    pub instance: Option<String>,
    /// What is sent.
    pub body: Value,
    /// The checks for which the gateway has to report that it is well.
    pub heartbeats: Vec<Heartbeat>,
}

/// A check with a time to live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The id of the check.
    pub check_id: String,
    /// The time to live; half of it passes between two reports.
    pub ttl: Duration,
}

/// A service that is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Its name.
    pub service: String,
    /// The tags that its instances must have.
    pub tags: Vec<String>,
    /// Whether instances count only if all their checks pass.
    pub passing_only: bool,
    /// Whether it is watched in all datacenters.
    pub cross_datacenter: bool,
    /// The datacenter; empty: that of the client, or of the agent.
    pub datacenter: String,
    /// Further parameters of the query, as Consul's documentation names them.
    pub parameters: Vec<(&'static str, String)>,
    /// The value of `Cache-Control`, if results may come from the agent's cache.
    pub cache_control: Option<String>,
    /// A token of its own.
    pub token: Option<Token>,
    /// A wait of its own.
    pub wait_time: Option<Duration>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Watch {
    /// What the watch is called in metrics and log lines, as in the reference.
    #[must_use]
    pub fn key(&self, datacenter: &str) -> String {
        let Self { service, tags, passing_only, .. } = self;
        format!("{service}[{}]{{passingOnly={passing_only}}}{{datacenter={datacenter}}}", tags.join(" "))
    }
}
