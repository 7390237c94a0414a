//! The health and the metric servers (contract §10.1, §10.2).

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use talaria::device::DeviceMetrics;
use talaria::observe::{HealthPage, MetricsPage};
use talaria::server::{ConnectionMetrics, Handler, Server};
use talaria::telemetry::health::Health;
use talaria::telemetry::metrics::Metrics;
use wrp::Message;
use wrpkafka::mock::MockKafka;

use crate::support::device::Device;
use crate::support::event::event;
use crate::support::eventually;
use crate::support::gateway::{any_port, identity};
use crate::support::http::{Response, request};
use crate::support::process::GatewayProcess;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

async fn ask(handler: impl Handler, line: &str) -> Response {
    ask_with(handler, line, "").await
}

/// The same with these further header lines.
async fn ask_with(handler: impl Handler, line: &str, headers: &str) -> Response {
    let connections = ConnectionMetrics::register(&Metrics::default());
    let server = Server::bind("health", any_port(), identity(), &connections).unwrap().start(handler);
    request(server.local_addr(), format!("{line} HTTP/1.1\r\nHost: t\r\n{headers}\r\n")).await
}

fn health(devices: &DeviceMetrics) -> HealthPage {
    let health = Health::new(devices.health_sources(Arc::default()));
    HealthPage::new(Arc::new(health), Arc::default())
}

#[tokio::test]
async fn health_is_a_json_object_of_counters_that_count_for_any_method() {
    let devices = DeviceMetrics::register(&Metrics::default());
    devices.device_count.set(3);
    devices.pong_count.inc_by(5);
    for method in ["GET", "POST"] {
        let response = ask(health(&devices), &format!("{method} /health")).await;
        assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
        assert_eq!(response.header("x-talaria-server"), Some("host"));
        assert_eq!(response.json()["DeviceCount"], 3);
        assert_eq!(response.json()["TotalPongMessagesReceived"], 5);
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let metrics = Arc::new(Metrics::default());
    DeviceMetrics::register(&metrics).device_count.set(3);
    let response = ask(MetricsPage(metrics), "GET /metrics").await;
    let content_type = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    assert_eq!((response.status, response.header("content-type")), (200, Some(content_type)));
    assert!(response.text().contains("\ntalaria_talaria_device_count 3\n"));
    assert!(response.text().contains("\ntalaria_process_resident_memory_bytes "));
}

/// contract §10.2, §14.30
#[tokio::test]
async fn metrics_are_gzipped_for_a_client_that_accepts_it() {
    let metrics = Arc::new(Metrics::default());
    DeviceMetrics::register(&metrics).device_count.set(3);
    let plain = ask(MetricsPage(Arc::clone(&metrics)), "GET /metrics").await;
    assert_eq!(
        (plain.header("content-encoding"), plain.header("vary")),
        (None, Some("Accept, Accept-Encoding"))
    );

    let accepted = "Accept-Encoding: deflate;q=0.5, gzip;q=0.9\r\n";
    let zipped = ask_with(MetricsPage(metrics), "GET /metrics", accepted).await;
    assert_eq!((zipped.status, zipped.header("content-encoding")), (200, Some("gzip")));
    assert_eq!(zipped.header("content-type"), plain.header("content-type"));
    let mut text = String::new();
    GzDecoder::new(&*zipped.body).read_to_string(&mut text).unwrap();
    assert!(text.contains("\ntalaria_talaria_device_count 3\n"), "{text}");
    assert!(zipped.body.len() < text.len() / 3, "{} of {}", zipped.body.len(), text.len());
}

#[tokio::test]
async fn each_server_has_its_own_paths() {
    let metrics = Arc::new(Metrics::default());
    let devices = DeviceMetrics::register(&metrics);
    assert_eq!(ask(health(&devices), "GET /metrics").await.status, 404);
    assert_eq!(ask(MetricsPage(metrics), "GET /health").await.status, 404);
}

/// What `/ready` answers: its status and its reasons.
async fn ready(gateway: &GatewayProcess) -> (u16, Vec<String>) {
    let line = "GET /ready HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    let response = request(gateway.health_address(), line).await;
    let answer = response.json();
    assert_eq!(answer["ready"], response.status == 200, "{answer}");
    let reasons = answer["reasons"].as_array().unwrap();
    (response.status, reasons.iter().map(|reason| reason.as_str().unwrap().to_owned()).collect())
}

/// contract §10.1
#[tokio::test(flavor = "multi_thread")]
async fn ready_waits_for_kafka_for_a_set_time_and_live_does_not() {
    let kafka = "kafka: {enabled: true, brokers: ['127.0.0.1:9']}\nshutdownTimeout: 0s\n";
    let gateway = GatewayProcess::start(kafka).await;
    assert_eq!(
        ready(&gateway).await,
        (503, vec!["no kafka broker has been reached since the start".to_owned()])
    );
    let live = request(gateway.health_address(), "GET /live HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!((live.status, live.text()), (200, r#"{"live":true}"#));
    drop(gateway);
    let gateway = GatewayProcess::start_in(kafka, &[("TALARIA_HEALTH_READYWITHIN", Path::new("1ms"))]).await;
    eventually("the gateway is ready without Kafka", PATIENCE, async || ready(&gateway).await.0 == 200).await;
}

/// contract §10.1
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_gate_and_a_stop_make_the_gateway_unready() {
    // The online event of a device waits for Kafka, so the stop takes all of its time.
    let sections = "control: {address: '127.0.0.1:0'}\nshutdownTimeout: 60s\n\
                    kafka: {enabled: true, brokers: ['127.0.0.1:9']}\n";
    let environment = [("TALARIA_HEALTH_READYWITHIN", Path::new("1ms"))];
    let mut gateway = GatewayProcess::start_in(sections, &environment).await;
    eventually("the gateway is ready", PATIENCE, async || ready(&gateway).await == (200, Vec::new())).await;
    for (open, expected) in
        [("false", (503, vec!["the gate is closed".to_owned()])), ("true", (200, Vec::new()))]
    {
        let line = format!(
            "PUT /api/v3/device/gate?open={open} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        );
        request(gateway.control(), line).await;
        assert_eq!(ready(&gateway).await, expected);
    }
    let _device = gateway.device("mac:000000000001").await;
    gateway.signal("-TERM");
    gateway.logged("exiting due to signal").await;
    eventually("the gateway says that it stops", PATIENCE, async || {
        ready(&gateway).await == (503, vec!["the gateway stops".to_owned()])
    })
    .await;
}

/// contract §10.8
#[tokio::test(flavor = "multi_thread")]
async fn the_compressed_bytes_of_a_topic_are_what_its_batches_take() {
    const PAYLOAD: usize = 50_000;
    let kafka = MockKafka::start(1).unwrap();
    let sections = format!(
        "kafka: {{enabled: true, brokers: ['{}'], initialDynamicConfig: {{compression: gzip}}}}\n",
        kafka.brokers()
    );
    let gateway = GatewayProcess::start(&sections).await;
    let device = Device::connect(gateway.primary(), "mac:000000000001").await;
    device.send(Message { payload: Some(vec![0; PAYLOAD]), ..event(device.id(), 1, 80) });
    let bytes =
        async |name: &str| gateway.metric(&format!("talaria_talaria_{name}"), &["wrp-events"]).await as usize;
    eventually("its bytes are counted", PATIENCE, async || bytes("produce_bytes_total").await > PAYLOAD)
        .await;
    let compressed = bytes("produce_compressed_bytes_total").await;
    assert!((100..PAYLOAD / 10).contains(&compressed), "{compressed}");
}
