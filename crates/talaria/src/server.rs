//! Listening sockets, their limits and timeouts, and HTTP/1.1 on each connection, with or without TLS.
//!
//! One [`Server`] is one address. It accepts, counts and limits connections, runs HTTP/1.1 on each of them and puts the
//! identity headers on every response. A [`Handler`] answers the requests; a [`Guard`] may check them before. A connection
//! that is upgraded to a WebSocket leaves this module: [`upgrade::take`] gives its socket to the caller that answered the upgrade.
//!
//! A connection or request that fails is counted once, as a [`ConnectionFailure`]. hyper's own answers to requests that it
//! cannot parse are replaced by ours (`raw_response.rs`), so that every response carries the identity headers.
//!
//! Deliberately absent: paths, devices, credentials and HTTP/2 (devices upgrade HTTP/1.1, and all others speak it, too).
//! Start reading at `accept.rs`; a connection's life is in `connection.rs`, its deadlines are in `stream.rs`.

mod accept;
mod address;
mod body;
mod config;
mod connection;
mod connection_failure;
mod handler;
mod handshakes;
mod identity;
pub mod incoming;
mod inherited;
mod live;
mod memory;
mod metrics;
mod proxies;
mod rate;
mod raw_response;
pub mod reply;
mod request_checks;
mod stream;
pub mod tls;
mod transport;
pub mod upgrade;

pub use accept::{BindError, RunningServer, Server};
pub use address::{Address, AddressError};
pub use body::Body;
pub use config::{Config, OpenAccess};
pub use connection_failure::ConnectionFailure;
pub use handler::{AfterTls, ClientCertificate, Guard, Handler, Peer};
pub use handshakes::{Handshake, HandshakeKind, Handshakes, HandshakesConfig, RefusedError};
pub use identity::{Identity, IdentityError};
pub use inherited::Inherited;
pub use live::ServerSettings;
pub use metrics::{ConnectionMetrics, Permit};
pub use proxies::Proxies;
