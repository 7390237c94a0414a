//! The far ends of a gateway that is counted: devices, a service, an event receiver. They block, and their threads are excepted
//! from the count.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use talaria_sim::run::RunId;
use talaria_sim::traffic::EventWriter;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message as Frame, WebSocket};
use wrp::{Message, MessageRef, MessageType, Qos};

use crate::support::allocator;

/// The bound of each read.
const PATIENCE: Duration = Duration::from_secs(10);

/// The length of the events in bytes, as in `talaria-sim bench`.
const EVENT: usize = 350;

/// The service's user and password.
pub(crate) const CREDENTIALS: &str = "service:secret";

const CONVEY: &str = r#"{"boot-time":1700000000,"hw-model":"SIM-1","hw-manufacturer":"sim","hw-serial-number":"000000000001",
    "hw-last-reboot-reason":"power-on","fw-name":"sim_1.0.0","last-reconnect-reason":"none",
    "webpa-last-reconnect-reason":"none","webpa-protocol":"sim-1.0","webpa-interface-used":"erouter0",
    "boot-time-retry-wait":1,"webpa-interface-label":"lan","wan-ipv4-address":"192.0.2.1"}"#;

/// Answers each POST with 202, and counts them.
pub(crate) struct Receiver {
    address: SocketAddr,
    events: Arc<AtomicU64>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let events = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&events);
        thread::spawn(move || {
            allocator::except_this_thread();
            for stream in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                thread::spawn(move || {
                    allocator::except_this_thread();
                    receive(stream, &counted);
                });
            }
        });
        Self { address, events }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v4/notify", self.address)
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }
}

fn receive(mut stream: TcpStream, events: &AtomicU64) {
    let mut received = Vec::new();
    while read_message(&mut stream, &mut received).is_some() {
        events.fetch_add(1, Relaxed);
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
        if stream.write_all(answer).is_err() {
            break;
        }
    }
}

/// Reads the next request or response with a `Content-Length`, and returns its body; `None` at the end of the connection.
fn read_message(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(head) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let end = head + 4 + length.map_or(0, |length| length.trim().parse().expect("a length"));
            if received.len() >= end {
                let body = received[head + 4..end].to_vec();
                received.drain(..end);
                return Some(body);
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(length) => received.extend_from_slice(&chunk[..length]),
        }
    }
}

/// A connection on which no read waits for ever.
fn connected(gateway: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(gateway).expect("the gateway listens");
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream
}

/// A connected device.
pub(crate) struct Device {
    id: String,
    socket: WebSocket<TcpStream>,
    events: EventWriter,
    sent: u64,
}

impl Device {
    pub(crate) fn connect(gateway: SocketAddr, number: usize) -> Self {
        let id = RunId::new(1).device_id(number);
        let mut request = format!("ws://{gateway}/api/v2/device").into_client_request().expect("a URL");
        let convey = STANDARD.encode(CONVEY).parse().expect("a header value");
        request.headers_mut().insert("X-Webpa-Device-Name", id.parse().expect("a header value"));
        request.headers_mut().insert("X-Webpa-Convey", convey);
        let stream = connected(gateway);
        let (socket, _) = tungstenite::client(request, stream).expect("the gateway lets the device in");
        Self { id, socket, events: EventWriter::new(EVENT), sent: 0 }
    }

    /// Sends so many events of this QoS in one write.
    pub(crate) fn send(&mut self, events: usize, qos: i64) {
        for _ in 0..events {
            let mut frame = Vec::new();
            self.events.write(&self.id, RunId::new(1).key(self.sent), Qos(qos), &mut frame);
            self.sent += 1;
            self.socket.write(Frame::binary(frame)).expect("is written");
        }
        self.socket.flush().expect("is sent");
    }

    /// Waits for the next message of the gateway.
    pub(crate) fn receive(&mut self) -> Message {
        loop {
            match self.socket.read().expect("the connection stands") {
                Frame::Binary(frame) => {
                    return MessageRef::decode_v3(&frame).expect("the gateway sends WRP").to_owned();
                }
                Frame::Ping(_) => self.socket.flush().expect("is sent"),
                other => panic!("not a WRP message: {other}"),
            }
        }
    }

    /// Answers the next request of a service.
    pub(crate) fn answer(&mut self) {
        let mut message = self.receive();
        std::mem::swap(&mut message.source, &mut message.dest);
        let mut frame = Vec::new();
        message.as_ref().encode_v3(&mut frame);
        self.socket.send(Frame::binary(frame)).expect("is sent");
    }
}

/// A service that sends requests to one device, over one connection.
pub(crate) struct Service {
    stream: TcpStream,
    received: Vec<u8>,
    request: Vec<u8>,
}

impl Service {
    pub(crate) fn connect(gateway: SocketAddr, device: &Device) -> Self {
        let message = Message {
            msg_type: MessageType::SIMPLE_REQUEST_RESPONSE,
            source: "dns:service.example".into(),
            dest: format!("{}/config", device.id).as_str().into(),
            transaction_uuid: "546514d4-9cb6-41c9-88ca-ccd4c130c525".into(),
            payload: Some(vec![b'x'; 200]),
            ..Message::default()
        };
        let mut body = Vec::new();
        message.as_ref().encode_v3(&mut body);
        let head = format!(
            "POST /api/v2/device/send HTTP/1.1\r\nHost: t\r\nContent-Type: application/msgpack\r\n\
             Authorization: Basic {}\r\nContent-Length: {}\r\n\r\n",
            STANDARD.encode(CREDENTIALS),
            body.len()
        );
        let stream = connected(gateway);
        Self { stream, received: Vec::new(), request: [head.into_bytes(), body].concat() }
    }

    pub(crate) fn send(&mut self) {
        self.stream.write_all(&self.request).expect("is sent");
    }

    /// Waits for the device's response.
    pub(crate) fn receive(&mut self) {
        let body = read_message(&mut self.stream, &mut self.received).expect("a response");
        let response = MessageRef::decode_v3(&body).expect("the device's response");
        assert_eq!(response.payload.map(<[u8]>::len), Some(200));
    }
}
