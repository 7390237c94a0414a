//! The whole metrics page of a gateway to which everything has happened that it counts: which families it has, of which types,
//! with which labels and buckets (contract §10).
//!
//! The golden file is what the contract's tables list, which a rule of `crates/tidy` holds (`rules/metrics.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::SinkExt as _;
use rustls::version::TLS13;
use serde_json::json;
use talaria::trace::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message as Frame;
use wrp::{Message, MessageType};
use wrpkafka::mock::{MockKafka, MockRegistry};

use crate::support::certificates::Authority;
use crate::support::collector::{Behaviour, Collector};
use crate::support::consul::{Consul, Mood};
use crate::support::device::Device;
use crate::support::event::event;
use crate::support::eventually;
use crate::support::fleet::{self, Place};
use crate::support::gateway::{question, send};
use crate::support::http::request;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;
use crate::support::tokens::{Answer, KeyServer, Signer};

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

const GOLDEN: &str = "../../testdata/metrics/families.txt";

/// Messages to each of the sinks at a time.
const FLOOD: usize = 60;

/// A binary frame of one byte that is not masked.
const UNMASKED: [u8; 3] = [0x82, 0x01, 0x00];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_family_has_the_type_labels_and_buckets_that_the_contract_lists() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    world.discover(&gateway).await;
    let known = world.connect(&gateway).await;
    world.send(&gateway, &known).await;
    world.misbehave(&gateway).await;
    world.overload(&gateway, &known).await;
    world.operate(&gateway).await;

    let golden = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN)).unwrap();
    let golden: BTreeSet<&str> = golden.lines().collect();
    let mut difference = String::new();
    eventually("the page has what the contract lists", PATIENCE, async || {
        let page = families(&gateway.metrics().await);
        let page: BTreeSet<&str> = page.iter().map(String::as_str).collect();
        let missing = golden.difference(&page).map(|line| format!("- {line}\n"));
        let unlisted = page.difference(&golden).map(|line| format!("+ {line}\n"));
        let now: String = missing.chain(unlisted).collect();
        if now != difference {
            println!("compared with {GOLDEN}:\n{now}");
            difference = now;
        }
        difference.is_empty()
    })
    .await;
}

/// Each family of a page as the golden file has it: type, name, labels and the buckets of a histogram.
///
/// # Panics
/// When the series of a family differ in their labels or buckets.
fn families(page: &str) -> Vec<String> {
    let mut families = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        // By its labels, the bounds of each series.
        let mut series: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut shapes = BTreeSet::new();
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            let (metric, labels) = read(sample);
            shapes.insert(names(&labels));
            let key = format!("{:?}", labels.iter().filter(|(name, _)| name != "le").collect::<Vec<_>>());
            let bounds = series.entry(key).or_default();
            if let Some((_, bound)) = labels.iter().find(|(name, _)| name == "le") {
                assert_eq!(metric, format!("{name}_bucket"));
                bounds.push(bound.clone());
            }
        }
        let bounds: BTreeSet<Vec<String>> = series.into_values().collect();
        assert_eq!((shapes.len(), bounds.len()), (1, 1), "{name}: {shapes:?} {bounds:?}");
        let bounds = bounds.into_iter().flatten().filter(|bound| bound != "+Inf");
        let bounds: String = bounds.map(|bound| format!(" {bound}")).collect();
        families.push(format!("{kind} {name} {{{}}}{bounds}", shapes.first().unwrap()));
    }
    families
}

/// The name of a sample and its labels.
fn read(sample: &str) -> (&str, Vec<(String, String)>) {
    let Some((name, rest)) = sample.split_once('{') else {
        return (sample.split(' ').next().unwrap(), Vec::new());
    };
    let labels = rest.rsplit_once("\"}").unwrap().0.split("\",");
    let labels = labels.map(|label| label.split_once("=\"").unwrap());
    (name, labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The names of labels without that of buckets.
fn names(labels: &[(String, String)]) -> String {
    let names = labels.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "le");
    names.collect::<Vec<_>>().join(",")
}

/// Everything around the gateway.
struct World {
    place: Place,
    authority: Authority,
    signer: Signer,
    keys: KeyServer,
    kafka: MockKafka,
    registry: MockRegistry,
    consul: Consul,
    collector: Collector,
    receiver: Receiver,
    /// Accepts connections, in its backlog, and never answers.
    hangs: TcpListener,
}

impl World {
    async fn start() -> Self {
        let signer = Signer::new("ES256");
        let jwk = signer.jwk("known");
        // The first list of keys is whole, all others fail.
        let lists = AtomicUsize::new(0);
        let keys = KeyServer::start(move |path| match path {
            "list" if lists.fetch_add(1, Ordering::Relaxed) == 0 => Answer::json(&json!({"keys": [jwk]})),
            "single" => Answer::json(&jwk),
            _ => Answer::status("500 Internal Server Error"),
        });
        let kafka = MockKafka::start(1).unwrap();
        for topic in ["wrp-dead", "wrp-hangs"] {
            kafka.create_topic(topic, 1).unwrap();
        }
        Self {
            place: Place::of(1),
            authority: Authority::new(),
            signer,
            keys,
            kafka,
            registry: MockRegistry::start().unwrap(),
            consul: Consul::start().await,
            collector: Collector::start(Protocol::Grpc, Behaviour::Takes).await,
            receiver: Receiver::start().await,
            hangs: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    async fn gateway(&self) -> GatewayProcess {
        let pair = self.authority.pair("server", &["localhost"]);
        let (host, port) = (self.place.primary.ip(), self.place.primary.port());
        let sections = format!(
            "
alternate: {{address: '127.0.0.1:0', certificateFile: ['{certificate}'], keyFile: ['{key}'], maxConnections: 1}}
inbound: {{authKey: dXNlcjpwYXNz, timeout: 500ms}}
jwtValidator:
  Config:
    Resolve: {{Template: '{template}'}}
    Refresh: {{Sources: [{{uri: '{list}', interval: 200ms, minInterval: 200ms}}]}}
deviceAccessCheck:
  type: monitor
  checks: [{{name: partner, deviceCredentialPath: partner-id, inputValue: p, op: eq}}]
device:
  manager:
    refusal: {{connectsPerId: 3}}
    rate: {{messagesPerSecond: 1000, messagesBurst: 100}}
  rehasher: {{rate: 50}}
  outbound:
    outboundQueueSize: 20
    requestTimeout: 2s
    workerPoolSize: 10
    eventEndpoints: {{default: '{receiver}', hangs: 'http://{hangs}/'}}
service:
  defaultScheme: http
  consul:
    client: {{address: '{consul}', waitTime: 1s}}
    registrations: [{{name: talaria, address: '{host}', port: {port}, checks: [{{checkID: c, ttl: 10s}}]}}]
    watches: [{{service: talaria}}]
kafka:
  enabled: true
  brokers: ['{brokers}']
  schemaRegistry: {{urls: ['{registry}']}}
  deadLetter: {{topic: wrp-dead}}
  maxBufferedRecords: 20
  initialDynamicConfig:
    topicMap:
    - {{pattern: sensor-report, topic: wrp-events}}
    - {{pattern: hangs, topic: wrp-hangs}}
    - {{pattern: filtered, topic: wrp-events, filter: {{allow: [{{key: partner-id, is: another}}]}}}}
    batchMaxBytes: 20000
{tracing}",
            certificate = pair.certificate.display(),
            key = pair.key.display(),
            template = self.keys.template(),
            list = self.keys.url("/keys/list"),
            receiver = self.receiver.url(),
            hangs = self.hangs.local_addr().unwrap(),
            consul = self.consul.address(),
            brokers = self.kafka.brokers(),
            registry = self.registry.url(),
            tracing = self.collector.section("parentBased: honor, noParent: always"),
        );
        self.place.start(&sections).await
    }

    /// Instances that come and go, an error.
    async fn discover(&self, gateway: &GatewayProcess) {
        fleet::knows(gateway, "talaria", 1).await;
        self.consul.set_mood(Mood::Empty);
        eventually("all devices were disconnected", PATIENCE, async || {
            gateway.metric("talaria_talaria_rehash_disconnect_all_count", &[]).await > 0.0
        })
        .await;
        self.consul.set_mood(Mood::Down);
        eventually("an error is counted", PATIENCE, async || {
            gateway.metric("talaria_talaria_sd_error_count", &[]).await > 0.0
        })
        .await;
        self.consul.set_mood(Mood::Well);
        fleet::knows(gateway, "talaria", 1).await;
    }

    fn bearer(&self, kid: &str) -> [(&'static str, String); 1] {
        let token =
            self.signer.token(&json!({"alg": "ES256", "kid": kid}), &json!({"sub": "x", "partner-id": "p"}));
        [("authorization", format!("Bearer {token}"))]
    }

    /// Devices with and without tokens, TLS, a takeover, an id that connects too often.
    async fn connect(&self, gateway: &GatewayProcess) -> Device {
        let primary = gateway.primary();
        let known = Device::connect_with(primary, "mac:000000000001", &self.bearer("single")).await;
        let refused = |headers: String| {
            format!(
                "GET /api/v2/device HTTP/1.1\r\nHost: t\r\nX-Webpa-Device-Name: mac:000000000001\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
            )
        };
        let [(_, unknown)] = self.bearer("unknown");
        assert_ne!(request(primary, refused(format!("Authorization: {unknown}\r\n"))).await.status, 101);
        assert_eq!(
            request(primary, refused(String::new())).await.status,
            403,
            "the one with a token answers"
        );
        for _ in 0..4 {
            _ = Device::try_connect(primary, "mac:000000000002").await;
        }
        let started = gateway.log_lines("starting server");
        let alternate = started.iter().find(|line| line["server"] == "alternate").unwrap();
        let alternate: SocketAddr = alternate["address"].as_str().unwrap().parse().unwrap();
        let client = TlsConnector::from(Arc::new(self.authority.client(None, &[&TLS13])));
        let socket = TcpStream::connect(alternate).await.unwrap();
        let _connected = client.connect("localhost".try_into().unwrap(), socket).await.unwrap();
        let mut rejected = TcpStream::connect(alternate).await.unwrap();
        assert_eq!(rejected.read(&mut [0]).await.unwrap_or(0), 0, "there are too many connections");
        known
    }

    /// Events of all kinds, and requests to devices.
    async fn send(&self, gateway: &GatewayProcess, known: &Device) {
        let device = Device::connect(gateway.primary(), "mac:000000000003").await;
        device.send(event(device.id(), 1, 80));
        device.send(Message { payload: Some(vec![0; 60_000]), ..event(device.id(), 2, 80) });
        device.send(Message { dest: "event:filtered".into(), ..event(device.id(), 3, 80) });
        device.send(Message { msg_type: MessageType::SIMPLE_REQUEST_RESPONSE, ..event(device.id(), 4, 80) });
        eventually("acknowledgements", PATIENCE, async || device.acks().len() == 3).await;
        let headers = "Authorization: Basic dXNlcjpwYXNz\r\nContent-Type: application/msgpack\r\n";
        let mut body = Vec::new();
        Message { dest: known.id().into(), ..question() }.as_ref().encode_v3(&mut body);
        assert_eq!(request(gateway.primary(), send(headers, &body)).await.status, 504, "it does not answer");
    }

    /// A frame that is no message, and one that is no frame.
    async fn misbehave(&self, gateway: &GatewayProcess) {
        let mut device = gateway.device("mac:000000000005").await;
        device.send(Frame::binary(vec![0xc1])).await.unwrap();
        device.get_mut().write_all(&UNMASKED).await.unwrap();
    }

    /// More messages than the device may send, while Kafka is away and a receiver hangs.
    async fn overload(&self, gateway: &GatewayProcess, device: &Device) {
        eventually("the dead letter was delivered", PATIENCE, async || {
            gateway.metric("kafka_dead_letters_total", &[]).await > 0.0
        })
        .await;
        self.kafka.broker_down().unwrap();
        let leaving = Device::connect(gateway.primary(), "mac:000000000006").await;
        leaving.send(event(leaving.id(), 1, 80));
        leaving.close();
        eventually("there is no room left, and the device has to wait", PATIENCE, async || {
            for number in 0..FLOOD {
                device.send(event(device.id(), number, 10));
                device.send(Message { dest: "event:hangs".into(), ..event(device.id(), number, 10) });
            }
            gateway.metric("talaria_talaria_device_waits_for_room_total", &[]).await > 0.0
        })
        .await;
        self.kafka.broker_up().unwrap();
    }

    /// A reload, and what exists only with a control server.
    async fn operate(&self, gateway: &GatewayProcess) {
        gateway.signal("-HUP");
        eventually("the reload is counted", PATIENCE, async || {
            gateway.metric("talaria_talaria_config_reloads_total", &[]).await > 0.0
        })
        .await;
    }
}
