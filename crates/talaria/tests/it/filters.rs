//! A gateway with filters on its Kafka routes, over real sockets: a configuration file, two devices, a Kafka in the process.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::SinkExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wrp::{Message, MessageRef, MessageType, Qos};
use wrpkafka::mock::{MockKafka, MockRecord};

use crate::support::eventually;
use crate::support::process::GatewayProcess;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The events of devices whose firmware is released and whose slot is `b`, which is a convey key that no event carries;
/// each type in a topic of its own, with a header for each metadata entry.
const CONFIGURATION: &str = r#"
kafka:
  enabled: true
  brokers: ["BROKERS"]
  initialDynamicConfig:
    topicMap:
      - pattern: "device-status"
        topic: wrp-events
      - pattern: "*"
        topicTemplate: "wrp-{event_type}"
        allowedTopics: [wrp-reboot, wrp-iot]
        filter:
          allow: [{key: convey/slot, is: b}]
          deny: [{key: firmware, prefix: TEST_}]
    headers:
      meta-*: wrp.Metadata.*
"#;

struct Device(WebSocketStream<MaybeTlsStream<TcpStream>>, &'static str);

impl Device {
    async fn connect(gateway: SocketAddr, id: &'static str, convey: &str) -> Self {
        let mut request = format!("ws://{gateway}/api/v2/device").into_client_request().unwrap();
        request.headers_mut().insert("X-Webpa-Device-Name", id.parse().unwrap());
        request.headers_mut().insert("X-Webpa-Convey", STANDARD.encode(convey).parse().unwrap());
        let (socket, _) = Box::pin(tokio_tungstenite::connect_async(request)).await.unwrap();
        Self(socket, id)
    }

    async fn send(&mut self, event_type: &str) {
        let message = Message {
            msg_type: MessageType::SIMPLE_EVENT,
            source: self.1.into(),
            dest: format!("event:{event_type}/{}", self.1).as_str().into(),
            metadata: Some([("/model", "X1")].into()),
            qos: Qos(50),
            ..Message::default()
        };
        let mut frame = Vec::new();
        message.as_ref().encode_v3(&mut frame);
        self.0.send(Frame::binary(frame)).await.unwrap();
    }
}

fn only(kafka: &MockKafka, topic: &str) -> MockRecord {
    let mut records = kafka.records(topic, 1, PATIENCE).unwrap();
    records.pop().unwrap()
}

// Reading a topic blocks its thread.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_devices_the_one_that_a_filter_turns_away_is_not_in_kafka_and_is_counted() {
    let kafka = MockKafka::start(1).unwrap();
    for topic in ["wrp-reboot", "wrp-iot", "wrp-secrets"] {
        kafka.create_topic(topic, 1).unwrap();
    }
    let mut gateway = GatewayProcess::start(&CONFIGURATION.replace("BROKERS", &kafka.brokers())).await;
    let primary = gateway.primary();

    let mut released =
        Device::connect(primary, "mac:000000000001", r#"{"slot":"b","fw-name":"PROD_1"}"#).await;
    let mut tested = Device::connect(primary, "mac:000000000002", r#"{"slot":"b","fw-name":"TEST_1"}"#).await;
    let mut elsewhere = Device::connect(primary, "mac:000000000003", r#"{"slot":"a"}"#).await;
    for device in [&mut tested, &mut elsewhere, &mut released] {
        device.send("reboot").await;
    }
    released.send("secrets").await; // a topic that exists, and that no device may choose
    released.send("iot").await;

    let reboot = only(&kafka, "wrp-reboot");
    assert_eq!(reboot.key.as_deref(), Some(&b"mac:000000000001"[..]));
    assert_eq!(only(&kafka, "wrp-iot").key.as_deref(), Some(&b"mac:000000000001"[..]));
    let header = |name: &str| {
        let found = reboot.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    assert_eq!(header("meta-model").as_deref(), Some("X1"));
    assert_eq!(header("meta-hw-deviceid").as_deref(), Some("mac:000000000001"));
    let (message, _) = MessageRef::decode_v5(&reboot.value).unwrap();
    assert!(message.metadata("/slot").is_none(), "an event does not carry what only a filter asks for");

    drop((released, tested, elsewhere));
    // Of each device one event, and its online and offline events, which the second route matches as well.
    let lines = [
        r#"kafka_filtered_messages_total{rule="allow",topic="wrp-{event_type}"} 3"#,
        r#"kafka_filtered_messages_total{rule="deny",topic="wrp-{event_type}"} 3"#,
        r#"kafka_filtered_messages_total{rule="allowedTopics",topic="wrp-{event_type}"} 3"#,
    ];
    eventually("the metrics count what was filtered", PATIENCE, async || {
        let text = gateway.metrics().await;
        lines.iter().all(|line| text.lines().any(|there| there == *line))
    })
    .await;
    gateway.signal("-TERM");
    assert!(gateway.ended().await.success());
    gateway.logged("stopped, everything was delivered").await;
    assert_eq!(kafka.records("wrp-reboot", 2, Duration::from_secs(1)).unwrap().len(), 1);
    assert!(kafka.records("wrp-secrets", 1, Duration::from_secs(1)).unwrap().is_empty());
}
