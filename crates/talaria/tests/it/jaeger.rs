//! Traces in a real Jaeger: what its query API knows of them (contract §12).
//!
//! Runs if `scripts/jaeger build` has built it; with `TALARIA_REQUIRE_JAEGER=1` in any case.

use std::time::Duration;

use serde_json::Value as Json;
use wrpkafka::mock::MockKafka;

use crate::support::device::Device;
use crate::support::event::event;
use crate::support::eventually;
use crate::support::gateway::{MAC, question, send};
use crate::support::http::request;
use crate::support::jaeger::Jaeger;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

const PATIENCE: Duration = Duration::from_secs(30);

/// The names of the spans from the first one to each last one, as Jaeger relates them.
fn ways(spans: &[Json]) -> Vec<String> {
    let parent = |span: &Json| {
        let id = span["references"][0]["spanID"].as_str()?;
        spans.iter().find(|other| other["spanID"] == id)
    };
    let mut ways: Vec<String> = spans
        .iter()
        .map(|span| {
            let mut names = vec![span["operationName"].as_str().unwrap()];
            let mut at = parent(span);
            while let Some(before) = at {
                names.insert(0, before["operationName"].as_str().unwrap());
                at = parent(before);
            }
            names.join(" > ")
        })
        .collect();
    ways.sort();
    ways
}

fn tag<'a>(spans: &'a [Json], name: &str, key: &str) -> Option<&'a Json> {
    let span = spans.iter().find(|span| span["operationName"] == name)?;
    Some(&span["tags"].as_array()?.iter().find(|tag| tag["key"] == key)?["value"])
}

#[tokio::test(flavor = "multi_thread")]
async fn jaeger_shows_the_whole_way_of_a_message_and_of_a_request() {
    let Some(jaeger) = Jaeger::start().await else { return };
    let (broker, receiver) = (MockKafka::start(1).unwrap(), Receiver::start().await);
    for (provider, endpoint, id) in [
        ("otlp/grpc", jaeger.grpc.to_string(), "0af7651916cd43dd8448eb211c80319c"),
        ("otlp/http", format!("http://{}", jaeger.http), "1af7651916cd43dd8448eb211c80319c"),
    ] {
        let sections = format!(
            "tracing: {{provider: {provider}, endpoint: '{endpoint}', parentBased: honor, noParent: never}}\n\
             kafka: {{enabled: true, brokers: ['{}']}}\n\
             device: {{outbound: {{eventEndpoints: {{sensor-report: '{}'}}}}}}\n",
            broker.brokers(),
            receiver.url(),
        );
        let gateway = GatewayProcess::start(&sections).await;
        let device = Device::connect(gateway.primary(), MAC).await;
        let mut message = event(MAC, 1, 75);
        let parent = format!("traceparent: 00-{id}-b7ad6b7169203331-01");
        message.headers = Some([parent.as_str()].into());
        device.send(message);
        let expected = ["process event", "process event > POST", "process event > send wrp-events"];
        let mut spans = Vec::new();
        eventually("Jaeger has the event", PATIENCE, async || {
            spans = jaeger.trace(id).await;
            spans.len() >= 3
        })
        .await;
        assert_eq!(ways(&spans), expected, "{provider}");
        assert_eq!(tag(&spans, "POST", "http.response.status_code"), Some(&202.into()));
        assert_eq!(tag(&spans, "process event", "messaging.client.id"), Some(&MAC.into()));
        assert_eq!(tag(&spans, "send wrp-events", "span.kind"), Some(&"producer".into()));
        let posted = receiver.take().remove(0);
        let post = spans.iter().find(|span| span["operationName"] == "POST").unwrap();
        let sent = format!("00-{id}-{}-01", post["spanID"].as_str().unwrap());
        assert_eq!(posted.headers["traceparent"], sent);

        // A request whose device is not asked further: it says what it has got.
        let id = id.replace("0319c", "0319d");
        let headers = format!("Authorization: Basic dTpw\r\ntraceparent: 00-{id}-b7ad6b7169203331-01\r\n");
        let mut body = Vec::new();
        question().as_ref().encode_v3(&mut body);
        let asked = tokio::spawn(request(gateway.primary(), send(&headers, &body)));
        let mut got = None;
        eventually("the device has the request", PATIENCE, async || {
            got = device.acks().iter().find(|message| message.payload.as_deref() == Some(b"what?")).cloned();
            got.is_some()
        })
        .await;
        let mut reply = got.unwrap();
        std::mem::swap(&mut reply.source, &mut reply.dest);
        let carried = reply.headers.as_ref().unwrap().get(0).unwrap().to_string();
        device.send(reply);
        assert_eq!(asked.await.unwrap().status, 200);
        eventually("Jaeger has the request", PATIENCE, async || {
            spans = jaeger.trace(&id).await;
            spans.len() >= 2
        })
        .await;
        assert_eq!(ways(&spans), ["POST /device/send", "POST /device/send > send device"], "{provider}");
        let exchange = spans.iter().find(|span| span["operationName"] == "send device").unwrap();
        assert_eq!(carried, format!("traceparent: 00-{id}-{}-01", exchange["spanID"].as_str().unwrap()));
        assert!(gateway.terminate().await.success());
    }
}
