//! The health and the metric servers (contract §10.1, §10.2).

use std::io::Read as _;
use std::sync::Arc;

use flate2::read::GzDecoder;
use talaria::device::DeviceMetrics;
use talaria::observe::{HealthPage, MetricsPage};
use talaria::server::{ConnectionMetrics, Handler, Server};
use talaria::telemetry::health::Health;
use talaria::telemetry::metrics::Metrics;

use crate::support::gateway::{any_port, identity};
use crate::support::http::{Response, request};

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
    HealthPage(Arc::new(Health::new(devices.health_sources(Arc::default()))))
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
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("Accept-Encoding")));

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
async fn each_server_has_its_one_path() {
    let metrics = Arc::new(Metrics::default());
    let devices = DeviceMetrics::register(&metrics);
    assert_eq!(ask(health(&devices), "GET /metrics").await.status, 404);
    assert_eq!(ask(MetricsPage(metrics), "GET /health").await.status, 404);
}
