//! What the bodies of requests and responses may take in all, over real sockets (contract §14.25).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use hyper::body::Incoming;
use parking_lot::Mutex;
use talaria::budget::{Budget, Store};
use talaria::server::{Body, Config, ConnectionMetrics, Handler, RunningServer, Server, incoming, reply};
use talaria::telemetry::metrics::Metrics;
use talaria_protocol::answer::TEXT;
use tokio::net::TcpSocket;

use crate::support::eventually;
use crate::support::gateway::{any_port, identity, metric};
use crate::support::http::{Client, request};

const PATIENCE: Duration = Duration::from_secs(30);
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Answers a request with a body with the length of the body, and any other with as many bytes as its path says.
struct Lengths {
    answered: Arc<AtomicUsize>,
    /// The bodies of requests for `/keep`.
    kept: Mutex<Vec<Bytes>>,
}

impl Handler for Lengths {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if let Some(length) = path.strip_prefix("/bytes/") {
            self.answered.fetch_add(1, Relaxed);
            return reply::with_body(StatusCode::OK, TEXT, vec![b'x'; length.parse().unwrap()]);
        }
        if path == "/endless" {
            self.answered.fetch_add(1, Relaxed);
            let pieces = std::iter::repeat_with(|| Bytes::from(vec![b'x'; 8 * MIB]));
            return reply::with_body(StatusCode::OK, TEXT, Body::pieces(pieces));
        }
        match incoming::read(request, 100 * MIB).await {
            Ok((head, body)) => {
                let length = body.len();
                if path == "/keep" {
                    self.kept.lock().push(body);
                }
                drop(head);
                reply::text(StatusCode::OK, length.to_string())
            }
            Err(error) => error.into_response(),
        }
    }
}

struct Fixture {
    server: RunningServer,
    metrics: Metrics,
    answered: Arc<AtomicUsize>,
}

impl Fixture {
    /// All bodies together may have so many bytes; three quarters of it are for those over 64 KiB.
    fn start(limit: usize) -> Self {
        let bodies = Some(Arc::new(Budget::new(Store::Bodies, limit)));
        let config = Config { bodies, ..any_port() };
        let (metrics, answered) = (Metrics::default(), Arc::new(AtomicUsize::new(0)));
        let server = Server::bind("primary", config, identity(), &ConnectionMetrics::register(&metrics));
        let server =
            server.unwrap().start(Lengths { answered: Arc::clone(&answered), kept: Mutex::default() });
        Self { server, metrics, answered }
    }

    fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    fn no_room(&self) -> f64 {
        let series = "talaria_talaria_connection_failures_total{reason=\"no_room\",server=\"primary\"}";
        metric(&self.metrics, series)
    }

    /// Begins to send a body of 600 KiB: so much of it.
    async fn begin(&self, sent: usize) -> Client {
        let mut client = Client::connect(self.address()).await;
        let head = format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n", 600 * KIB);
        client.send(head).await;
        client.send(vec![b'x'; sent]).await;
        client
    }

    /// Asks for a response that does not fit into the socket's buffers, and reads nothing of it.
    async fn do_not_read(&self, path: &str) -> Client {
        let before = self.answered.load(Relaxed);
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        let mut client = Client::over(socket.connect(self.address()).await.unwrap());
        client.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n")).await;
        eventually("the response waits", PATIENCE, async || self.answered.load(Relaxed) > before).await;
        client
    }
}

#[tokio::test]
async fn of_bodies_that_are_too_much_together_the_largest_is_answered_with_503() {
    let fixture = Fixture::start(MIB);
    let mut large = fixture.begin(500 * KIB).await;
    let mut other = fixture.begin(100 * KIB).await;
    // Which of them is read first is not certain, so the largest must be known to be.
    let mut growing = Vec::new();
    eventually("the largest goes", PATIENCE, async || {
        if fixture.no_room() == 0.0 {
            growing.push(fixture.begin(100 * KIB).await);
        }
        fixture.no_room() > 0.0
    })
    .await;
    let refused = large.response().await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("connection"), Some("close"));
    assert_eq!(refused.body, b"there is no room for the body now");
    drop((large, growing));
    let active = "talaria_talaria_active_connections{server=\"primary\"}";
    eventually("the others leave", PATIENCE, async || metric(&fixture.metrics, active) == 1.0).await;
    other.send(vec![b'x'; 500 * KIB]).await;
    assert_eq!(other.response().await.body, b"614400");
    assert_eq!(fixture.no_room(), 1.0);
    assert_eq!(request(fixture.address(), "GET /bytes/3 HTTP/1.1\r\nHost: t\r\n\r\n").await.body, b"xxx");
}

#[tokio::test]
async fn of_clients_that_do_not_read_the_one_for_which_most_waits_is_disconnected() {
    // 48 MiB for those over 64 KiB.
    let fixture = Fixture::start(64 * MIB);
    let most = fixture.do_not_read(&format!("/bytes/{}", 20 * MIB)).await;
    let _others = [
        fixture.do_not_read(&format!("/bytes/{}", 16 * MIB)).await,
        fixture.do_not_read(&format!("/bytes/{}", 11 * MIB)).await,
    ];
    assert_eq!(fixture.no_room(), 0.0);
    // A client that reads gets its response all the same.
    let response =
        request(fixture.address(), format!("GET /bytes/{} HTTP/1.1\r\nHost: t\r\n\r\n", 16 * MIB)).await;
    assert_eq!((response.status, response.body.len()), (200, 16 * MIB));
    eventually("it is disconnected", PATIENCE, async || fixture.no_room() == 1.0).await;
    assert!(most.rest().await.len() < 20 * MIB);
}

#[tokio::test]
async fn a_response_without_room_is_replaced_by_a_503() {
    let fixture = Fixture::start(8 * MIB);
    let response =
        request(fixture.address(), format!("GET /bytes/{} HTTP/1.1\r\nHost: t\r\n\r\n", 7 * MIB)).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.body, b"there is no room for the response now");
    assert_eq!(response.header("X-Talaria-Server"), Some("host"));
    assert_eq!(fixture.no_room(), 1.0);
    // What was counted is free again.
    for _ in 0..5 {
        let request_of = format!("GET /bytes/{} HTTP/1.1\r\nHost: t\r\n\r\n", 5 * MIB);
        assert_eq!(request(fixture.address(), request_of).await.status, 200);
    }
}

/// Its new holder counts it.
#[tokio::test]
async fn a_body_that_is_passed_on_counts_no_more() {
    let fixture = Fixture::start(MIB);
    let head = format!("POST /keep HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n", 600 * KIB);
    for _ in 0..5 {
        let mut client = Client::connect(fixture.address()).await;
        client.send(&head).await;
        client.send(vec![b'x'; 600 * KIB]).await;
        assert_eq!(client.response().await.body, b"614400");
    }
    assert_eq!(fixture.no_room(), 0.0);
}

#[tokio::test]
async fn a_list_that_is_not_read_counts_piece_by_piece() {
    // 12 MiB for those over 64 KiB, and each piece has 8.
    let fixture = Fixture::start(16 * MIB);
    let first = fixture.do_not_read("/endless").await;
    let second = fixture.do_not_read("/endless").await;
    eventually("one of them is disconnected", PATIENCE, async || fixture.no_room() >= 1.0).await;
    drop((first, second));
    assert_eq!(request(fixture.address(), "GET /bytes/3 HTTP/1.1\r\nHost: t\r\n\r\n").await.body, b"xxx");
}
