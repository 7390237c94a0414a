//! Exemplars on the metrics page of a gateway that records traces (contract §10.20).

use std::time::Duration;

use talaria::trace::Protocol;
use wrp::{Message, MessageType};
use wrpkafka::mock::MockKafka;

use crate::support::collector::{Behaviour, Collector};
use crate::support::device::Device;
use crate::support::event::event;
use crate::support::eventually;
use crate::support::gateway::{MAC, question, send};
use crate::support::http::request;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test(flavor = "multi_thread")]
async fn the_latency_histograms_show_the_trace_to_a_client_that_asks_for_open_metrics() {
    let collector = Collector::start(Protocol::Grpc, Behaviour::Takes).await;
    let (broker, receiver) = (MockKafka::start(1).unwrap(), Receiver::start().await);
    let gateway = GatewayProcess::start(&format!(
        "inbound: {{authKey: dXNlcjpwYXNz}}\nkafka: {{enabled: true, brokers: ['{}']}}\n\
         device: {{outbound: {{eventEndpoints: {{sensor-report: '{}'}}}}}}\n{}",
        broker.brokers(),
        receiver.url(),
        collector.section("parentBased: honor, noParent: always")
    ))
    .await;
    let page = async |accept: &str| {
        let head = format!("GET /metrics HTTP/1.1\r\nHost: t\r\n{accept}\r\n");
        let page = request(gateway.metric_address(), head).await;
        (page.header("content-type").unwrap().to_owned(), page.text().to_owned())
    };
    let device = Device::connect(gateway.primary(), MAC).await;
    let parent = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01");
    device.send(Message { headers: Some([&parent].into_iter().collect()), ..event(MAC, 1, 75) });
    eventually("the acknowledgement", PATIENCE, async || !device.acks().is_empty()).await;
    eventually("the request to the receiver", PATIENCE, async || {
        collector.spans().iter().any(|span| span.name == "POST")
    })
    .await;
    let headers =
        format!("Authorization: Basic dXNlcjpwYXNz\r\nContent-Type: application/msgpack\r\n{parent}\r\n");
    let mut body = Vec::new();
    Message { msg_type: MessageType::SIMPLE_EVENT, ..question() }.as_ref().encode_v3(&mut body);
    assert_eq!(request(gateway.primary(), send(&headers, &body)).await.status, 200);

    let asking = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let (content_type, open_metrics) = page(asking).await;
    assert_eq!(
        content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
    );
    let exemplar = format!(" # {{trace_id=\"{TRACE}\"}} ");
    for family in [
        "kafka_publish_latency_seconds",
        "outbound_ack_success_latency_seconds",
        "outbound_request_duration_seconds",
        "talaria_talaria_request_duration_seconds",
    ] {
        let with_exemplar = open_metrics.lines().filter(|line| line.contains(&exemplar));
        let of_family = with_exemplar.filter(|line| line.starts_with(&format!("{family}_bucket{{"))).count();
        assert_eq!(of_family, 1, "{family}:\n{open_metrics}");
    }
    for line in [
        "# TYPE talaria_process_cpu_seconds counter",
        "# TYPE outbound_retries unknown",
        "outbound_retries 0",
        "# TYPE talaria_talaria_device_count gauge",
        "talaria_talaria_device_count 1",
    ] {
        assert!(open_metrics.lines().any(|found| found == line), "{line}:\n{open_metrics}");
    }
    assert!(
        open_metrics.contains("talaria_talaria_request_duration_seconds_bucket{le=\"1.0\"} "),
        "{open_metrics}"
    );
    assert!(open_metrics.ends_with("\n# EOF\n"));

    let (content_type, text) = page("").await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
    assert!(!text.contains("trace_id") && !text.contains("# EOF"), "{text}");
    assert!(text.contains("talaria_talaria_request_duration_seconds_bucket{le=\"1\"} "), "{text}");
}
