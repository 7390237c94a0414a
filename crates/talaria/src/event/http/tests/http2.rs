//! Receivers that speak HTTP/2: hyper's server and h2's, in memory.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use ::http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use talaria_protocol::url::Origin;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::*;
use crate::event::http::dial::{Dialing, Lookup, Protocol, Stream};

/// A stream on which HTTP/2 was agreed.
struct Http2Stream(DuplexStream);

impl Stream for Http2Stream {
    fn protocol(&self) -> Protocol {
        Protocol::Http2
    }
}

impl AsyncRead for Http2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Http2Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What a receiver has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Request<Bytes>>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

/// How a receiver serves a connection, whose number it gets.
type Serve = dyn Fn(DuplexStream, usize, Arc<Seen>) + Send + Sync;

struct Http2Receiver {
    serve: Box<Serve>,
    seen: Arc<Seen>,
}

impl Http2Receiver {
    fn new(serve: impl Fn(DuplexStream, usize, Arc<Seen>) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { serve: Box::new(serve), seen: Arc::default() })
    }

    /// One that takes so many requests at the same time, and answers 202 after a second.
    fn answering(max_streams: u32) -> Arc<Self> {
        Self::new(move |stream, _, seen| {
            let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.max_concurrent_streams(max_streams);
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        })
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(Relaxed)
    }
}

impl Dial for Http2Receiver {
    fn dial(&self, _: &Origin, _: &Lookup) -> Dialing {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let number = self.seen.connections.fetch_add(1, Relaxed) + 1;
        (self.serve)(far, number, Arc::clone(&self.seen));
        Box::pin(async move {
            let stream: Box<dyn Stream> = Box::new(Http2Stream(near));
            Ok(stream)
        })
    }
}

async fn answer(request: Request<Incoming>, seen: Arc<Seen>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let under_way = seen.under_way.fetch_add(1, Relaxed) + 1;
    seen.most.fetch_max(under_way, Relaxed);
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    seen.requests.lock().push(Request::from_parts(head, body));
    tokio::time::sleep(Duration::from_secs(1)).await;
    seen.under_way.fetch_sub(1, Relaxed);
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

/// Serves one connection with h2's server: `answer` gets each request with its number on this connection.
fn serve_frames(
    stream: DuplexStream,
    mut answer: impl FnMut(
        usize,
        h2::server::SendResponse<Bytes>,
        &mut h2::server::Connection<DuplexStream, Bytes>,
    ) + Send
    + 'static,
) {
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut number = 0;
        while let Some(Ok((_, respond))) = connection.accept().await {
            number += 1;
            answer(number, respond, &mut connection);
        }
    });
}

fn accept(mut respond: h2::server::SendResponse<Bytes>) {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::ACCEPTED;
    respond.send_response(response, true).unwrap();
}

fn secure() -> Config {
    config("https://memory:8443/notify?a=b")
}

#[tokio::test(start_paused = true)]
async fn events_share_a_connection_and_have_the_headers_of_go() {
    let receiver = Http2Receiver::answering(1000);
    let bench = Bench::dialling(&secure(), Arc::clone(&receiver) as Arc<dyn Dial>);
    for _ in 0..3 {
        for _ in 0..50 {
            bench.send("event:iot/x", "body");
        }
        bench.drained().await;
    }
    assert_eq!(bench.verdicts(), [DELIVERED; 150]);
    // The first events come before the first connection is open.
    assert!(receiver.connections() <= 4, "{} connections", receiver.connections());
    let requests = receiver.seen.requests.lock();
    let request = &requests[0];
    assert_eq!((request.method().as_str(), &request.body()[..]), ("POST", &b"body"[..]));
    assert_eq!(request.uri().to_string(), "https://memory:8443/notify?a=b");
    let mut headers: Vec<(&str, &str)> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    headers.sort_unstable();
    let expected = [
        ("accept-encoding", "gzip"),
        ("content-length", "4"),
        ("content-type", "application/msgpack"),
        ("user-agent", "Go-http-client/2.0"),
    ];
    assert_eq!(headers, expected);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_gets_no_more_requests_on_a_connection_than_it_takes() {
    let receiver = Http2Receiver::answering(5);
    let config = Config { workers: 20, ..secure() };
    let bench = Bench::dialling(&config, Arc::clone(&receiver) as Arc<dyn Dial>);
    for _ in 0..200 {
        bench.send("event:iot/x", "body");
    }
    bench.drained().await;
    assert_eq!(bench.verdicts(), [DELIVERED; 200]);
    let (most, connections) = (receiver.seen.most.load(Relaxed), receiver.connections());
    assert!(most <= 5 * connections, "{most} requests on {connections} connections");
    bench.assert_metric("outbound_possible_duplicates 0");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_receiver_refuses_is_tried_again_at_once_and_counts_as_one_attempt() {
    let receiver = Http2Receiver::new(|stream, _, _| {
        serve_frames(stream, |number, mut respond, _| {
            if number == 1 { respond.send_reset(h2::Reason::REFUSED_STREAM) } else { accept(respond) }
        });
    });
    let bench = Bench::dialling(&Config { retry: retries(0), ..secure() }, receiver);
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!(bench.verdicts(), [DELIVERED]);
    bench.assert_metric(r#"outbound_requests{code="202",reason="no_err",scheme="event"} 1"#);
    bench.assert_metric("outbound_possible_duplicates 0");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_refuses_every_stream_is_given_up() {
    let receiver = Http2Receiver::new(|stream, _, _| {
        serve_frames(stream, |_, mut respond, _| respond.send_reset(h2::Reason::REFUSED_STREAM));
    });
    let bench = Bench::dialling(&Config { retry: retries(0), ..secure() }, receiver);
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!(bench.verdicts(), [Verdict::ReceiverUnreachable]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_receiver_gives_up_is_replaced_and_costs_no_event() {
    let receiver = Http2Receiver::new(|stream, _, _| {
        serve_frames(stream, |number, respond, connection| {
            accept(respond);
            if number == 3 {
                connection.graceful_shutdown();
            }
        });
    });
    let bench =
        Bench::dialling(&Config { retry: retries(0), ..secure() }, Arc::clone(&receiver) as Arc<dyn Dial>);
    for _ in 0..9 {
        bench.send("event:iot/x", "body");
        bench.drained().await;
    }
    assert_eq!(bench.verdicts(), [DELIVERED; 9]);
    assert!((2..=4).contains(&receiver.connections()), "{} connections", receiver.connections());
    bench.assert_metric("outbound_possible_duplicates 0");
}

/// contract §14.31: the receiver may have the event.
#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_under_a_request_costs_an_attempt_and_a_retry() {
    let receiver = Http2Receiver::new(|stream, connection_number, _| {
        serve_frames(stream, move |number, respond, connection| {
            if connection_number == 1 && number == 2 {
                drop(respond);
                connection.abrupt_shutdown(h2::Reason::INTERNAL_ERROR);
            } else {
                accept(respond);
            }
        });
    });
    let bench = Bench::dialling(&secure(), receiver);
    for _ in 0..2 {
        bench.send("event:iot/x", "body");
        bench.drained().await;
    }
    assert_eq!(bench.verdicts(), [DELIVERED; 2]);
    bench.assert_metric("outbound_retries 1");
    bench.assert_metric("outbound_possible_duplicates 1");
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_is_closed_when_it_was_idle_for_too_long() {
    let receiver = Http2Receiver::answering(100);
    let transport = Transport { idle_conn_timeout: Duration::from_secs(10), ..Transport::default() };
    let bench = Bench::dialling(&Config { transport, ..secure() }, Arc::clone(&receiver) as Arc<dyn Dial>);
    for (pause, connections) in [(0, 1), (8, 1), (13, 2)] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        bench.send("event:iot/x", "body");
        bench.drained().await;
        assert_eq!(receiver.connections(), connections, "after {pause} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_arrives_any_more_is_given_up() {
    let receiver = Http2Receiver::new(|stream, _, _| {
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let request = connection.accept().await;
            // It keeps the connection, and does nothing with it.
            std::future::pending::<()>().await;
            drop(request);
        });
    });
    let bench = Bench::dialling(&Config { retry: retries(0), ..secure() }, receiver);
    let start = Instant::now();
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!(bench.verdicts(), [Verdict::ReceiverUnreachable]);
    assert!(start.elapsed() <= Duration::from_secs(11), "{:?}", start.elapsed());
}
