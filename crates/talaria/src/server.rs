//! The doors of the gateway: listening sockets, their limits and timeouts, and HTTP/1.1 on each connection.
//!
//! One [`Server`] is one address. It accepts, counts and limits connections, runs one HTTP/1.1 connection on each
//! and puts the identity headers on every response. What the paths mean is its [`Handler`]'s business: [`primary`]
//! for devices and the API, [`observe`] for health and metrics. A connection that was upgraded to a WebSocket leaves
//! this module: [`upgrade::take`] gives its socket to the device's session.
//!
//! What goes wrong with a connection is a [`Failure`], counted under its name; hyper's own answers to requests that it
//! cannot read are replaced by ours (`refusal.rs`), so that every answer names the gateway.
//!
//! There is no HTTP/2 here: devices upgrade HTTP/1.1, and everybody else speaks it too.

mod accept;
mod address;
mod body;
mod connection;
mod failure;
mod identity;
pub mod incoming;
mod metrics;
pub mod observe;
pub mod primary;
mod rate;
mod refusal;
pub mod reply;
mod request_checks;
mod stream;
pub mod tls;
mod transport;
pub mod upgrade;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;

pub use accept::{BindError, Running, Server};
pub use address::{Address, InvalidAddress};
pub use body::Body;
pub use failure::Failure;
pub use identity::{Identity, InvalidIdentity};
pub use metrics::{ConnectionMetrics, Permit};
pub use rate::ConnectionRate;

use crate::auth::BasicKeys;

/// One server's address, limits and timeouts (contract §9.7). `None` means no limit.
#[derive(Clone, Debug)]
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
    /// TLS; none serves in clear (`certificateFile` and the keys that belong to it).
    pub tls: Option<tls::Config>,
    /// How often one address may connect (`connectionRate`).
    pub rate: Option<ConnectionRate>,
    /// What every request must show, on the servers that have no authentication of their own (`authKey`).
    pub keys: Option<BasicKeys>,
    /// Whether whoever reaches the server can do harm. Then it is said at start if anybody may reach it.
    pub is_dangerous: bool,
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
            tls: None,
            rate: None,
            keys: None,
            is_dangerous: false,
        }
    }

    /// Whether anybody in reach of this address may do harm.
    fn is_exposed_at(&self, address: SocketAddr) -> bool {
        let is_authenticated = self.keys.is_some() || self.tls.as_ref().is_some_and(tls::Config::is_mutual);
        self.is_dangerous && !is_authenticated && !address.ip().to_canonical().is_loopback()
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

/// Several servers may share what answers.
impl<H: Handler> Handler for Arc<H> {
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send {
        H::handle(self, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dangerous_server_is_exposed_beyond_loopback_unless_it_asks_for_a_key_or_a_certificate() {
        let open = Config { is_dangerous: true, ..Config::on_port(0) };
        let pairs = vec![tls::Pair { certificate: "a.pem".into(), key: "a.key".into() }];
        let one_sided = tls::Config { pairs, client_ca: None, versions: tls::Versions::default() };
        let mutual = tls::Config { client_ca: Some("ca.pem".into()), ..one_sided.clone() };
        let cases = [
            (open.clone(), "0.0.0.0:1", true),
            (open.clone(), "[::]:1", true),
            (open.clone(), "192.0.2.1:1", true),
            (open.clone(), "127.0.0.1:1", false),
            (open.clone(), "[::1]:1", false),
            (open.clone(), "[::ffff:127.0.0.1]:1", false),
            (Config { tls: Some(one_sided), ..open.clone() }, "[::]:1", true),
            (Config { tls: Some(mutual), ..open.clone() }, "[::]:1", false),
            (Config { keys: BasicKeys::parse(["dXNlcjpwYXNz"]).unwrap(), ..open }, "[::]:1", false),
            (Config::on_port(0), "[::]:1", false),
        ];
        for (config, address, is_exposed) in cases {
            assert_eq!(config.is_exposed_at(address.parse().unwrap()), is_exposed, "{address} {config:?}");
        }
    }
}
