//! The HTTP sink as the receivers, the metrics and the acknowledgements see it.

mod answers;
mod connections;
mod credentials;
mod http2;
mod named_hosts;
mod order;
mod pipeline;
pub(crate) mod receiver;
mod receivers;
mod redirects;
mod retries;
mod threads;

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use talaria_protocol::connect::Identity;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::receiver::{Answer, Memory, Received, Receiver};
use super::endpoints::Endpoints;
use super::*;
use crate::device::session_id;
use crate::event::config::{AuthKey, QueueLimit, RetryConfig, Transport};
use crate::event::finalizer::AckPolicy;
use crate::telemetry::metrics::Metrics;

const DELIVERED: Verdict = Verdict::Delivered;

/// A sink with the metrics and the verdicts that come of it.
struct Bench {
    sink: HttpSink,
    metrics: Metrics,
    verdicts: Arc<Mutex<Vec<Verdict>>>,
}

impl Bench {
    fn start(config: &Config) -> Self {
        let metrics = Metrics::default();
        let sink = HttpSink::start(config, HttpMetrics::register(&metrics));
        Self { sink, metrics, verdicts: Arc::default() }
    }

    fn in_memory(config: &Config, receivers: impl IntoIterator<Item = (&'static str, Receiver)>) -> Self {
        Self::dialling(config, Arc::new(Memory(HashMap::from_iter(receivers))))
    }

    fn dialling(config: &Config, dial: Arc<dyn Dial>) -> Self {
        let metrics = Metrics::default();
        let sink = HttpSink::start_with(config, HttpMetrics::register(&metrics), Arc::clone(&dial), dial);
        Self { sink, metrics, verdicts: Arc::default() }
    }

    fn send(&self, dest: &str, body: &str) {
        self.send_as("mac:112233445566", dest, body);
    }

    fn send_as(&self, device: &str, dest: &str, body: &str) {
        self.send_of(QosLevel::Low, device, dest, body);
    }

    fn send_of(&self, level: QosLevel, device: &str, dest: &str, body: &str) {
        let identity = Identity::new(device.parse().unwrap(), session_id::random());
        let device = Device::new(identity, &crate::device::Config::default());
        let verdicts = Arc::clone(&self.verdicts);
        let finalizer = Finalizer::new(AckPolicy::Kafka, move |verdict| verdicts.lock().push(verdict));
        let body = Bytes::copy_from_slice(body.as_bytes());
        let dest = Locator::parse_v3(dest).ok();
        let source = EventSource::Device(&device);
        self.sink.send(source, level, dest.as_ref(), || body, Some(&finalizer), None);
    }

    async fn drained(&self) {
        let lanes = [&self.sink.endpoints, &self.sink.named];
        for lane in lanes {
            tokio::time::timeout(Duration::from_secs(600), lane.context.queue.drained()).await.unwrap();
        }
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.lock().clone()
    }

    /// Whether the metrics hold this line.
    #[track_caller]
    fn assert_metric(&self, line: &str) {
        let text = String::from_utf8(self.metrics.gather_text()).unwrap();
        assert!(text.lines().any(|there| there == line), "no `{line}` in\n{text}");
    }
}

/// Time that does not pass although tests wait for real sockets.
struct StoppedTime {
    /// While a task blocks, tokio does not move its paused clock on.
    _blocks: std::sync::mpsc::Sender<()>,
}

impl StoppedTime {
    fn new() -> Self {
        tokio::time::pause();
        let (_blocks, end) = std::sync::mpsc::channel();
        // So that a test that waits for ever ends by a timeout.
        let longest = Duration::from_secs(60);
        tokio::task::spawn_blocking(move || end.recv_timeout(longest));
        Self { _blocks }
    }
}

fn config(url: &str) -> Config {
    Config { endpoints: Endpoints::parse(&json!({ "default": url })).unwrap(), ..Config::default() }
}

/// So many attempts after the first one.
fn retries(retries: u32) -> RetryConfig {
    RetryConfig { retries, ..RetryConfig::default() }
}

fn to(address: std::net::SocketAddr) -> Config {
    config(&format!("http://{address}/notify"))
}

#[tokio::test]
async fn an_event_is_posted_with_go_s_headers_and_no_others() {
    let receiver = Receiver::answering(Answer::Status(202));
    let address = receiver.listen().await;
    let bench =
        Bench::start(&Config { auth_key: Some(AuthKey::new("dXNlcjpwYXNz").unwrap()), ..to(address) });
    bench.send("event:iot/x", "body");
    bench.drained().await;
    let [Received { method, path, headers, body, .. }] = &receiver.requests()[..] else {
        panic!("{:?}", receiver.requests());
    };
    assert_eq!((&**method, &**path, &body[..]), ("POST", "/notify", &b"body"[..]));
    let mut headers = headers.clone();
    headers.sort();
    let expected = [
        ("Accept-Encoding", "gzip"),
        ("Authorization", "Basic dXNlcjpwYXNz"),
        ("Content-Length", "4"),
        ("Content-Type", "application/msgpack"),
        ("Host", &address.to_string()),
        ("User-Agent", "Go-http-client/1.1"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(bench.verdicts(), [DELIVERED]);
    bench.assert_metric(r#"outbound_requests{code="202",reason="no_err",scheme="event"} 1"#);
    bench.assert_metric(
        r#"outbound_request_duration_seconds_count{code="202",reason="expected_code",scheme="event"} 1"#,
    );
    bench.assert_metric(r#"outbound_request_size_sum{code="202",scheme="event"} 4"#);
    bench.assert_metric(r#"total_outbound_events{outcome="success",reason="no_err",scheme="event"} 1"#);
    bench.assert_metric("outbound_queue_size 0");
    bench.assert_metric("outbound_inflight 0");
}

#[tokio::test]
async fn connections_are_kept_and_no_more_are_made_than_there_are_workers() {
    let receiver = Receiver::answering(Answer::Status(202));
    let bench = Bench::start(&Config { workers: 4, ..to(receiver.listen().await) });
    for _ in 0..300 {
        bench.send("event:iot/x", "body");
    }
    bench.drained().await;
    assert_eq!(receiver.requests().len(), 300);
    assert!((1..=4).contains(&receiver.connections()), "{} connections", receiver.connections());
    assert_eq!(bench.verdicts(), [DELIVERED; 300]);
}

#[tokio::test]
async fn events_one_after_the_other_share_one_connection() {
    let receiver = Receiver::answering(Answer::Chunked(3000));
    let bench = Bench::start(&to(receiver.listen().await));
    for _ in 0..20 {
        bench.send("event:iot/x", "body");
        bench.drained().await;
    }
    assert_eq!((receiver.requests().len(), receiver.connections()), (20, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_closed_while_idle_costs_no_event_and_no_attempt() {
    let receiver = Receiver::answering(Answer::AcceptAndClose);
    let config = Config { retry: retries(0), ..config("http://memory/") };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    for _ in 0..20 {
        bench.send("event:iot/x", "body");
        bench.drained().await;
        // Paused: until the connection is closed at the other end, too.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((receiver.requests().len(), receiver.connections()), (20, 20));
    assert_eq!(bench.verdicts(), [DELIVERED; 20]);
    bench.assert_metric(r#"outbound_requests{code="202",reason="no_err",scheme="event"} 20"#);
    bench.assert_metric("outbound_possible_duplicates 0");
}

/// contract §14.31: the receiver may have the event.
#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_is_closed_instead_of_an_answer_costs_an_attempt_and_a_retry() {
    // The first request of every connection is answered, the second closes it.
    let seen = Mutex::new(HashMap::<usize, usize>::new());
    let receiver = Receiver::new(move |request, _| {
        let mut seen = seen.lock();
        let count = seen.entry(request.connection).or_default();
        *count += 1;
        if *count == 1 { Answer::Status(202) } else { Answer::Close }
    });
    let bench = Bench::in_memory(&config("http://memory/"), [("memory", receiver.clone())]);
    let start = Instant::now();
    for _ in 0..3 {
        bench.send("event:iot/x", "body");
        bench.drained().await;
    }
    assert_eq!((start.elapsed(), receiver.requests().len()), (Duration::ZERO, 5));
    assert_eq!(bench.verdicts(), [DELIVERED; 3]);
    bench.assert_metric(r#"outbound_requests{code="202",reason="no_err",scheme="event"} 3"#);
    let reason = "connection_unexpectedly_closed_eof";
    bench.assert_metric(&format!(
        r#"outbound_requests{{code="message_dropped",reason="{reason}",scheme="event"}} 2"#
    ));
    bench.assert_metric("outbound_retries 2");
    bench.assert_metric("outbound_possible_duplicates 2");
}

#[tokio::test]
async fn only_202_is_success() {
    for status in [200, 201, 204, 400, 401, 404, 500, 503] {
        let receiver = Receiver::answering(Answer::Status(status));
        let bench = Bench::start(&Config { retry: retries(0), ..to(receiver.listen().await) });
        bench.send("event:iot/x", "body");
        bench.drained().await;
        assert_eq!(
            (receiver.requests().len(), bench.verdicts()),
            (1, vec![Verdict::ReceiverRefused]),
            "{status}"
        );
        for family in
            ["outbound_requests", "outbound_dropped_messages", "outbound_request_duration_seconds_count"]
        {
            bench.assert_metric(&format!(r#"{family}{{code="{status}",reason="non202",scheme="event"}} 1"#));
        }
        // Counted when it was queued.
        bench.assert_metric(r#"total_outbound_events{outcome="success",reason="no_err",scheme="event"} 1"#);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_expires_in_the_queue_is_not_posted() {
    let receiver = Receiver::answering(Answer::After(Duration::from_secs(3)));
    let config = Config { workers: 1, request_timeout: Duration::from_secs(4), ..config("http://memory/") };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    for _ in 0..3 {
        bench.send("event:iot/x", "body");
    }
    bench.drained().await;
    // The second was begun after three seconds and had one more; the third had none left.
    assert_eq!(receiver.requests().len(), 2);
    assert_eq!(bench.verdicts(), [DELIVERED, Verdict::ReceiverUnreachable, Verdict::ReceiverUnreachable]);
    bench.assert_metric(
        r#"outbound_dropped_messages{code="message_dropped",reason="context_deadline_exceeded",scheme="event"} 2"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_at_once_whether_by_messages_or_by_bytes() {
    for (limit, body) in [
        (QueueLimit { messages: 2, bytes: 1000 }, "body".to_owned()),
        (QueueLimit { messages: 1000, bytes: 1000 }, "x".repeat(400)),
    ] {
        let receiver = Receiver::answering(Answer::Silence);
        let config = Config { workers: 1, queue: limit, ..config("http://memory/") };
        let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
        bench.send("event:iot/x", &body);
        receiver.received(1).await;
        for _ in 0..2 {
            bench.send_of(QosLevel::High, "mac:112233445566", "event:iot/x", &body);
        }
        for _ in 0..2 {
            bench.send("event:iot/x", &body);
        }
        assert_eq!(bench.verdicts(), [Verdict::NotEnqueued; 2]);
        bench.assert_metric(
            r#"shed_events_total{origin="http://memory:80",qos_level="Low",reason="no_room",sink="http"} 2"#,
        );
        bench.send_of(QosLevel::Critical, "mac:112233445566", "event:iot/x", &body);
        bench.assert_metric(
            r#"shed_events_total{origin="http://memory:80",qos_level="High",reason="displaced",sink="http"} 1"#,
        );
        bench.assert_metric("outbound_queue_size 2");
        bench.assert_metric(
            r#"outbound_dropped_messages{code="message_dropped",reason="full outbound queue",scheme="unknown"} 2"#,
        );
        bench.assert_metric(
            r#"total_outbound_events{outcome="failure",reason="full outbound queue",scheme="unknown"} 2"#,
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_event_larger_than_the_queue_is_still_taken() {
    let receiver = Receiver::answering(Answer::Status(202));
    let config = Config { queue: QueueLimit { messages: 9, bytes: 10 }, ..config("http://memory/") };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    bench.send("event:iot/x", &"x".repeat(100_000));
    bench.drained().await;
    assert_eq!(receiver.requests()[0].body.len(), 100_000);
}

#[tokio::test(start_paused = true)]
async fn every_url_of_a_list_is_tried_whatever_becomes_of_the_others() {
    let (bad, good) = (Receiver::answering(Answer::Status(500)), Receiver::answering(Answer::Status(202)));
    let endpoints = json!({"iot": ["http://bad/", "http://unreachable/", "http://a b/", "http://good/"]});
    let endpoints = Endpoints::parse(&endpoints).unwrap();
    let config = Config { endpoints, retry: retries(0), ..Config::default() };
    let bench = Bench::in_memory(&config, [("bad", bad.clone()), ("good", good.clone())]);
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!((bad.requests().len(), good.requests().len()), (1, 1));
    assert_ne!(bench.verdicts(), [DELIVERED]);
    bench.assert_metric(
        r#"outbound_dropped_messages{code="message_dropped",reason="malformed_http_request",scheme="unknown"} 1"#,
    );
    bench.assert_metric(
        r#"total_outbound_events{outcome="failure",reason="malformed_http_request",scheme="unknown"} 1"#,
    );
}

#[tokio::test]
async fn failures_are_called_by_their_names() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let closing = Receiver::answering(Answer::Close).listen().await;
    let nonsense = Receiver::answering(Answer::Nonsense).listen().await;
    let hangs_up = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = hangs_up.local_addr().unwrap();
    tokio::spawn(async move { while hangs_up.accept().await.is_ok() {} });
    for (url, reason) in [
        (format!("http://{unused}/"), "op_error"),
        (format!("http://{closing}/"), "connection_unexpectedly_closed_eof"),
        (format!("http://{nonsense}/"), "unknown_network_err"),
        (format!("https://{mute}/"), "op_error"),
        ("ftp://h/".to_owned(), "invalid_address"),
        ("https:///x".to_owned(), "invalid_address"),
    ] {
        let bench = Bench::start(&Config { retry: retries(0), ..config(&url) });
        bench.send("event:iot/x", "body");
        bench.drained().await;
        let labels = format!(r#"{{code="message_dropped",reason="{reason}",scheme="event"}}"#);
        bench.assert_metric(&format!("outbound_requests{labels} 1"));
        bench.assert_metric(&format!("outbound_dropped_messages{labels} 1"));
        assert_eq!(bench.verdicts(), [Verdict::ReceiverUnreachable], "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_long_to_read_closes_its_connection_but_counts() {
    let receiver = Receiver::answering(Answer::Chunked(1 << 20));
    let bench = Bench::in_memory(&config("http://memory/"), [("memory", receiver.clone())]);
    for _ in 0..2 {
        bench.send("event:iot/x", "body");
        bench.drained().await;
    }
    assert_eq!((receiver.connections(), bench.verdicts()), (2, vec![DELIVERED; 2]));
}

#[tokio::test(start_paused = true)]
async fn connections_are_closed_when_they_were_idle_for_too_long() {
    let receiver = Receiver::answering(Answer::Status(202));
    let transport = Transport { idle_conn_timeout: Duration::from_secs(10), ..Transport::default() };
    let bench =
        Bench::in_memory(&Config { transport, ..config("http://memory/") }, [("memory", receiver.clone())]);
    for (pause, connections) in [(0, 1), (9, 1), (11, 2)] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        bench.send("event:iot/x", "body");
        bench.drained().await;
        assert_eq!(receiver.connections(), connections, "after {pause} s");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_idle_connections_are_kept_than_configured() {
    for transport in [
        Transport { max_idle_conns_per_host: 1, ..Transport::default() },
        Transport { max_idle_conns: 1, ..Transport::default() },
    ] {
        let receiver = Receiver::answering(Answer::After(Duration::from_secs(1)));
        let config = Config { workers: 4, transport, ..config("http://memory/") };
        let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
        for connections in [4, 7] {
            for _ in 0..4 {
                bench.send("event:iot/x", "body");
            }
            bench.drained().await;
            assert_eq!(receiver.connections(), connections);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_what_is_under_way() {
    let receiver = Receiver::answering(Answer::After(Duration::from_secs(2)));
    let config = Config { workers: 2, ..config("http://memory/") };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    for _ in 0..6 {
        bench.send("event:iot/x", "body");
    }
    let start = Instant::now();
    bench.sink.flush(start + Duration::from_secs(10)).await;
    assert_eq!(bench.sink.lost(), 0);
    assert_eq!((start.elapsed().as_secs(), bench.verdicts()), (6, vec![DELIVERED; 6]));
}

#[tokio::test(start_paused = true)]
async fn flush_ends_in_time_and_tells_what_is_left() {
    let receiver = Receiver::new(|_, number| if number < 3 { Answer::Status(504) } else { Answer::Silence });
    let config = Config { workers: 2, ..config("http://memory/") };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    for _ in 0..6 {
        bench.send("event:iot/x", "body");
    }
    let start = Instant::now();
    bench.sink.flush(start + Duration::from_secs(3)).await;
    assert_eq!(bench.sink.lost(), 6);
    assert_eq!((start.elapsed().as_secs(), bench.verdicts()), (3, vec![Verdict::ShuttingDown; 6]));
    bench.assert_metric(
        r#"outbound_dropped_messages{code="message_dropped",reason="context_canceled",scheme="event"} 6"#,
    );
    bench.send("event:iot/x", "too late");
    assert_eq!(bench.verdicts().last(), Some(&Verdict::ShuttingDown));
}
