//! Answers by HTTP/1.1 that are not the usual one, over real sockets: each costs a bound, and a 202 that was read counts.

use talaria_protocol::receiver_answer::{MAX_BODY, MAX_HEAD, MAX_HEADERS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::receiver::Then;
use super::*;

const EVENTS: usize = 3;

/// Posts three events one after the other. Returns over how many connections they came.
async fn connections_of(answer: Answer) -> usize {
    let receiver = Receiver::answering(answer);
    let bench = Bench::start(&Config { retry: retries(0), ..to(receiver.listen().await) });
    for _ in 0..EVENTS {
        bench.send("event:iot/x", "body");
        bench.drained().await;
    }
    assert_eq!((receiver.requests().len(), bench.verdicts()), (EVENTS, vec![DELIVERED; EVENTS]));
    bench.assert_metric("outbound_possible_duplicates 0");
    receiver.connections()
}

#[tokio::test]
async fn an_answer_that_ends_by_itself_leaves_the_connection_usable() {
    for answer in [
        "HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nthank",
        "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 202 Accepted\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
    ] {
        assert_eq!(connections_of(Answer::Bytes(answer, Then::Reads)).await, 1, "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_after_which_the_connection_ends_costs_no_event_and_no_attempt() {
    let close = "HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let cut_off = "HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\nok";
    let broken = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nxyz";
    let unasked = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\nHTTP/1.1 408 Request Timeout\r\n\r\n";
    for answer in [
        Answer::Bytes(close, Then::Reads),
        Answer::Bytes(close, Then::Closes),
        Answer::Bytes(cut_off, Then::Closes),
        Answer::Bytes(broken, Then::Reads),
        Answer::Bytes(unasked, Then::Reads),
    ] {
        assert_eq!(connections_of(answer.clone()).await, EVENTS, "{answer:?}");
    }
}

/// Python's server answers so. hyper's client waited for the end of the connection, which may not come.
#[tokio::test]
async fn an_answer_without_a_length_is_taken_although_the_receiver_keeps_the_connection() {
    for answer in ["HTTP/1.0 202 Accepted\r\n\r\n", "HTTP/1.1 202 Accepted\r\nServer: x\r\n\r\n"] {
        for then in [Then::Closes, Then::Reads] {
            assert_eq!(connections_of(Answer::Bytes(answer, then)).await, EVENTS, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_status_that_is_not_202_counts_whatever_follows_it() {
    for (answer, code) in [
        ("HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\nlong story", 413),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101),
    ] {
        let receiver = Receiver::answering(Answer::Bytes(answer, Then::Reads));
        let bench = Bench::start(&Config { retry: retries(0), ..to(receiver.listen().await) });
        bench.send("event:iot/x", "body");
        bench.drained().await;
        assert_eq!(bench.verdicts(), [Verdict::ReceiverRefused], "{answer:?}");
        bench.assert_metric(&format!(
            r#"outbound_requests{{code="{code}",reason="non202",scheme="event"}} 1"#
        ));
    }
}

/// Answers each request with the same bytes after it has read this much of it, and reads no more.
async fn answers_early(answer: String, read: usize) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                stream.read_exact(&mut vec![0; read]).await?;
                stream.write_all(answer.as_bytes()).await?;
                std::future::pending::<std::io::Result<()>>().await
            });
        }
    });
    address
}

#[tokio::test]
async fn an_answer_that_comes_before_the_event_was_read_counts() {
    let answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n".to_owned();
    let bench = Bench::start(&Config { retry: retries(0), ..to(answers_early(answer, 100).await) });
    // More than the sockets of both ends hold.
    bench.send("event:iot/x", &"x".repeat(16 << 20));
    bench.drained().await;
    assert_eq!(bench.verdicts(), [Verdict::ReceiverRefused]);
    bench.assert_metric(r#"outbound_requests{code="413",reason="non202",scheme="event"} 1"#);
}

#[tokio::test]
async fn a_head_without_end_is_given_up_and_not_tried_again() {
    let long = format!("HTTP/1.1 202 Accepted\r\nX: {}", "x".repeat(MAX_HEAD));
    let many = format!("HTTP/1.1 202 Accepted\r\n{}", "X: y\r\n".repeat(MAX_HEADERS + 1));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD / 16);
    for answer in [long, many, interim] {
        let bench = Bench::start(&to(answers_early(answer, 10).await));
        bench.send("event:iot/x", "body");
        bench.drained().await;
        assert_eq!(bench.verdicts(), [Verdict::ReceiverUnreachable]);
        bench.assert_metric(
            r#"outbound_requests{code="message_dropped",reason="unknown_network_err",scheme="event"} 1"#,
        );
    }
}

#[tokio::test]
async fn a_body_without_end_is_not_waited_for() {
    let length = format!("HTTP/1.1 202 Accepted\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
    let chunks = format!(
        "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "1\r\nx\r\n".repeat(MAX_BODY / 6 + 1)
    );
    for answer in [length, chunks] {
        let bench = Bench::start(&to(answers_early(answer, 10).await));
        bench.send("event:iot/x", "body");
        bench.drained().await;
        assert_eq!(bench.verdicts(), [DELIVERED]);
    }
}

/// An event that needs many writes arrives as it is.
#[tokio::test]
async fn a_large_event_arrives_whole_over_a_connection_that_takes_little_at_a_time() {
    let receiver = Receiver::answering(Answer::Status(202));
    let bench = Bench::in_memory(&config("http://memory/"), [("memory", receiver.clone())]);
    let body: String = (0..300_000).map(|number| char::from(b'a' + (number % 26) as u8)).collect();
    for _ in 0..2 {
        bench.send("event:iot/x", &body);
        bench.drained().await;
    }
    assert_eq!((receiver.requests().len(), receiver.connections()), (2, 1));
    assert!(receiver.requests().iter().all(|request| request.body == body.as_bytes()));
}
