//! A gateway in this process, without sinks: its primary server, the requests to it, and devices that are connected to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use talaria::api::{self, Api, ApiMetrics};
use talaria::auth::{BasicKeys, DeviceAuth, DeviceConfig, ServiceAuth, attempts, services};
use talaria::device::{self, Device, Dropped, Events, Manager};
use talaria::primary::{DeviceConnector, Primary};
use talaria::server::{Address, Config, ConnectionMetrics, Identity, RunningServer, Server};
use talaria::telemetry::metrics::Metrics;
use talaria_protocol::session::CloseReason;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wrp::{Message, MessageRef, MessageType};

use crate::support::http::{Response, request};

pub(crate) const MAC: &str = "mac:112233445566";
pub(crate) const UUID: &str = "546514d4-9cb6-41c9-88ca-ccd4c130c525";

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What the gateway says of its devices, in its order.
pub(crate) enum DeviceEvent {
    Online(Arc<Device>),
    /// With the reason.
    Offline(String),
    Message(Box<Message>),
}

struct Recorder(mpsc::UnboundedSender<DeviceEvent>);

impl Recorder {
    fn record(&self, event: DeviceEvent) {
        // A test that has seen enough may have ended.
        _ = self.0.send(event);
    }
}

impl Events for Recorder {
    fn online(&self, device: &Arc<Device>) {
        self.record(DeviceEvent::Online(Arc::clone(device)));
    }

    fn offline(&self, _: &Arc<Device>, reason: &CloseReason) {
        self.record(DeviceEvent::Offline(reason.to_string()));
    }

    fn message(&self, _: &Arc<Device>, message: &mut MessageRef<'_>) {
        self.record(DeviceEvent::Message(Box::new(message.to_owned())));
    }

    fn dropped(&self, _: &Arc<Device>, _: &MessageRef<'_>, _: Dropped) {}
}

/// The primary server in this process.
pub(crate) struct Gateway {
    pub(crate) server: RunningServer,
    pub(crate) manager: Arc<Manager>,
    pub(crate) metrics: Metrics,
    events: mpsc::UnboundedReceiver<DeviceEvent>,
}

impl Gateway {
    pub(crate) fn open() -> Self {
        Self::with(api::Config::default())
    }

    /// Takes `user:pass`.
    pub(crate) fn locked() -> Self {
        let keys = BasicKeys::parse([STANDARD.encode("user:pass")]).unwrap();
        // The tests try more wrong keys than any address may.
        let attempts = attempts::Config { failures: None, ..attempts::Config::default() };
        let auth = services::Config { keys, attempts, ..services::Config::default() };
        Self::with(api::Config { auth, ..api::Config::default() })
    }

    pub(crate) fn with(config: api::Config) -> Self {
        Self::with_tokens(config, &DeviceConfig::default())
    }

    /// Checks the tokens of devices.
    pub(crate) fn with_tokens(config: api::Config, devices: &DeviceConfig) -> Self {
        Self::start(any_port(), device::Config::default(), config, devices)
    }

    /// Whose devices are configured so.
    pub(crate) fn of_devices(devices: device::Config) -> Self {
        Self::start(any_port(), devices, api::Config::default(), &DeviceConfig::default())
    }

    /// Whose devices are configured so and whose tokens are checked.
    pub(crate) fn of_devices_with_tokens(devices: device::Config, auth: &DeviceConfig) -> Self {
        Self::start(any_port(), devices, api::Config::default(), auth)
    }

    /// Behind a server of this configuration.
    pub(crate) fn behind(server: Config, config: api::Config, devices: &DeviceConfig) -> Self {
        Self::start(server, device::Config::default(), config, devices)
    }

    fn start(server: Config, devices: device::Config, config: api::Config, auth: &DeviceConfig) -> Self {
        let metrics = Metrics::default();
        let (sender, events) = mpsc::unbounded_channel();
        let manager = Manager::new(devices, Arc::new(Recorder(sender)), &metrics);
        let device_auth = DeviceAuth::start(auth, &metrics);
        let auth = ServiceAuth::start(&config.auth, &metrics);
        let api = Api::new(config, auth, Arc::clone(manager.registry()), ApiMetrics::register(&metrics));
        let server =
            Server::bind("primary", server, identity(), &ConnectionMetrics::register(&metrics)).unwrap();
        let devices = DeviceConnector::new(Arc::clone(&manager), device_auth, Vec::new());
        Self { server: server.start(Primary::new(devices, api)), manager, metrics, events }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub(crate) async fn ask(&self, bytes: impl AsRef<[u8]>) -> Response {
        request(self.address(), bytes).await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n")).await
    }

    pub(crate) async fn device(&mut self, name: &str) -> Socket {
        let mut request = format!("ws://{}/api/v2/device", self.address()).into_client_request().unwrap();
        request.headers_mut().insert("X-Webpa-Device-Name", name.parse().unwrap());
        let (socket, _) = Box::pin(tokio_tungstenite::connect_async(request)).await.unwrap();
        self.registered().await;
        socket
    }

    /// Waits until the next device is registered, which is after its 101, whatever others do meanwhile.
    pub(crate) async fn registered(&mut self) -> Arc<Device> {
        loop {
            if let DeviceEvent::Online(device) = self.next().await {
                return device;
            }
        }
    }

    /// What happens next, which is that a device comes online.
    pub(crate) async fn online(&mut self) -> Arc<Device> {
        let DeviceEvent::Online(device) = self.next().await else { panic!("not an online event") };
        device
    }

    /// What happens next, which is that a device goes offline, for this reason.
    pub(crate) async fn offline(&mut self) -> String {
        let DeviceEvent::Offline(reason) = self.next().await else { panic!("not an offline event") };
        reason
    }

    /// The reason of the next device that goes offline, whatever others do meanwhile.
    pub(crate) async fn offline_reason(&mut self) -> String {
        loop {
            if let DeviceEvent::Offline(reason) = self.next().await {
                return reason;
            }
        }
    }

    /// What happens next, which is a message of a device.
    pub(crate) async fn message(&mut self) -> Message {
        let DeviceEvent::Message(message) = self.next().await else { panic!("not a message") };
        *message
    }

    async fn next(&mut self) -> DeviceEvent {
        let event = timeout(Duration::from_secs(20), self.events.recv()).await.expect("something happens");
        event.expect("the gateway runs")
    }

    pub(crate) fn metric(&self, series: &str) -> f64 {
        metric(&self.metrics, series)
    }
}

/// A server's configuration on a port that the system chooses.
pub(crate) fn any_port() -> Config {
    Config { address: Address::loopback(0), ..Config::on_port(0) }
}

/// The identity headers of every gateway and server of the tests.
pub(crate) fn identity() -> Identity {
    Identity::new("1.2", "host", "east", "mint", jiff::Timestamp::UNIX_EPOCH).unwrap()
}

/// The value of a series with its labels: `name{label="value"}`; 0 as long as there is none.
pub(crate) fn metric(metrics: &Metrics, series: &str) -> f64 {
    let text = String::from_utf8(metrics.gather_text()).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

pub(crate) fn basic(text: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(text))
}

/// A request to send this body; `headers` end with a line feed each.
pub(crate) fn send(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("POST /api/v2/device/send HTTP/1.1\r\nHost: t\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

pub(crate) fn event() -> Message {
    Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "dns:api".into(),
        dest: MAC.into(),
        ..Message::default()
    }
}

pub(crate) fn question() -> Message {
    Message {
        msg_type: MessageType::SIMPLE_REQUEST_RESPONSE,
        source: "dns:api".into(),
        dest: format!("{MAC}/config").as_str().into(),
        transaction_uuid: UUID.into(),
        payload: Some(b"what?".to_vec()),
        ..Message::default()
    }
}

pub(crate) fn msgpack(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    message.as_ref().encode_v3(&mut frame);
    frame
}

pub(crate) fn json(message: &Message) -> Vec<u8> {
    let mut text = Vec::new();
    wrp::json::encode_v3(&message.as_ref(), &mut text);
    text
}

/// The next WRP message that the device gets.
pub(crate) async fn received(device: &mut Socket) -> Vec<u8> {
    loop {
        if let Frame::Binary(frame) = device.next().await.unwrap().unwrap() {
            return frame.to_vec();
        }
    }
}

/// Answers the next request with its own payload, turned round.
pub(crate) async fn answer(device: &mut Socket) {
    let frame = received(device).await;
    let mut answer = MessageRef::decode_v3(&frame).unwrap().to_owned();
    std::mem::swap(&mut answer.source, &mut answer.dest);
    if let Some(payload) = &mut answer.payload {
        payload.reverse();
    }
    device.send(Frame::binary(msgpack(&answer))).await.unwrap();
}
