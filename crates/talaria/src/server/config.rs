//! The settings of one server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::rate::Rate;
use talaria_protocol::web_page::ServerNames;

use super::address::Address;
use super::handler::Guard;
use super::handshakes::Handshakes;
use super::proxies::Proxies;
use super::tls;
use crate::budget::Budget;

/// Said of each server that other hosts can use without authentication.
const REACHABLE: &str = "server is reachable without authentication: bind it to a loopback address, or set authKey \
                         (for the API inbound.authKey or inbound.jwt) or clientCACertFile";

/// One server's address, limits and timeouts (contract §9.7). `None` means no limit.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens (`address`).
    pub address: Address,
    /// How many connections, upgraded ones included, may be open (`maxConnections`); further ones are closed at once.
    /// For the primary and the alternate server a process replaces `None` by what its limit of open files allows.
    pub max_connections: Option<usize>,
    /// How long a request's header may take, from the connection's start or the request's first byte
    /// (`readHeaderTimeout`). The connection is then closed without an answer.
    pub read_header_timeout: Option<Duration>,
    /// How long a whole request may take to arrive (`readTimeout`).
    pub read_timeout: Option<Duration>,
    /// How long a kept connection may wait for its next request (`idleTimeout`).
    pub idle_timeout: Option<Duration>,
    /// How long the client may take to read a response that does not fit into the socket's buffers (`writeTimeout`).
    pub write_timeout: Option<Duration>,
    /// How long the client may read nothing of such a response (`writeStallTimeout`).
    pub write_stall_timeout: Option<Duration>,
    /// The largest request header, request line included (`maxHeaderBytes`); a larger one is answered with 431.
    pub max_header_bytes: usize,
    /// Closes each connection after one response (`disableKeepAlives`).
    pub disable_keep_alives: bool,
    /// TLS; without it the server speaks plain HTTP (`certificateFile` and the keys that belong to it).
    pub tls: Option<tls::Config>,
    /// How often one address (IPv6: one /64) may connect (`connectionRate`).
    pub rate: Option<Rate>,
    /// What the bodies of requests that arrive and of responses that are not read may take, in all servers with this budget
    /// together (`inbound.maxPendingBytes`); no bound if none.
    pub bodies: Option<Arc<Budget>>,
    /// The pace of TLS handshakes, for servers that devices connect to.
    pub handshakes: Option<Arc<Handshakes>>,
    /// The proxies in front of the server.
    pub proxies: Proxies,
    /// The check that every request has to pass, for servers whose handlers check no credentials (`authKey`).
    pub guard: Option<Arc<dyn Guard>>,
    /// The server's names (`allowedHosts`), for servers that reject the requests of web pages of other sites.
    pub names: Option<ServerNames>,
    /// What clients can do whom the server itself does not authenticate.
    pub open_access: OpenAccess,
}

/// What clients can do on a server without a guard and without client certificates. It decides how an open server is
/// reported at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenAccess {
    /// Nothing that needs authentication: the handler checks credentials itself.
    Authenticated,
    /// Read the state of the gateway.
    Reads,
    /// Change the state of the gateway, or send messages to devices.
    Changes,
}

impl Config {
    /// The default of `maxConnections` of a server for operators.
    pub const OPERATOR_CONNECTIONS: usize = 32;

    /// The defaults of a server for operators: so few connections that the reserve of open files has room for them.
    #[must_use]
    pub fn for_operators(port: u16) -> Self {
        Self { max_connections: Some(Self::OPERATOR_CONNECTIONS), ..Self::on_port(port) }
    }

    /// The defaults of a server for devices and the API, on this port of all interfaces.
    #[must_use]
    pub fn on_port(port: u16) -> Self {
        Self {
            address: Address::any(port),
            max_connections: None,
            read_header_timeout: Some(Duration::from_secs(5)),
            read_timeout: Some(Duration::from_secs(5)),
            idle_timeout: Some(Duration::from_secs(15)),
            write_timeout: Some(Duration::from_secs(30 * 60)),
            write_stall_timeout: Some(Duration::from_secs(30)),
            max_header_bytes: 64 * 1024,
            disable_keep_alives: false,
            tls: None,
            rate: None,
            bodies: None,
            handshakes: None,
            proxies: Proxies::default(),
            guard: None,
            open_access: OpenAccess::Reads,
            names: None,
        }
    }

    /// Says in the log whether other hosts can use the server without authentication: in a warning if they can change
    /// something.
    pub(super) fn report_open_access(&self, server: &'static str, address: SocketAddr) {
        match self.open_access_at(address) {
            OpenAccess::Authenticated => {}
            OpenAccess::Reads => tracing::info!(server, %address, "{REACHABLE}"),
            OpenAccess::Changes => tracing::warn!(server, %address, "{REACHABLE}"),
        }
    }

    /// What clients on other hosts can do without authentication.
    fn open_access_at(&self, address: SocketAddr) -> OpenAccess {
        let is_authenticated = self.guard.is_some() || self.tls.as_ref().is_some_and(tls::Config::is_mutual);
        if is_authenticated || address.ip().to_canonical().is_loopback() {
            OpenAccess::Authenticated
        } else {
            self.open_access
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Response};

    use super::*;
    use crate::server::Body;

    /// Lets every request pass.
    #[derive(Debug)]
    struct Open;

    impl Guard for Open {
        fn check(&self, _: &HeaderMap) -> Result<(), Box<Response<Body>>> {
            Ok(())
        }
    }

    #[test]
    fn a_server_is_open_beyond_loopback_unless_it_asks_for_a_key_or_a_certificate() {
        let open = Config { open_access: OpenAccess::Changes, ..Config::on_port(0) };
        let pairs = vec![tls::Pair { certificate: "a.pem".into(), key: "a.key".into() }];
        let one_sided = tls::Config::of(pairs);
        let mutual = tls::Config { client_ca: Some("ca.pem".into()), ..one_sided.clone() };
        let (closed, changes) = (OpenAccess::Authenticated, OpenAccess::Changes);
        let cases = [
            (open.clone(), "0.0.0.0:1", changes),
            (open.clone(), "[::]:1", changes),
            (open.clone(), "192.0.2.1:1", changes),
            (open.clone(), "127.0.0.1:1", closed),
            (open.clone(), "[::1]:1", closed),
            (open.clone(), "[::ffff:127.0.0.1]:1", closed),
            (Config { tls: Some(one_sided), ..open.clone() }, "[::]:1", changes),
            (Config { tls: Some(mutual), ..open.clone() }, "[::]:1", closed),
            (Config { guard: Some(Arc::new(Open)), ..open }, "[::]:1", closed),
            (Config::on_port(0), "[::]:1", OpenAccess::Reads),
        ];
        for (config, address, expected) in cases {
            assert_eq!(config.open_access_at(address.parse().unwrap()), expected, "{address} {config:?}");
        }
    }
}
