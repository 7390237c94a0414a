//! Clients behind proxies, over real sockets (contract §9.7): whose word about the client's address counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use talaria::api;
use talaria::auth::{BasicKeys, DeviceConfig, attempts, services};
use talaria::server::{
    Body, Config, ConnectionMetrics, Handler, Peer, Proxies, RunningServer, Server, reply, tls,
};
use talaria::telemetry::metrics::Metrics;
use talaria_protocol::rate::Rate;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::support::certificates::Authority;
use crate::support::eventually;
use crate::support::gateway::{Gateway, any_port, basic, identity, metric};
use crate::support::http::{Client, request};

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);
const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const LINE: &str = "PROXY TCP4 192.0.2.7 127.0.0.1 5000 6200\r\n";

/// A header of version 2 for 192.0.2.7:5000, with a name behind the addresses.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc0\0\x02\x07\x7f\0\0\x01\x13\x88\x18\x38\x02\0\x04host";

/// Answers with the address that the gateway has of the client.
struct Address;

impl Handler for Address {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let peer = request.extensions().get::<Peer>().unwrap();
        reply::text(StatusCode::OK, peer.0.to_string())
    }
}

struct Fixture {
    server: RunningServer,
    metrics: Metrics,
}

impl Fixture {
    fn start(config: Config) -> Self {
        let metrics = Metrics::default();
        let server =
            Server::bind("primary", config, identity(), &ConnectionMetrics::register(&metrics)).unwrap();
        Self { server: server.start(Address), metrics }
    }

    /// Behind proxies that use the PROXY protocol.
    fn behind(trusted: &[&str]) -> Self {
        Self::start(Config { proxies: proxies(trusted), ..any_port() })
    }

    fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// What comes for these bytes until the connection's end.
    async fn all_for(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut client = Client::connect(self.address()).await;
        client.send(bytes).await;
        client.rest().await
    }

    async fn until_failed(&self, reason: &str, times: f64) {
        let series =
            format!("talaria_talaria_connection_failures_total{{reason=\"{reason}\",server=\"primary\"}}");
        eventually(reason, PATIENCE, async || metric(&self.metrics, &series) == times).await;
    }
}

fn proxies(trusted: &[&str]) -> Proxies {
    let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
    Proxies { proxy_protocol: true, trusted, forwarded: None }
}

fn with_request(header: impl AsRef<[u8]>) -> Vec<u8> {
    [header.as_ref(), GET.as_bytes()].concat()
}

#[tokio::test]
async fn the_client_is_the_one_that_the_header_names() {
    let fixture = Fixture::behind(&["127.0.0.0/8"]);
    for header in [LINE.as_bytes(), BINARY] {
        assert_eq!(request(fixture.address(), with_request(header)).await.text(), "192.0.2.7:5000");
    }
    let line = "PROXY TCP6 2001:db8::1 ::1 5000 6200\r\n";
    assert_eq!(request(fixture.address(), with_request(line)).await.text(), "[2001:db8::1]:5000");
}

#[tokio::test]
async fn a_header_that_names_no_client_leaves_the_proxys_address() {
    let fixture = Fixture::behind(&[]);
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut client = Client::connect(fixture.address()).await;
        let own = client.socket.local_addr().unwrap().to_string();
        client.send(with_request(header)).await;
        assert_eq!(client.response().await.text(), own);
    }
}

#[tokio::test]
async fn a_header_may_arrive_byte_by_byte_and_is_taken_once() {
    let fixture = Fixture::behind(&[]);
    for header in [LINE.as_bytes(), BINARY] {
        let mut client = Client::connect(fixture.address()).await;
        client.socket.set_nodelay(true).unwrap();
        for byte in with_request(header).chunks(1) {
            client.send(byte).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(client.response().await.text(), "192.0.2.7:5000");
        client.send(LINE).await;
        assert_eq!(client.response().await.status, 400);
    }
}

#[tokio::test]
async fn a_header_comes_before_tls() {
    let authority = Authority::new();
    let pair = authority.pair("server", &["talaria.test"]);
    let tls = tls::Config {
        pairs: vec![pair],
        client_ca: None,
        client_crls: Vec::new(),
        versions: tls::Versions::default(),
    };
    let fixture = Fixture::start(Config { tls: Some(tls), proxies: proxies(&[]), ..any_port() });
    let mut client = Client::connect(fixture.address()).await;
    client.send(LINE).await;
    let connector = TlsConnector::from(Arc::new(authority.client(None, &[&TLS13])));
    let name = ServerName::try_from("talaria.test").unwrap();
    let mut client = Client::over(connector.connect(name, client.socket).await.unwrap());
    client.send(GET).await;
    assert_eq!(client.response().await.text(), "192.0.2.7:5000");
}

#[tokio::test]
async fn a_connection_without_a_valid_header_is_closed_without_an_answer_and_counted() {
    let fixture = Fixture::behind(&[]);
    for bytes in [GET.as_bytes(), b"PROXY TCP4 192.0.2.7\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\0"] {
        assert_eq!(fixture.all_for(bytes).await, b"", "{bytes:?}");
    }
    fixture.until_failed("bad_proxy_header", 3.0).await;
    drop(TcpStream::connect(fixture.address()).await.unwrap());
    fixture.until_failed("no_proxy_header", 1.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_header_has_to_arrive_within_read_header_timeout() {
    let fixture = Fixture::behind(&[]);
    let begun = Instant::now();
    assert_eq!(fixture.all_for("PROXY TCP4 192.0.2.7").await, b"");
    assert_eq!(begun.elapsed().as_secs(), 5);
    fixture.until_failed("slow_proxy_header", 1.0).await;
}

#[tokio::test]
async fn the_header_of_a_peer_that_is_not_trusted_is_not_read() {
    let fixture = Fixture::behind(&["192.0.2.0/24", "2001:db8::/32"]);
    assert!(request(fixture.address(), GET).await.text().starts_with("127.0.0.1:"));
    assert_eq!(request(fixture.address(), with_request(LINE)).await.status, 400);
    let off = Fixture::start(any_port());
    assert_eq!(request(off.address(), with_request(LINE)).await.status, 400);
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_of_each_request() {
    let ask = |header: &str| format!("GET / HTTP/1.1\r\nHost: t\r\n{header}\r\n\r\n");
    for (trusted, name, header, client) in [
        ("127.0.0.1", "X-Forwarded-For", "X-Forwarded-For: 203.0.113.9, 192.0.2.7", "192.0.2.7:0"),
        ("127.0.0.1", "Forwarded", "Forwarded: for=\"[2001:db8::1]:5000\"", "[2001:db8::1]:0"),
        ("127.0.0.1", "X-Forwarded-For", "Forwarded: for=192.0.2.7", "127.0.0.1:"),
        ("127.0.0.1", "X-Forwarded-For", "X-Forwarded-For: unknown", "127.0.0.1:"),
        ("192.0.2.0/24", "X-Forwarded-For", "X-Forwarded-For: 203.0.113.9", "127.0.0.1:"),
    ] {
        let trusted = vec![trusted.parse().unwrap()];
        let proxies = Proxies { proxy_protocol: false, trusted, forwarded: Some(name.parse().unwrap()) };
        let fixture = Fixture::start(Config { proxies, ..any_port() });
        let response = request(fixture.address(), ask(header)).await;
        assert!(response.text().starts_with(client), "{header}: {}", response.text());
    }
}

#[tokio::test]
async fn the_rate_of_connections_is_the_clients() {
    let rate = Some(Rate::per_second(1, 1));
    let fixture = Fixture::start(Config { rate, proxies: proxies(&[]), ..any_port() });
    let from = |client: u8| with_request(format!("PROXY TCP4 192.0.2.{client} 127.0.0.1 1 2\r\n"));
    for client in 1..=20 {
        assert_eq!(request(fixture.address(), from(client)).await.status, 200);
    }
    assert_eq!(fixture.all_for(from(1)).await, b"");
    fixture.until_failed("rate_limited", 1.0).await;
}

#[tokio::test]
async fn wrong_credentials_slow_down_their_own_client() {
    let attempts = attempts::Config { failures: Some(3), ..attempts::Config::default() };
    let keys = BasicKeys::parse([basic("user:pass").split_whitespace().last().unwrap()]).unwrap();
    let auth = services::Config { keys, attempts, ..services::Config::default() };
    let server = Config { proxies: proxies(&[]), ..any_port() };
    let gateway =
        Gateway::behind(server, api::Config { auth, ..api::Config::default() }, &DeviceConfig::default());
    let ask = async |client: u8, key: &str| {
        let request = format!(
            "PROXY TCP4 192.0.2.{client} 127.0.0.1 1 2\r\nGET /api/v3/devices HTTP/1.1\r\nHost: t\r\n{}\r\n",
            basic(key)
        );
        gateway.ask(request).await.status
    };
    for _ in 0..4 {
        assert_eq!(ask(1, "user:wrong").await, 401);
    }
    assert_eq!(ask(1, "user:wrong").await, 429);
    assert_eq!(ask(2, "user:wrong").await, 401);
    assert_eq!(ask(3, "user:pass").await, 200);
}
