//! The server's promises about connections, over real sockets: limits, timeouts, identity, stopping, upgrading.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use hyper::body::Incoming;
use parking_lot::Mutex;
use talaria::auth::BasicKeys;
use talaria::server::{
    Body, Config, ConnectionMetrics, Handler, RunningServer, Server, incoming, reply, upgrade,
};
use talaria::telemetry::metrics::Metrics;
use talaria_protocol::answer::TEXT;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::support::gateway::{any_port, identity, metric};
use crate::support::http::{Client, request};
use crate::support::time_passes;

const GET: &str = "GET /echo HTTP/1.1\r\nHost: t\r\n\r\n";

/// Answers the paths that the tests ask for.
struct Paths {
    /// `/wait` says that it was asked, and answers when it is let.
    asked: mpsc::UnboundedSender<()>,
    let_answer: Arc<Notify>,
    /// Told when the body of `/endless` is given up.
    given_up: Mutex<Option<oneshot::Sender<()>>>,
    upgraded: mpsc::UnboundedSender<upgrade::Taken>,
    counted: Arc<AtomicUsize>,
}

struct Fixture {
    server: RunningServer,
    metrics: Metrics,
    asked: mpsc::UnboundedReceiver<()>,
    let_answer: Arc<Notify>,
    given_up: oneshot::Receiver<()>,
    upgraded: mpsc::UnboundedReceiver<upgrade::Taken>,
    /// How often `/count` was asked for.
    counted: Arc<AtomicUsize>,
}

impl Handler for Paths {
    async fn handle(&self, mut request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            "/echo" => match incoming::read(request, 10).await {
                Ok((_, body)) => reply::with_body(StatusCode::OK, TEXT, body),
                Err(error) => error.into_response(),
            },
            "/wait" => {
                let _ = self.asked.send(());
                self.let_answer.notified().await;
                reply::text(StatusCode::OK, "waited")
            }
            "/endless" => {
                let guard = self.given_up.lock().take();
                let piece = Bytes::from(vec![b'x'; 64 * 1024]);
                let pieces = std::iter::repeat_with(move || {
                    let _held = &guard;
                    piece.clone()
                });
                reply::with_body(StatusCode::OK, TEXT, Body::pieces(pieces))
            }
            "/upgrade" => {
                let upgrading = hyper::upgrade::on(&mut request);
                let upgraded = self.upgraded.clone();
                tokio::spawn(async move { upgraded.send(upgrade::take(upgrading.await.unwrap()).unwrap()) });
                reply::empty(StatusCode::SWITCHING_PROTOCOLS)
            }
            "/count" => {
                self.counted.fetch_add(1, Relaxed);
                reply::empty(StatusCode::OK)
            }
            "/panic" => panic!("as the test asked"),
            _ => reply::not_found(),
        }
    }
}

fn start(config: Config) -> Fixture {
    let metrics = Metrics::default();
    let (asked_sender, asked) = mpsc::unbounded_channel();
    let (given_up_sender, given_up) = oneshot::channel();
    let (upgraded_sender, upgraded) = mpsc::unbounded_channel();
    let let_answer = Arc::new(Notify::new());
    let counted = Arc::new(AtomicUsize::new(0));
    let paths = Paths {
        counted: Arc::clone(&counted),
        asked: asked_sender,
        let_answer: Arc::clone(&let_answer),
        given_up: Mutex::new(Some(given_up_sender)),
        upgraded: upgraded_sender,
    };
    let server = Server::bind("primary", config, identity(), &ConnectionMetrics::register(&metrics)).unwrap();
    Fixture { server: server.start(paths), metrics, asked, let_answer, given_up, upgraded, counted }
}

impl Fixture {
    async fn client(&self) -> Client {
        Client::connect(self.server.local_addr()).await
    }

    fn metric(&self, name: &str) -> f64 {
        metric(&self.metrics, &format!("talaria_talaria_{name}{{server=\"primary\"}}"))
    }

    /// Waits until the server holds so many connections.
    async fn until_active(&self, connections: f64) {
        while self.metric("active_connections") != connections {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn every_response_names_the_gateway() {
    let fixture = start(any_port());
    let unknown = "GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n";
    for (bytes, status) in [(GET, 200), (unknown, 404)] {
        let response = request(fixture.server.local_addr(), bytes).await;
        assert_eq!(response.status, status);
        assert_eq!(response.header("X-Talaria-Build"), Some("1.2"));
        assert_eq!(response.header("X-Talaria-Server"), Some("host"));
        assert_eq!(response.header("X-Talaria-Region"), Some("east"));
        assert_eq!(response.header("X-Talaria-Flavor"), Some("mint"));
        assert_eq!(response.header("X-Talaria-Start-Time"), Some("01 Jan 70 00:00 UTC"));
        assert!(response.header("Date").is_some());
    }
}

#[tokio::test]
async fn header_names_are_written_as_go_writes_them() {
    let fixture = start(any_port());
    let response = request(fixture.server.local_addr(), GET).await;
    assert!(response.headers.iter().any(|(name, _)| name == "X-Talaria-Start-Time"), "{response:?}");
}

#[tokio::test(start_paused = true)]
async fn a_header_that_does_not_end_is_cut_at_its_timeout_without_an_answer() {
    let fixture = start(any_port());
    let mut client = fixture.client().await;
    let begun = Instant::now();
    client.send("GET /echo HTTP/1.1\r\nHost:").await;
    assert_eq!(client.rest().await, b"");
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn dripping_a_header_byte_by_byte_buys_no_time() {
    let fixture = start(Config { read_header_timeout: Some(Duration::from_millis(100)), ..any_port() });
    let client = fixture.client().await;
    let (mut reading, mut writing) = client.socket.into_split();
    let dripping = tokio::spawn(async move {
        // Ends when the connection does.
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut received = Vec::new();
    let _ = reading.read_to_end(&mut received).await;
    assert_eq!(received, b"");
    drop(reading);
    dripping.await.unwrap();
}

#[tokio::test]
async fn a_kept_connection_is_closed_after_its_idle_timeout() {
    let fixture = start(Config { idle_timeout: Some(Duration::from_millis(50)), ..any_port() });
    let mut client = fixture.client().await;
    for _ in 0..2 {
        client.send(GET).await;
        assert_eq!(client.response().await.status, 200);
    }
    assert_eq!(client.rest().await, b"");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_longer_than_every_timeout_is_given() {
    let soon = Some(Duration::from_millis(300));
    let mut fixture =
        start(Config { read_header_timeout: soon, read_timeout: soon, idle_timeout: soon, ..any_port() });
    let mut client = fixture.client().await;
    client.send("GET /wait HTTP/1.1\r\nHost: t\r\n\r\n").await;
    fixture.asked.recv().await;
    time_passes(Duration::from_secs(60)).await;
    fixture.let_answer.notify_one();
    assert_eq!(client.response().await.text(), "waited");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_at_the_write_timeout() {
    let fixture = start(Config { write_timeout: Some(Duration::from_millis(50)), ..any_port() });
    let mut client = fixture.client().await;
    client.send("GET /endless HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert!(fixture.given_up.await.is_err(), "the body is dropped");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_after_the_stall_timeout_whatever_the_write_timeout() {
    for pipelined in [1, 3] {
        let config = Config {
            write_timeout: None,
            write_stall_timeout: Some(Duration::from_millis(50)),
            ..any_port()
        };
        let fixture = start(config);
        let mut client = fixture.client().await;
        client.send("GET /endless HTTP/1.1\r\nHost: t\r\n\r\n".repeat(pipelined)).await;
        fixture.given_up.await.expect_err("the body is dropped");
        let reason = "talaria_talaria_connection_failures_total{reason=\"slow_reader\",server=\"primary\"}";
        assert_eq!(metric(&fixture.metrics, reason), 1.0);
    }
}

/// hyper alone would answer all of them and keep the responses.
#[tokio::test(start_paused = true)]
async fn requests_are_not_read_while_their_client_reads_no_responses() {
    let fixture = start(Config { write_timeout: None, write_stall_timeout: None, ..any_port() });
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let client = Client::over(socket.connect(fixture.server.local_addr()).await.unwrap());
    let (mut reading, mut writing) = client.socket.into_split();
    const REQUESTS: usize = 80_000;
    let sending = tokio::spawn(async move {
        let requests = "HEAD /count HTTP/1.1\r\nHost: t\r\n\r\n".repeat(1000);
        for _ in 0..REQUESTS / 1000 {
            writing.write_all(requests.as_bytes()).await.unwrap();
        }
        writing
    });
    // Until everything waits.
    time_passes(Duration::from_secs(3600)).await;
    let answered = fixture.counted.load(Relaxed);
    assert!(answered < REQUESTS / 2, "{answered} responses wait");
    // Each of them is given once the client reads.
    let mut response_length = 0;
    let mut received = 0;
    let mut piece = vec![0; 64 * 1024];
    while response_length == 0 || received < response_length * REQUESTS {
        let count = reading.read(&mut piece).await.unwrap();
        assert!(count > 0, "the connection ended after {received} bytes");
        if response_length == 0 {
            let end = piece[..count].windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
            response_length = end + 4;
        }
        received += count;
    }
    assert_eq!(fixture.counted.load(Relaxed), REQUESTS);
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_header_beyond_the_limit_is_answered_with_431() {
    let fixture = start(Config { max_header_bytes: 1000, ..any_port() });
    let small = format!("GET /echo HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "x".repeat(900));
    assert_eq!(request(fixture.server.local_addr(), small).await.status, 200);
    for length in [1000, 20_000] {
        let large = format!("GET /echo HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "x".repeat(length));
        assert_eq!(request(fixture.server.local_addr(), large).await.status, 431, "{length}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_400() {
    let fixture = start(any_port());
    assert_eq!(request(fixture.server.local_addr(), "\u{16}\u{3}\u{1} nonsense\r\n\r\n").await.status, 400);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let fixture = start(any_port());
    let mut client = fixture.client().await;
    let post = |body| format!("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n{body}");
    client.send([post("a"), post("b"), post("c")].concat()).await;
    for body in ["a", "b", "c"] {
        assert_eq!(client.response().await.text(), body);
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_answered_with_413_and_the_connection_ends() {
    let fixture = start(any_port());
    let announced = "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n";
    let chunked =
        "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n";
    for bytes in [announced, chunked] {
        let mut client = fixture.client().await;
        client.send(bytes).await;
        let response = client.response().await;
        assert_eq!((response.status, response.header("connection")), (413, Some("close")), "{bytes}");
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn a_chunked_body_is_read() {
    let fixture = start(any_port());
    let chunked =
        "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(request(fixture.server.local_addr(), chunked).await.text(), "hello");
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let fixture = start(any_port());
    let mut client = fixture.client().await;
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    let mut go_on = [0; 25];
    client.socket.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello").await;
    assert_eq!(client.response().await.text(), "hello");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_answered_with_408() {
    let fixture = start(Config { read_timeout: Some(Duration::from_millis(50)), ..any_port() });
    let mut client = fixture.client().await;
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhe").await;
    assert_eq!(client.response().await.status, 408);
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn beyond_the_limit_connections_are_closed_at_once_and_counted() {
    let fixture = start(Config { max_connections: Some(1), ..any_port() });
    let mut first = fixture.client().await;
    first.send(GET).await;
    assert_eq!(first.response().await.status, 200);

    assert_eq!(fixture.client().await.rest().await, b"");
    assert_eq!(fixture.metric("rejected_connections"), 1.0);
    assert_eq!(fixture.metric("active_connections"), 1.0);

    drop(first);
    fixture.until_active(0.0).await;
    assert_eq!(request(fixture.server.local_addr(), GET).await.status, 200);
}

#[tokio::test]
async fn an_upgraded_connection_takes_its_place_along_and_leaves_http_behind() {
    let mut fixture = start(any_port());
    let mut client = fixture.client().await;
    let upgrade =
        "GET /upgrade HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nread ahead";
    client.send(upgrade).await;
    let response = client.response().await;
    assert_eq!(response.status, 101);
    assert_eq!((response.header("date"), response.header("x-talaria-build")), (None, None));

    let mut taken = fixture.upgraded.recv().await.unwrap();
    assert_eq!(taken.read_ahead, "read ahead");
    taken.socket.write_all(b"raw").await.unwrap();
    let mut raw = [0; 3];
    client.socket.read_exact(&mut raw).await.unwrap();
    assert_eq!(&raw, b"raw");

    assert_eq!(fixture.metric("active_connections"), 1.0);
    drop(taken);
    assert_eq!(fixture.metric("active_connections"), 0.0);
}

#[tokio::test]
async fn stopping_lets_the_request_under_way_finish_and_takes_no_other() {
    let mut fixture = start(any_port());
    let address = fixture.server.local_addr();
    let mut client = fixture.client().await;
    let mut idle = fixture.client().await;
    idle.send(GET).await;
    assert_eq!(idle.response().await.status, 200);
    client.send("GET /wait HTTP/1.1\r\nHost: t\r\n\r\n").await;
    fixture.asked.recv().await;

    let stopping = tokio::spawn(fixture.server.stop(Duration::from_secs(10)));
    assert_eq!(idle.rest().await, b"");
    fixture.let_answer.notify_one();
    assert_eq!(client.response().await.text(), "waited");
    assert_eq!(client.rest().await, b"");
    stopping.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn stopping_cuts_what_is_left_at_its_bound() {
    let mut fixture = start(any_port());
    let mut client = fixture.client().await;
    client.send("GET /wait HTTP/1.1\r\nHost: t\r\n\r\n").await;
    fixture.asked.recv().await;
    fixture.server.stop(Duration::from_secs(3)).await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_own_connection_only() {
    let fixture = start(any_port());
    let mut client = fixture.client().await;
    client.send("GET /panic HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(client.rest().await, b"");
    assert_eq!(request(fixture.server.local_addr(), GET).await.status, 200);
    fixture.until_active(0.0).await;
}

#[tokio::test]
async fn without_keep_alive_each_response_ends_its_connection() {
    let fixture = start(Config { disable_keep_alives: true, ..any_port() });
    let mut client = fixture.client().await;
    client.send(GET).await;
    let response = client.response().await;
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_guarded_server_answers_only_who_shows_its_key() {
    let keys = BasicKeys::parse(["dXNlcjpwYXNz"]).unwrap().unwrap();
    let fixture = start(Config { guard: Some(Arc::new(keys)), ..any_port() });
    for (authorization, status) in [
        ("", 401),
        ("Authorization: Basic d3Jvbmc6d3Jvbmc=\r\n", 401),
        ("Authorization: Bearer x\r\n", 403),
        ("Authorization: Basic dXNlcjpwYXNz\r\n", 200),
    ] {
        let asked = format!("GET /echo HTTP/1.1\r\nHost: t\r\n{authorization}\r\n");
        let response = request(fixture.server.local_addr(), asked).await;
        assert_eq!(response.status, status, "{authorization}");
        assert_eq!(response.header("WWW-Authenticate").is_some(), status == 401);
        assert_eq!(response.header("X-Talaria-Build"), Some("1.2"));
    }
    let text = String::from_utf8(fixture.metrics.gather_text()).unwrap();
    let counted = "connection_failures_total{reason=\"unauthorized\",server=\"primary\"} 3";
    assert!(text.contains(counted), "{text}");
}
