//! The settings of ZooKeeper (contract §11.8).

use std::time::Duration;

/// Where ZooKeeper is, what is registered there and what is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `host:port` of its servers, at least one.
    pub servers: Vec<String>,
    /// The time limit of a connection.
    pub connect_timeout: Duration,
    /// After this time without a word of ours the session ends; the servers may set another.
    pub session_timeout: Duration,
    /// What this gateway is registered as.
    pub registrations: Vec<Registration>,
    /// The paths that are watched.
    pub watches: Vec<String>,
}

/// A registration of this gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The path of the namespace, such as `/xmidt/test`.
    pub path: String,
    /// The name of the service, a node below it.
    pub name: String,
    /// The content of the node: the URL of this gateway.
    pub url: String,
}

impl Registration {
    /// The path whose children are the instances.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}/{}", self.path.trim_end_matches('/'), self.name)
    }
}
