//! A gateway with filters on its Kafka routes, over real sockets: a configuration file, two devices, a Kafka in the process.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::SinkExt as _;
use talaria::config::{self, Sources};
use talaria::gateway::Gateway;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wrp::{Message, MessageRef, MessageType, Qos};
use wrpkafka::mock::{MockKafka, MockRecord};

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The events of devices whose firmware is released and whose slot is `b`, which is a convey key that no event carries;
/// each type in a topic of its own, with a header for each metadata entry.
const CONFIGURATION: &str = r#"
primary: {address: "127.0.0.1:0"}
health: {address: "127.0.0.1:0"}
metric: {address: "127.0.0.1:0"}
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
    async fn connect(gateway: SocketAddr, id: &'static str, convey: &str) -> Device {
        let mut request = format!("ws://{gateway}/api/v2/device").into_client_request().unwrap();
        request.headers_mut().insert("X-Webpa-Device-Name", id.parse().unwrap());
        request.headers_mut().insert("X-Webpa-Convey", STANDARD.encode(convey).parse().unwrap());
        let (socket, _) = Box::pin(tokio_tungstenite::connect_async(request)).await.unwrap();
        Device(socket, id)
    }

    async fn send(&mut self, event_type: &str) {
        let message = Message {
            msg_type: MessageType::SIMPLE_EVENT,
            source: self.1.into(),
            dest: format!("event:{event_type}/{}", self.1).as_str().into(),
            metadata: Some([("/model".into(), "X1".into())].into()),
            qos: Qos(50),
            ..Message::default()
        };
        let mut frame = Vec::new();
        message.as_ref().encode_v3(&mut frame);
        self.0.send(Frame::binary(frame)).await.unwrap();
    }
}

fn load(kafka: &MockKafka, folder: &Path) -> config::Config {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join("talaria.yaml");
    std::fs::write(&file, CONFIGURATION.replace("BROKERS", &kafka.brokers())).unwrap();
    let file = Some(file.to_str().unwrap().to_owned());
    config::load(&Sources { file, ..Sources::default() }).unwrap().config
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
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("filters-{}", std::process::id()));
    let bound = Gateway::build(load(&kafka, &folder)).unwrap().bind().unwrap();
    let (primary, metrics) = (bound.addresses().primary, bound.gateway().metrics().clone());
    let (stop, stopping) = oneshot::channel::<()>();
    let running = tokio::spawn(bound.run(async { drop(stopping.await) }));

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
    assert!(message.metadata("/slot").is_none(), "what a filter asks for is told to nobody");

    drop((released, tested, elsewhere, stop));
    assert_eq!(running.await.unwrap().unwrap(), Default::default(), "nothing is left behind");
    let text = String::from_utf8(metrics.gather_text()).unwrap();
    // Of each device one event, and the two that it came and went, which the second route matches as well.
    for line in [
        r#"kafka_filtered_messages_total{rule="allow",topic="wrp-{event_type}"} 3"#,
        r#"kafka_filtered_messages_total{rule="deny",topic="wrp-{event_type}"} 3"#,
        r#"kafka_filtered_messages_total{rule="allowedTopics",topic="wrp-{event_type}"} 3"#,
    ] {
        assert!(text.lines().any(|there| there == line), "no {line} in\n{text}");
    }
    assert_eq!(kafka.records("wrp-reboot", 2, Duration::from_secs(1)).unwrap().len(), 1);
    assert!(kafka.records("wrp-secrets", 1, Duration::from_secs(1)).unwrap().is_empty());
    std::fs::remove_dir_all(folder).unwrap();
}
