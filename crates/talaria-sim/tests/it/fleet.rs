//! Simulated devices against the WebSocket server of tungstenite, which shares no code with their client.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use talaria_sim::fleet::{Backoff, Config, Fleet, SendError, Target};
use talaria_sim::ledger::{DeliveryClass, End, Ends, Ledger};
use talaria_sim::run::{Key, RunId};
use talaria_sim::traffic::{QosMix, Traffic};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use wrp::{MessageRef, MessageType, Qos, Rdr};

use crate::support::{LIMIT, eventually, within_limit};

struct Server(TcpListener);

/// A connected device, at the server.
struct Connection {
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
    async fn accept(&self) -> Connection {
        let (stream, _) = within_limit(self.0.accept()).await.unwrap();
        let (mut name, mut convey) = (String::new(), None);
        let read_headers = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            name = header("x-webpa-device-name").unwrap_or_default();
            convey = header("x-webpa-convey");
            Ok(response)
        };
        let socket = within_limit(accept_hdr_async(stream, read_headers)).await.unwrap();
        Connection { name, convey, socket }
    }
}

impl Connection {
    async fn send(&mut self, message: &MessageRef<'_>) {
        let mut bytes = vec![];
        message.encode_v3(&mut bytes);
        self.socket.send(Frame::binary(bytes)).await.unwrap();
    }

    async fn next(&mut self) -> Frame {
        within_limit(self.socket.next()).await.unwrap().unwrap()
    }
}

fn fleet(target: Target, devices: usize) -> (Arc<Fleet>, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::new(RunId::random(), Ends::NONE.with(End::Ack, true)));
    let short = Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(2) };
    let config = Config { reconnect: Some(short), ..Config::new(target, devices) };
    (Arc::new(Fleet::new(config, Arc::clone(&ledger))), ledger)
}

#[tokio::test]
async fn a_device_connects_with_its_name_and_convey_and_ends_with_a_close_frame() {
    let server = Server::start().await;
    let (fleet, ledger) = fleet(server.target(), 1);
    let (connected, mut device) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    assert_eq!((connected.online, connected.failed), (1, 0));
    assert_eq!(device.name, ledger.run().device_id(0));
    assert!(device.convey.as_ref().is_some_and(|convey| convey.len() > 100));
    let close = async move {
        assert!(device.next().await.is_close());
        // tungstenite answers the close frame during the next read, and then the connection is dropped.
        while device.socket.next().await.is_some() {}
    };
    let (cut, ()) = tokio::join!(fleet.stop(LIMIT), close);
    assert_eq!((cut, fleet.snapshot().online), (0, 0));
}

#[tokio::test]
async fn a_ping_is_answered_with_its_payload() {
    let server = Server::start().await;
    let (fleet, _) = fleet(server.target(), 1);
    let (_, mut device) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    device.socket.send(Frame::Ping("mac:1".into())).await.unwrap();
    assert_eq!(device.next().await, Frame::Pong("mac:1".into()));
    assert_eq!(fleet.snapshot().pings, 1);
}

#[tokio::test]
async fn a_request_of_each_type_is_answered_with_its_uuid_and_payload() {
    let server = Server::start().await;
    let (fleet, ledger) = fleet(server.target(), 1);
    let (_, mut device) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    for msg_type in [3, 5, 6, 7, 8].map(MessageType) {
        let request = MessageRef {
            msg_type,
            source: "dns:someone.example.com".into(),
            dest: "mac:112233445566/config".into(),
            transaction_uuid: "4711".into(),
            payload: Some(b"request"),
            ..MessageRef::default()
        };
        device.send(&request).await;
        let frame = device.next().await.into_data();
        let response = MessageRef::decode_v3(&frame).unwrap();
        assert_eq!(
            (response.msg_type, response.transaction_uuid, response.dest),
            (msg_type, "4711".into(), request.source)
        );
        assert_eq!((response.payload, response.status), (request.payload, Some(200)));
        assert_eq!(response.source.to_string(), ledger.run().device_id(0));
    }
    assert_eq!(fleet.snapshot().requests_answered, 5);
}

#[tokio::test]
async fn an_events_ack_is_counted_by_its_rdr_and_entered_into_the_ledger() {
    let server = Server::start().await;
    let (fleet, ledger) = fleet(server.target(), 1);
    let (_, mut device) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    let mut traffic = Traffic::new(Arc::clone(&fleet), Arc::clone(&ledger), 350, QosMix::Fixed(75));
    for rdr in [Rdr::DELIVERED, Rdr::DISPLACED] {
        traffic.send_one().unwrap();
        let frame = device.next().await.into_data();
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
        device.send(&ack).await;
    }
    eventually("two acknowledgements", || ledger.counts().done == 2).await;
    let acks = fleet.snapshot().acks;
    assert_eq!(acks.into_iter().collect::<Vec<_>>(), [(0, 1), (102, 1)]);
    assert_eq!(fleet.ack_latency().count, 2);
}

#[tokio::test]
async fn a_device_whose_connection_was_dropped_reconnects() {
    let server = Server::start().await;
    let (fleet, ledger) = fleet(server.target(), 1);
    let (_, device) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    drop(device);
    let again = server.accept().await;
    assert_eq!(again.name, ledger.run().device_id(0));
    eventually("two connects", || fleet.snapshot().connects == 2).await;
    assert_eq!(fleet.snapshot().disconnects, 1);
}

#[tokio::test]
async fn a_device_that_is_refused_reports_the_status_and_is_offline() {
    let server = Server::start().await;
    let (fleet, _) = fleet(server.target(), 1);
    let refuse = async {
        let (mut stream, _) = server.0.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 503 x\r\n\r\n").await.unwrap();
        stream
    };
    let (connected, _stream) = tokio::join!(fleet.connect(0..1, || ()), refuse);
    assert_eq!(connected.error.as_deref(), Some("the gateway refused the device with status 503"));
    assert_eq!(fleet.send(0, |_, _| ()), Err(SendError::Offline));
    assert_eq!((fleet.snapshot().refused, fleet.snapshot().unsent), (1, 1));
}

#[tokio::test]
async fn nothing_is_lost_while_a_gateway_does_not_read_until_the_devices_buffer_is_full() {
    let server = Server::start().await;
    let (fleet, ledger) = fleet(server.target(), 1);
    let (_, mut device) = tokio::join!(fleet.connect(0..1, || ()), server.accept());
    let mut keys = vec![];
    loop {
        let key = ledger.send(DeliveryClass::Assured);
        if fleet.send(0, |_, out| out.extend_from_slice(&[key.sequence as u8; 50_000])).is_err() {
            break;
        }
        keys.push(key);
    }
    assert!(keys.len() > 20, "{}", keys.len());
    for key in keys {
        assert_eq!(device.next().await.into_data(), vec![key.sequence as u8; 50_000]);
    }
}
