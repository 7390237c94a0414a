//! Several events in one packet over HTTP/1.1 (`transport.pipeline`, contract §5.4): each ends as if it had been sent alone.

mod early;
mod late;
mod packets;

use tokio::sync::Notify;

use self::packets::{Packet, Packets, Reply, accepted, answers};
use super::*;
use crate::event::config::PipelineDepth;
use crate::event::fair_queue::Order;

fn depth(depth: u64) -> PipelineDepth {
    PipelineDepth::new(depth).unwrap()
}

/// A sink that sends up to eight events at a time, once it has had one answer.
async fn proven(address: std::net::SocketAddr, config: Config) -> Bench {
    let bench =
        Bench::start(&Config { pipeline: depth(8), ..Config { endpoints: to(address).endpoints, ..config } });
    bench.send("event:iot/x", "0");
    bench.drained().await;
    bench
}

/// Sends these events so that they wait together.
fn send(bench: &Bench, bodies: impl IntoIterator<Item = u32>) {
    bodies.into_iter().for_each(|body| bench.send("event:iot/x", &body.to_string()));
}

fn packet(bodies: impl IntoIterator<Item = u32>) -> Vec<String> {
    bodies.into_iter().map(|body| body.to_string()).collect()
}

#[tokio::test]
async fn events_that_wait_go_in_one_packet_and_one_that_is_alone_goes_at_once() {
    let _stopped = StoppedTime::new();
    let (address, packets) = Packets::listen(|packet| Reply::Send(accepted(packet))).await;
    let bench = proven(address, Config::default()).await;
    send(&bench, 1..6);
    bench.drained().await;
    send(&bench, 6..7);
    bench.drained().await;
    assert_eq!(packets.bodies(), [packet(0..1), packet(1..6), packet(6..7)]);
    assert_eq!((packets.connections(), bench.verdicts()), (1, vec![DELIVERED; 7]));
    bench.assert_metric("outbound_pipelined_requests 5");
    bench.assert_metric(r#"outbound_requests{code="202",reason="no_err",scheme="event"} 7"#);
    bench.assert_metric(
        r#"outbound_request_duration_seconds_count{code="202",reason="expected_code",scheme="event"} 7"#,
    );
    bench.assert_metric("outbound_inflight 0");
    bench.assert_metric("outbound_queue_size 0");
}

#[tokio::test]
async fn without_the_key_each_event_has_a_packet_of_its_own() {
    let _stopped = StoppedTime::new();
    let (address, packets) = Packets::listen(|packet| Reply::Send(accepted(packet))).await;
    let bench = Bench::start(&to(address));
    send(&bench, 0..1);
    bench.drained().await;
    send(&bench, 1..6);
    bench.drained().await;
    assert!(packets.bodies().iter().all(|bodies| bodies.len() == 1), "{:?}", packets.bodies());
    bench.assert_metric("outbound_pipelined_requests 0");
}

/// 500 and 429 are tried again, 401 is final, and each counts under its own status.
#[tokio::test]
async fn each_event_ends_by_its_own_answer() {
    let _stopped = StoppedTime::new();
    let seen = Mutex::new(HashMap::<String, usize>::new());
    let (address, packets) = Packets::listen(move |packet| {
        let mut seen = seen.lock();
        let status = |body: &String| {
            let times = seen.entry(body.clone()).or_default();
            *times += 1;
            match (&**body, *times) {
                ("2", 1) => 500,
                ("3", 1) => 429,
                ("4", _) => 401,
                _ => 202,
            }
        };
        Reply::Send(answers(packet.bodies.iter().map(status)))
    })
    .await;
    let bench = proven(address, Config { retry: retries(1), ..Config::default() }).await;
    send(&bench, 1..6);
    while bench.verdicts().len() < 4 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    bench.drained().await;
    assert_eq!(packets.bodies()[1], packet(1..6));
    assert_eq!(
        bench.verdicts(),
        [DELIVERED, DELIVERED, Verdict::ReceiverRefused, DELIVERED, DELIVERED, DELIVERED],
        "at once for 1, 4 and 5, later for 2 and 3"
    );
    for (code, count) in [("500", 1), ("429", 1), ("401", 1)] {
        bench.assert_metric(&format!(
            r#"outbound_requests{{code="{code}",reason="non202",scheme="event"}} {count}"#
        ));
    }
    bench.assert_metric(r#"outbound_requests{code="202",reason="no_err",scheme="event"} 5"#);
    bench.assert_metric("outbound_retries 2");
    bench.assert_metric("outbound_possible_duplicates 0");
}

#[tokio::test]
async fn answers_may_come_byte_by_byte_in_chunks_and_behind_interim_ones() {
    let _stopped = StoppedTime::new();
    let (address, packets) = Packets::listen(|packet| match packet.bodies.len() {
        1 => Reply::Send(accepted(packet)),
        _ => Reply::ByteByByte(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n\
             HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
             HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 B\r\n\r\nHTTP/1.1 202 A\r\nContent-Length: 1\r\n\r\nx"
                .to_owned(),
        ),
    })
    .await;
    let bench = proven(address, Config { retry: retries(0), ..Config::default() }).await;
    send(&bench, 1..5);
    bench.drained().await;
    let refused = Verdict::ReceiverRefused;
    assert_eq!(bench.verdicts(), [DELIVERED, DELIVERED, DELIVERED, refused, DELIVERED]);
    send(&bench, 5..6);
    bench.drained().await;
    assert_eq!((packets.bodies()[1].len(), packets.connections()), (4, 1), "the connection is kept");
}

/// Sends five events to a receiver that answers the packet in this way. Whatever it does, all of them are delivered: those that it has
/// not answered are sent once more, one at a time, and so are the next ones.
async fn misbehaves(reply: Reply, unanswered: usize, reason: &str) {
    let (address, packets) = Packets::listen(move |packet| match packet.bodies.len() {
        1 => Reply::Send(accepted(packet)),
        _ => reply.clone(),
    })
    .await;
    let bench = proven(address, Config::default()).await;
    send(&bench, 1..6);
    bench.drained().await;
    send(&bench, 6..9);
    bench.drained().await;
    let bodies = packets.bodies();
    assert_eq!(bodies[..2], [packet(0..1), packet(1..6)]);
    assert!(bodies[2..].iter().all(|bodies| bodies.len() == 1), "one at a time: {bodies:?}");
    assert_eq!(bodies.len(), 2 + unanswered + 3, "{bodies:?}");
    assert_eq!(bench.verdicts(), [DELIVERED; 9]);
    bench.assert_metric(&format!(
        r#"outbound_pipeline_fallbacks{{origin="http://{address}",reason="{reason}"}} 1"#
    ));
    bench.assert_metric(&format!("outbound_retries {unanswered}"));
    bench.assert_metric(&format!("outbound_possible_duplicates {unanswered}"));
    bench.assert_metric(r#"outbound_requests{code="202",reason="no_err",scheme="event"} 9"#);
}

#[tokio::test]
async fn a_receiver_that_closes_before_it_has_answered_all_gets_one_at_a_time() {
    let _stopped = StoppedTime::new();
    let torn_head = format!("{}HTTP/1.1 202", answers([202; 2]));
    let torn_body = format!("{}HTTP/1.1 202 A\r\nContent-Length: 9\r\n\r\nabc", answers([202; 2]));
    for (answered, unanswered) in [(String::new(), 5), (answers([202]), 4), (torn_head, 3), (torn_body, 2)] {
        misbehaves(Reply::SendAndClose(answered), unanswered, "closed").await;
    }
    let announced = "HTTP/1.1 202 A\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned();
    misbehaves(Reply::Send(announced), 4, "closed").await;
}

#[tokio::test]
async fn a_receiver_that_sends_what_is_not_http_gets_one_at_a_time_and_loses_no_event() {
    let _stopped = StoppedTime::new();
    misbehaves(Reply::Send(format!("{}SSH-2.0-x\r\n", answers([202; 2]))), 3, "not_http").await;
}

#[tokio::test]
async fn a_receiver_that_gives_more_answers_than_it_has_requests_gets_one_at_a_time() {
    let _stopped = StoppedTime::new();
    misbehaves(Reply::Send(answers([202; 6])), 0, "unexpected_answer").await;
}

/// It reads one request, and forgets what has arrived with it. So long as an event has time for it, it is sent again alone.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_does_not_answer_all_gets_one_at_a_time() {
    for (request_timeout, expected) in [(125, 30), (8, 4)] {
        let receiver = Receiver::new(|request, number| match (request.connection, number) {
            (1, 2..) => Answer::Silence,
            _ => Answer::Status(202),
        });
        let request_timeout = Duration::from_secs(request_timeout);
        let config = Config { pipeline: depth(8), request_timeout, ..config("http://memory/") };
        let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
        send(&bench, 0..1);
        bench.drained().await;
        let start = Instant::now();
        send(&bench, 1..4);
        bench.drained().await;
        assert!((expected..expected + 2).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!(bench.verdicts(), [DELIVERED; 4]);
        bench.assert_metric(r#"outbound_pipeline_fallbacks{origin="http://memory:80",reason="no_answer"} 1"#);
        bench.assert_metric("outbound_possible_duplicates 3");
        // A minute later it is tried again.
        let _ = tokio::time::timeout(Duration::from_secs(61), std::future::pending::<()>()).await;
        send(&bench, 4..7);
        bench.drained().await;
        bench.assert_metric("outbound_pipelined_requests 6");
    }
}

#[tokio::test]
async fn an_event_whose_answer_asks_for_another_request_goes_on_by_itself() {
    let _stopped = StoppedTime::new();
    let (there, redirected) = Packets::listen(|packet| Reply::Send(accepted(packet))).await;
    let (address, packets) = Packets::listen(move |packet| {
        let redirect = format!("HTTP/1.1 307 X\r\nLocation: http://{there}/\r\nContent-Length: 0\r\n\r\n");
        let answer = |body: &String| if body == "2" { redirect.clone() } else { answers([202]) };
        Reply::Send(packet.bodies.iter().map(answer).collect())
    })
    .await;
    let config = Config { allowed_schemes: vec!["http".to_owned()], retry: retries(0), ..Config::default() };
    let bench = proven(address, config).await;
    send(&bench, 1..4);
    bench.drained().await;
    assert_eq!(
        (packets.bodies(), redirected.bodies()),
        (vec![packet(0..1), packet(1..4)], vec![packet(2..3)])
    );
    assert_eq!(bench.verdicts(), [DELIVERED; 4]);
    assert_eq!(packets.connections(), 1);
}

#[tokio::test]
async fn a_receiver_of_http_1_0_gets_one_at_a_time() {
    let _stopped = StoppedTime::new();
    let answer = "HTTP/1.0 202 A\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
    let (address, packets) = Packets::listen(|_| Reply::Send(answer.to_owned())).await;
    let bench = proven(address, Config::default()).await;
    send(&bench, 1..4);
    bench.drained().await;
    assert!(packets.bodies().iter().all(|bodies| bodies.len() == 1), "{:?}", packets.bodies());
    assert_eq!(bench.verdicts(), [DELIVERED; 4]);
}

/// Behind each other on one connection its events would be later than over several.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_takes_its_time_gets_one_at_a_time() {
    let receiver = Receiver::answering(Answer::After(Duration::from_millis(60)));
    let bench = Bench::in_memory(
        &Config { pipeline: depth(8), ..config("http://memory/") },
        [("memory", receiver.clone())],
    );
    send(&bench, 0..1);
    bench.drained().await;
    let start = Instant::now();
    send(&bench, 1..4);
    bench.drained().await;
    assert_eq!((start.elapsed().as_millis(), receiver.connections()), (60, 3));
}

#[tokio::test]
async fn a_packet_has_a_bound_in_events_and_in_bytes() {
    let _stopped = StoppedTime::new();
    let (address, packets) = Packets::listen(|packet| Reply::Send(accepted(packet))).await;
    let bench = proven(address, Config::default()).await;
    send(&bench, 1..12);
    bench.drained().await;
    assert!(packets.bodies().contains(&packet(1..9)), "{:?}", packets.bodies());
    bench.assert_metric("outbound_pipelined_requests 8");
    for _ in 0..3 {
        bench.send("event:iot/x", &"x".repeat(40 << 10));
    }
    bench.drained().await;
    bench.assert_metric("outbound_pipelined_requests 10");
    assert_eq!(bench.verdicts(), [DELIVERED; 15]);
}

#[tokio::test]
async fn with_order_device_no_packet_has_two_events_of_a_device() {
    let _stopped = StoppedTime::new();
    let (address, packets) = Packets::listen(|packet| Reply::Send(accepted(packet))).await;
    let bench = proven(address, Config { order: Order::Device, ..Config::default() }).await;
    for (device, body) in [("mac:112233445566", "1"), ("mac:112233445566", "2"), ("mac:112233445567", "3")] {
        bench.send_as(device, "event:iot/x", body);
    }
    bench.drained().await;
    let bodies = packets.bodies();
    assert_eq!((&bodies[1], bodies.len()), (&vec!["1".to_owned(), "3".to_owned()], 3));
}

#[tokio::test]
async fn a_change_of_the_key_holds_for_the_next_event_and_those_under_way_end() {
    let _stopped = StoppedTime::new();
    let answer = Arc::new(Notify::new());
    let released = Arc::clone(&answer);
    let (address, packets) = Packets::listen(move |packet: &Packet| match packet.bodies.len() {
        1 => Reply::Send(accepted(packet)),
        _ => Reply::When(Arc::clone(&released), accepted(packet)),
    })
    .await;
    let bench = proven(address, Config::default()).await;
    send(&bench, 1..5);
    packets.arrived(2).await;
    let sink = bench.sink.replaced(&Config { pipeline: depth(1), ..to(address) });
    let (old, bench) = (bench.sink, Bench { sink, metrics: bench.metrics, verdicts: bench.verdicts });
    for bodies in [5..6, 6..9] {
        send(&bench, bodies);
        bench.drained().await;
    }
    assert_eq!(bench.verdicts().len(), 5, "the first four wait");
    answer.notify_one();
    old.retire(Instant::now() + Duration::from_secs(600)).await;
    assert!(packets.bodies()[2..].iter().all(|bodies| bodies.len() == 1), "{:?}", packets.bodies());
    assert_eq!(bench.verdicts(), [DELIVERED; 9]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_events_of_a_packet_and_counts_those_that_are_left() {
    let receiver = Receiver::new(|_, number| match number {
        1 => Answer::Status(202),
        2 | 3 => Answer::After(Duration::from_secs(1)),
        _ => Answer::Silence,
    });
    let config = Config { pipeline: depth(8), ..config("http://memory/") };
    let bench = Bench::in_memory(&config, [("memory", receiver.clone())]);
    send(&bench, 0..1);
    bench.drained().await;
    send(&bench, 1..6);
    let start = Instant::now();
    bench.sink.flush(start + Duration::from_secs(3)).await;
    let stopped = Verdict::ShuttingDown;
    assert_eq!(bench.verdicts(), [DELIVERED, DELIVERED, DELIVERED, stopped, stopped, stopped]);
    assert_eq!((start.elapsed().as_secs(), bench.sink.lost(), receiver.connections()), (3, 3, 1));
    bench.assert_metric("outbound_inflight 0");
}
