//! The labels of all metrics after strangers have chosen everything that they can choose (contract §14.24).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use wrp::{Message, MessageType, Qos};
use wrpkafka::mock::MockKafka;

use crate::support::device::Device;
use crate::support::eventually;
use crate::support::http::request;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;
use crate::support::tokens::{KeyServer, Signer};

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than the key ids that have series of their own.
const STRANGERS: usize = 80;

/// Every text that a stranger chooses contains it, and is longer than a label may be.
fn stranger(what: &str, number: usize) -> String {
    format!("stranger-{what}-{number}-{}", "x".repeat(80))
}

/// A device that chooses everything: id, convey, token, and an event whose acknowledgement it wants.
async fn connect(gateway: &GatewayProcess, signer: &Signer, number: usize) -> Device {
    let claims =
        json!({"sub": stranger("sub", number), "partner-id": stranger("partner", number), "trust": number});
    let token = signer.token(&json!({"alg": "ES256", "kid": stranger("kid", number)}), &claims);
    let convey =
        json!({"hw-model": stranger("model", number), "fw-name": stranger("firmware", number)}).to_string();
    let headers = [
        ("authorization", format!("Bearer {token}")),
        ("x-webpa-convey", STANDARD.encode(convey)),
        ("user-agent", stranger("agent", number)),
    ];
    let id = format!("uuid:{}", stranger("id", number));
    let device = Device::connect_with(gateway.primary(), &id, &headers).await;
    for dest in [
        format!("event:{}", stranger("type", number)),
        format!("dns:{}", stranger("host", number)),
        format!("dns:{}://{}", stranger("scheme", number), stranger("host", number)),
        stranger("dest", number),
    ] {
        device.send(Message {
            msg_type: MessageType::SIMPLE_EVENT,
            source: id.as_str().into(),
            dest: dest.as_str().into(),
            transaction_uuid: stranger("uuid", number).as_str().into(),
            content_type: stranger("content", number).as_str().into(),
            payload: Some(b"x".to_vec()),
            qos: Qos(80),
            ..Message::default()
        });
    }
    device
}

/// The values of each label that a stranger chose, by family and label.
fn chosen(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut chosen: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((family, labels)) = line.split_once('{') else { continue };
        for label in labels.split("\",").filter(|label| label.contains("stranger")) {
            let (name, value) = label.split_once("=\"").unwrap();
            let value = value.split('"').next().unwrap().to_owned();
            chosen.entry(format!("{family} {name}")).or_default().insert(value);
        }
    }
    chosen
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_choose_is_cut_bounded_and_gone_with_them() {
    let (signer, kafka, receiver) =
        (Signer::new("ES256"), MockKafka::start(1).unwrap(), Receiver::start().await);
    let keys = KeyServer::of(&signer);
    let gateway = GatewayProcess::start(&format!(
        "
jwtValidator: {{Config: {{Resolve: {{Template: '{}', MaxKeys: 2000}}}}}}
device: {{outbound: {{eventEndpoints: {{default: '{}'}}}}}}
kafka:
  enabled: true
  brokers: ['{}']
  initialDynamicConfig:
    topicMap:
    - {{pattern: '*', topic: wrp-events}}
    - {{pattern: '*', topicTemplate: 'wrp-{{event_type}}', allowedTopics: [wrp-a], fallbackTopic: wrp-events}}
",
        keys.template(),
        receiver.url(),
        kafka.brokers()
    ))
    .await;

    let mut devices = Vec::new();
    for number in 0..STRANGERS {
        devices.push(connect(&gateway, &signer, number).await);
    }
    for device in &devices {
        eventually("the acknowledgements", PATIENCE, async || device.acks().len() == 4).await;
    }
    for line in [
        format!("{} /api/v2/devices", stranger("method", 0)),
        format!("GET /{}", stranger("path", 0)),
        format!("GET /api/v2/device/uuid:{}/stat", stranger("id", 0)),
    ] {
        request(gateway.primary(), format!("{line} HTTP/1.1\r\nHost: stranger-host\r\n\r\n")).await;
    }

    let found = chosen(&gateway.metrics().await);
    let expected: BTreeMap<&str, usize> = [
        ("keys_resolve_total keyID", 64),
        ("outbound_ack_success partner_id", STRANGERS),
        ("outbound_ack_success_latency_seconds_bucket partner_id", STRANGERS),
        ("outbound_ack_success_latency_seconds_count partner_id", STRANGERS),
        ("outbound_ack_success_latency_seconds_sum partner_id", STRANGERS),
        ("talaria_talaria_hardware_model firmware", STRANGERS),
        ("talaria_talaria_hardware_model model", STRANGERS),
        ("talaria_talaria_hardware_model partnerid", STRANGERS),
    ]
    .into();
    let counts: BTreeMap<&str, usize> =
        found.iter().map(|(label, values)| (label.as_str(), values.len())).collect();
    assert_eq!(counts, expected);
    for (label, values) in &found {
        assert!(values.iter().all(|value| value.len() <= 64), "{label}: {values:?}");
    }
    assert!(gateway.metric("keys_resolve_total", &["keyID=\"other\""]).await > 0.0);

    drop(devices);
    eventually("no series of strangers", PATIENCE, async || {
        let left = chosen(&gateway.metrics().await);
        // Keys are the issuer's, and are kept for further devices.
        left.keys().all(|label| label == "keys_resolve_total keyID")
    })
    .await;
}
