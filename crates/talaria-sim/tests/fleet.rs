//! Simulated devices against a WebSocket server of somebody else's make.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may fail them")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use talaria_sim::fleet::{Backoff, Config, Fleet, Target, Unsent};
use talaria_sim::ledger::{Care, End, Ends, Ledger};
use talaria_sim::run::{Key, RunId};
use talaria_sim::traffic::{QosMix, Traffic};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use wrp::{MessageRef, MessageType, Qos, Rdr};

/// No step of these tests takes longer, unless it never ends.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server(TcpListener);

/// A device as the server sees it.
struct Guest {
    name: String,
    convey: Option<String>,
    socket: WebSocketStream<TcpStream>,
}

impl Server {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn target(&self) -> Target {
        Target::at(self.0.local_addr().unwrap())
    }

    #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
    async fn accept(&self) -> Guest {
        let (stream, _) = patiently(self.0.accept()).await.unwrap();
        let (mut name, mut convey) = (String::new(), None);
        let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            name = header("x-webpa-device-name").unwrap_or_default();
            convey = header("x-webpa-convey");
            Ok(response)
        };
        let socket = patiently(accept_hdr_async(stream, look)).await.unwrap();
        Guest { name, convey, socket }
    }
}

impl Guest {
    async fn send(&mut self, message: &MessageRef<'_>) {
        let mut bytes = vec![];
        message.encode_v3(&mut bytes);
        self.socket.send(Frame::binary(bytes)).await.unwrap();
    }

    async fn next(&mut self) -> Frame {
        patiently(self.socket.next()).await.unwrap().unwrap()
    }
}

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("nothing happened for long")
}

async fn until(condition: impl Fn() -> bool) {
    patiently(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn fleet(target: Target, devices: usize) -> (Arc<Fleet>, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::new(RunId::random(), Ends::NONE.with(End::Ack, true)));
    let quickly = Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(2) };
    let config = Config { reconnect: Some(quickly), ..Config::new(target, devices) };
    (Arc::new(Fleet::new(config, Arc::clone(&ledger))), ledger)
}

#[tokio::test]
async fn a_device_connects_with_its_name_and_convey_and_says_goodbye() {
    let server = Server::start().await;
    let (fleet, ledger) = fleet(server.target(), 1);
    let (connected, mut guest) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    assert_eq!((connected.online, connected.failed), (1, 0));
    assert_eq!(guest.name, ledger.run().device_id(0));
    assert!(guest.convey.as_ref().is_some_and(|convey| convey.len() > 100));
    let goodbye = async move {
        assert!(guest.next().await.is_close());
        // tungstenite answers the close while it is read on; the connection ends with the guest
        while guest.socket.next().await.is_some() {}
    };
    let (cut, ()) = tokio::join!(fleet.stop(PATIENCE), goodbye);
    assert_eq!((cut, fleet.snapshot().online), (0, 0));
}

#[tokio::test]
async fn a_ping_is_answered_with_its_payload() {
    let server = Server::start().await;
    let (fleet, _) = fleet(server.target(), 1);
    let (_, mut guest) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    guest.socket.send(Frame::Ping("mac:1".into())).await.unwrap();
    assert_eq!(guest.next().await, Frame::Pong("mac:1".into()));
    assert_eq!(fleet.snapshot().pings, 1);
}

#[tokio::test]
async fn a_request_of_every_kind_is_answered_with_its_uuid_and_payload() {
    let server = Server::start().await;
    let (fleet, ledger) = fleet(server.target(), 1);
    let (_, mut guest) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    for msg_type in [3, 5, 6, 7, 8].map(MessageType) {
        let request = MessageRef {
            msg_type,
            source: "dns:someone.example.com".into(),
            dest: "mac:112233445566/config".into(),
            transaction_uuid: "4711".into(),
            payload: Some(b"question"),
            ..MessageRef::default()
        };
        guest.send(&request).await;
        let frame = guest.next().await.into_data();
        let answer = MessageRef::decode_v3(&frame).unwrap();
        assert_eq!(
            (answer.msg_type, answer.transaction_uuid, answer.dest),
            (msg_type, "4711".into(), request.source)
        );
        assert_eq!((answer.payload, answer.status), (request.payload, Some(200)));
        assert_eq!(answer.source.to_string(), ledger.run().device_id(0));
    }
    assert_eq!(fleet.snapshot().requests_answered, 5);
}

#[tokio::test]
async fn an_events_ack_is_counted_by_its_rdr_and_entered_into_the_ledger() {
    let server = Server::start().await;
    let (fleet, ledger) = fleet(server.target(), 1);
    let (_, mut guest) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    let mut traffic = Traffic::new(Arc::clone(&fleet), Arc::clone(&ledger), 350, QosMix::Fixed(75));
    for rdr in [Rdr::DELIVERED, Rdr::DISPLACED] {
        traffic.send_one().unwrap();
        let frame = guest.next().await.into_data();
        let event = MessageRef::decode_v3(&frame).unwrap();
        assert_eq!((event.qos, frame.len().abs_diff(350) <= 2), (Qos(75), true));
        assert!(Key::parse(event.transaction_uuid.as_bytes()).is_some());
        let ack = MessageRef {
            msg_type: MessageType::SIMPLE_EVENT,
            dest: event.source,
            transaction_uuid: event.transaction_uuid,
            rdr: Some(rdr.0),
            ..MessageRef::default()
        };
        guest.send(&ack).await;
    }
    until(|| ledger.counts().done == 2).await;
    let acks = fleet.snapshot().acks;
    assert_eq!(acks.into_iter().collect::<Vec<_>>(), [(0, 1), (102, 1)]);
    assert_eq!(fleet.ack_latency().count, 2);
}

#[tokio::test]
async fn a_device_that_was_cut_off_comes_back() {
    let server = Server::start().await;
    let (fleet, ledger) = fleet(server.target(), 1);
    let (_, guest) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    drop(guest);
    let again = server.accept().await;
    assert_eq!(again.name, ledger.run().device_id(0));
    until(|| fleet.snapshot().connects == 2).await;
    assert_eq!(fleet.snapshot().disconnects, 1);
}

#[tokio::test]
async fn a_device_that_is_refused_tells_why_and_is_offline() {
    let server = Server::start().await;
    let (fleet, _) = fleet(server.target(), 1);
    let refuse = async {
        let (mut stream, _) = server.0.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 503 x\r\n\r\n").await.unwrap();
        stream
    };
    let (connected, _stream) = tokio::join!(fleet.connect(0..1, || ()), refuse);
    assert_eq!(connected.error.as_deref(), Some("the gateway refused the device with status 503"));
    assert_eq!(fleet.send(0, |_, _| ()), Err(Unsent::Offline));
    assert_eq!((fleet.snapshot().refused, fleet.snapshot().unsent), (1, 1));
}

#[tokio::test]
async fn a_gateway_that_does_not_read_loses_nothing_until_the_devices_buffer_is_full() {
    let server = Server::start().await;
    let (fleet, ledger) = fleet(server.target(), 1);
    let (_, mut guest) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    let mut keys = vec![];
    loop {
        let key = ledger.send(Care::Assured);
        if fleet.send(0, |_, out| out.extend_from_slice(&[key.sequence as u8; 50_000])).is_err() {
            break;
        }
        keys.push(key);
    }
    assert!(keys.len() > 20, "{}", keys.len());
    for key in keys {
        assert_eq!(guest.next().await.into_data(), vec![key.sequence as u8; 50_000]);
    }
}
