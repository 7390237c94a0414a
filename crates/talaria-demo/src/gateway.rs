//! The gateway as the demo sees it: started with the far ends of its sinks, seen through its addresses, stopped in order.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What went wrong in the gateway, in its own words.
pub type GatewayError = Box<dyn std::error::Error + Send + Sync>;

/// Where the gateway is to send events and write its log.
#[derive(Debug, Clone)]
pub struct FarEnds {
    /// The URL of the event receiver.
    pub receiver: String,
    /// Kafka's bootstrap servers.
    pub brokers: String,
    /// The file of the gateway's log.
    pub log: PathBuf,
}

/// Where the gateway listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Devices and the API.
    pub primary: SocketAddr,
    /// `/health`.
    pub health: SocketAddr,
    /// `/metrics`.
    pub metric: SocketAddr,
}

/// What a stopped gateway could not deliver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Devices whose offline events are missing.
    pub sessions: usize,
    /// Events that no receiver accepted.
    pub http: u64,
    /// Records that Kafka did not acknowledge.
    pub kafka: u64,
}

/// A gateway that runs. Dropping `stop` asks it to stop in order; `task` then ends with what is left.
pub struct RunningGateway {
    /// Where it listens.
    pub addresses: Addresses,
    /// Nothing is ever sent: the gateway stops when this end is dropped.
    pub stop: Option<oneshot::Sender<()>>,
    /// The gateway's own task.
    pub task: JoinHandle<Result<Undelivered, GatewayError>>,
}

impl RunningGateway {
    pub(crate) async fn stop(&mut self) -> Result<Undelivered, GatewayError> {
        drop(self.stop.take());
        (&mut self.task).await?
    }
}
