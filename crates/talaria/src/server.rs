//! The doors of the gateway: listening sockets, their limits and timeouts, and HTTP/1.1 on each connection.
//!
//! One [`Server`] is one address. It accepts, counts and limits connections, runs one HTTP/1.1 connection on each
//! and puts the identity headers on every response. What the paths mean is its [`Handler`]'s business: [`primary`]
//! for devices and the API, [`observe`] for health and metrics. A connection that was upgraded to a WebSocket leaves
//! this module: [`upgrade::take`] gives its socket to the device's session.
//!
//! There is no HTTP/2 here: devices upgrade HTTP/1.1, and everybody else speaks it too.

mod accept;
mod address;
mod body;
mod connection;
mod identity;
pub mod incoming;
mod metrics;
pub mod observe;
pub mod primary;
pub mod reply;
mod stream;
pub mod upgrade;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;

pub use accept::{BindError, Running, Server};
pub use address::{Address, InvalidAddress};
pub use body::Body;
pub use identity::{Identity, InvalidIdentity};
pub use metrics::{ConnectionMetrics, Permit};

/// One server's address, limits and timeouts (contract §9). `None` means no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it listens (`address`).
    pub address: Address,
    /// How many connections, upgraded ones included, it holds at once (`maxConnections`); more are closed at once.
    pub max_connections: Option<usize>,
    /// How long a request's header may take, from the connection's start or the request's first byte
    /// (`readHeaderTimeout`). The connection is then closed without an answer.
    pub read_header_timeout: Option<Duration>,
    /// How long a whole request may take to arrive (`readTimeout`).
    pub read_timeout: Option<Duration>,
    /// How long a kept connection may wait for its next request (`idleTimeout`).
    pub idle_timeout: Option<Duration>,
    /// How long a response may be stuck because its reader takes nothing (`writeTimeout`).
    pub write_timeout: Option<Duration>,
    /// The largest request header, request line included (`maxHeaderBytes`); a larger one is answered with 431.
    pub max_header_bytes: usize,
    /// Closes each connection after one response (`disableKeepAlives`).
    pub disable_keep_alives: bool,
}

impl Config {
    /// The defaults of every server, on this port of all interfaces.
    pub fn on_port(port: u16) -> Self {
        Self {
            address: Address::any(port),
            max_connections: None,
            read_header_timeout: Some(Duration::from_secs(5)),
            read_timeout: Some(Duration::from_secs(5)),
            idle_timeout: Some(Duration::from_secs(15)),
            write_timeout: Some(Duration::from_secs(30 * 60)),
            max_header_bytes: 64 * 1024,
            disable_keep_alives: false,
        }
    }
}

/// Who is at the other end; every request carries it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Answers the requests of one server.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Dropped if the client leaves before it is finished.
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}
