//! A receiver that refuses an event of a packet (413) before it has read all of it, over sockets that hold less than the packet.

use talaria_protocol::url::Origin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::event::http::dial::{Dialing, Lookup, Stream};

const ACCEPTED: &str = "HTTP/1.1 202 X\r\nContent-Length: 0\r\n\r\n";
/// Much more than the buffers of both sockets hold, and less than what fills a packet.
const LARGE: usize = 60 << 10;

/// What the receiver does after its 413.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    ClosesAsAnnounced,
    Closes,
    GoesOn,
}

/// Dials a receiver on this host. What it does not read fills the socket soon.
struct Narrow(std::net::SocketAddr);

impl Dial for Narrow {
    fn dial(&self, _: &Origin, _: &Lookup) -> Dialing {
        let address = self.0;
        Box::pin(async move {
            let socket = TcpSocket::new_v4().map_err(PostError::Connect)?;
            socket.set_send_buffer_size(4096).map_err(PostError::Connect)?;
            let stream = socket.connect(address).await.map_err(PostError::Connect)?;
            let stream: Box<dyn Stream> = Box::new(stream);
            Ok(stream)
        })
    }
}

fn narrow() -> (TcpListener, std::net::SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads until so many requests have begun.
async fn begun(stream: &mut TcpStream, requests: usize) {
    let mut bytes = Vec::new();
    while bytes.windows(5).filter(|bytes| *bytes == b"POST ").count() < requests {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    }
}

/// Sends a small event, a large one, which is refused before it was written whole, and two more.
async fn refuse_early(smaller: usize, after: After) {
    let (listener, address) = narrow();
    let config = Config { pipeline: depth(8), retry: retries(0), ..to(address) };
    let bench = Bench::dialling(&config, Arc::new(Narrow(address)));
    bench.send("event:iot/x", "0");
    let (mut stream, _) = listener.accept().await.unwrap();
    begun(&mut stream, 1).await;
    stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
    bench.drained().await;

    send(&bench, 0..u32::try_from(smaller).unwrap());
    bench.send("event:iot/x", &"x".repeat(LARGE));
    ["a", "b"].into_iter().for_each(|body| bench.send("event:iot/x", body));
    begun(&mut stream, smaller + 1).await;
    let close = if after == After::ClosesAsAnnounced { "Connection: close\r\n" } else { "" };
    let refused = format!("HTTP/1.1 413 X\r\n{close}Content-Length: 2\r\n\r\nno");
    stream.write_all((ACCEPTED.repeat(smaller) + &refused).as_bytes()).await.unwrap();
    let receiver = Receiver::answering(Answer::Status(202));
    let accepting = receiver.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(accepting.clone().serve(stream, None));
        }
    });
    if after == After::GoesOn {
        // Nothing more of the packet comes: neither the rest of the large event nor those behind it.
        receiver.received(2).await;
        let mut rest = Vec::new();
        // It may be reset.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.len() < LARGE && !rest.windows(5).any(|bytes| bytes == b"POST "), "{}", rest.len());
    }
    drop(stream);
    bench.drained().await;

    let mut alone: Vec<Vec<u8>> = receiver.requests().into_iter().map(|request| request.body).collect();
    alone.sort();
    assert_eq!(alone, [b"a", b"b"], "{after:?}: at once and once");
    let mut verdicts = vec![DELIVERED; smaller + 1];
    verdicts.extend([Verdict::ReceiverRefused, DELIVERED, DELIVERED]);
    assert_eq!(bench.verdicts(), verdicts, "{after:?}: each by its own answer");
    bench.assert_metric(r#"outbound_requests{code="413",reason="non202",scheme="event"} 1"#);
    bench.assert_metric(&format!(
        r#"outbound_requests{{code="202",reason="no_err",scheme="event"}} {}"#,
        smaller + 3
    ));
    bench.assert_metric(&format!("outbound_pipelined_requests {}", smaller + 3));
    bench.assert_metric("outbound_retries 0");
    bench.assert_metric("outbound_possible_duplicates 0");
    bench.assert_metric("outbound_inflight 0");
    // It bears several events in a packet.
    for reason in ["closed", "unexpected_answer", "not_http", "no_answer"] {
        bench.assert_metric(&format!(
            r#"outbound_pipeline_fallbacks{{origin="http://{address}",reason="{reason}"}} 0"#
        ));
    }
}

#[tokio::test]
async fn an_event_that_is_refused_before_it_was_written_costs_the_others_of_its_packet_nothing() {
    let _stopped = StoppedTime::new();
    for smaller in [0, 1, 2] {
        for after in [After::ClosesAsAnnounced, After::Closes, After::GoesOn] {
            refuse_early(smaller, after).await;
        }
    }
}
