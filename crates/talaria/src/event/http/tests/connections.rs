//! Which connection an event gets, and when one is closed.

use std::io::{Read as _, Write as _};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::FutureExt as _;
use talaria_protocol::url::Origin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::*;
use crate::event::http::dial::{Dialing, Lookup};

const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

/// Dials a receiver in memory; the second connection, and each after it, takes this long.
struct Slow {
    receiver: Memory,
    dialled: AtomicUsize,
    delay: Duration,
}

impl Dial for Slow {
    fn dial(&self, origin: &Origin, lookup: &Lookup) -> Dialing {
        let dialling = self.receiver.dial(origin, lookup);
        let delay = if self.dialled.fetch_add(1, Relaxed) == 0 { Duration::ZERO } else { self.delay };
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            dialling.await
        })
    }
}

fn slow(receiver: &Receiver, delay: u64) -> Arc<Slow> {
    let receiver = Memory(HashMap::from([("memory", receiver.clone())]));
    Arc::new(Slow { receiver, dialled: AtomicUsize::new(0), delay: Duration::from_secs(delay) })
}

#[tokio::test]
async fn a_receiver_with_a_short_accept_queue_gets_each_event_once() {
    const EVENTS: usize = 300;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(5).unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = Receiver::answering(Answer::Status(202));
    let accepting = receiver.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(accepting.clone().serve(stream, None));
            // It accepts more slowly than a hundred workers connect.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let bench = Bench::start(&Config { request_timeout: Duration::from_secs(5), ..to(address) });
    for number in 0..EVENTS {
        bench.send("event:iot/x", &number.to_string());
    }
    bench.drained().await;
    assert_eq!(bench.verdicts(), [DELIVERED; EVENTS]);
    let bodies: std::collections::HashSet<Vec<u8>> =
        receiver.requests().into_iter().map(|request| request.body).collect();
    assert_eq!((receiver.requests().len(), bodies.len()), (EVENTS, EVENTS));
    bench.assert_metric("outbound_retries 0");
    bench.assert_metric("outbound_possible_duplicates 0");
}

#[tokio::test(start_paused = true)]
async fn an_event_takes_a_connection_that_becomes_free_before_its_own_is_open() {
    let receiver = Receiver::answering(Answer::After(Duration::from_secs(1)));
    let bench = Bench::dialling(&config("http://memory/"), slow(&receiver, 4));
    let start = Instant::now();
    bench.send("event:iot/x", "body");
    receiver.received(1).await;
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!((start.elapsed().as_secs(), receiver.connections()), (2, 1));
    assert_eq!(bench.verdicts(), [DELIVERED; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_its_event_did_not_need_is_kept_for_others() {
    let receiver = Receiver::answering(Answer::After(Duration::from_secs(1)));
    let dial = slow(&receiver, 4);
    let bench = Bench::dialling(&config("http://memory/"), Arc::clone(&dial) as Arc<dyn Dial>);
    bench.send("event:iot/x", "body");
    receiver.received(1).await;
    bench.send("event:iot/x", "body");
    bench.drained().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let start = Instant::now();
    for _ in 0..2 {
        bench.send("event:iot/x", "body");
    }
    bench.drained().await;
    assert_eq!((start.elapsed().as_secs(), dial.dialled.load(Relaxed)), (1, 2));
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_does_not_accept_costs_the_connect_timeout() {
    let receiver = Receiver::answering(Answer::Status(202));
    let dial = slow(&receiver, 600);
    dial.dialled.store(1, Relaxed);
    let bench = Bench::dialling(&Config { retry: retries(0), ..config("http://memory/") }, dial);
    let start = Instant::now();
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert_eq!((start.elapsed().as_secs(), bench.verdicts()), (5, vec![Verdict::ReceiverUnreachable]));
    bench.assert_metric(
        r#"outbound_dropped_messages{code="message_dropped",reason="context_deadline_exceeded",scheme="event"} 1"#,
    );
}

#[tokio::test(start_paused = true)]
async fn connections_are_opened_a_few_at_a_time() {
    let receiver = Receiver::answering(Answer::After(Duration::from_secs(60)));
    let dial = slow(&receiver, 1);
    dial.dialled.store(1, Relaxed);
    let bench = Bench::dialling(&Config { workers: 400, ..config("http://memory/") }, dial);
    for _ in 0..100 {
        bench.send("event:iot/x", "body");
    }
    let mut opened = Vec::new();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(1001)).await;
        opened.push(receiver.connections());
    }
    assert_eq!(opened, [4, 12, 28, 60]);
}

#[tokio::test]
async fn an_idle_connection_that_the_receiver_closes_is_closed_without_another_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bench = Bench::start(&to(listener.local_addr().unwrap()));
    bench.send("event:iot/x", "body");
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; 4096];
    assert_ne!(stream.read(&mut request).await.unwrap(), 0);
    stream.write_all(ACCEPTED).await.unwrap();
    bench.drained().await;
    assert!(stream.read(&mut request).now_or_never().is_none(), "it is kept");
    stream.shutdown().await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut request)).await;
    assert_eq!(closed.unwrap().unwrap(), 0);
}

/// The thread of the runtime is busy while the receiver closes the connection, as after a stop of the process.
#[tokio::test]
async fn no_request_is_written_to_a_connection_whose_end_the_reactor_has_not_seen_yet() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bench = Bench::start(&to(listener.local_addr().unwrap()));
    let (closed, is_closed) = std::sync::mpsc::channel();
    let receiver = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert_ne!(stream.read(&mut request).unwrap(), 0);
            stream.write_all(ACCEPTED).unwrap();
            // So long that the next event asks the system.
            std::thread::park_timeout(Duration::from_millis(20));
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    bench.send("event:iot/x", "body");
    bench.drained().await;
    is_closed.recv().unwrap();
    bench.send("event:iot/x", "body");
    bench.drained().await;
    receiver.join().unwrap();
    assert_eq!(bench.verdicts(), [DELIVERED; 2]);
    bench.assert_metric("outbound_possible_duplicates 0");
}
