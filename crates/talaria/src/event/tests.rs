//! The event side as a whole: devices at one end, an event receiver and a Kafka in the process at the other.

mod back_pressure;
mod filters;
mod flow;
mod reference;
mod status;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use talaria_protocol::claims::Claims;
use talaria_protocol::connect::Identity;
use wrp::{Message, MessageRef};
use wrpkafka::Publisher;
use wrpkafka::mock::MockKafka;

use super::config::Config;
use super::dispatcher::Dispatcher;
use super::http::endpoints::Endpoints;
use super::http::tests::receiver::{Answer, Memory, Receiver};
use super::http::{HttpMetrics, HttpSink};
use super::kafka::{KafkaMetrics, KafkaSink};
use crate::device::{Device, session_id};
use crate::telemetry::metrics::Metrics;

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A dispatcher whose every URL is the same receiver, in memory.
struct Gateway {
    dispatcher: Dispatcher,
    metrics: Metrics,
}

impl Gateway {
    fn start(config: &Config, publisher: Publisher, receiver: &Receiver) -> Self {
        let metrics = Metrics::default();
        let dial = Arc::new(Memory(HashMap::from([("*", receiver.clone())])));
        let http = HttpSink::start_with(config, HttpMetrics::register(&metrics), dial.clone(), dial);
        let kafka = KafkaSink::new(publisher, KafkaMetrics::register(&metrics), config.status_queue);
        Self { dispatcher: Dispatcher::new(config, http, kafka, &metrics), metrics }
    }

    /// Whether the metrics hold this line.
    fn has_metric(&self, line: &str) -> bool {
        String::from_utf8_lossy(&self.metrics.gather_text()).lines().any(|there| there == line)
    }
}

/// Everything to one endpoint; both schemes are allowed.
fn config() -> Config {
    Config {
        host: "talaria.example.com".to_owned(),
        endpoints: Endpoints::parse(&json!({"default": "http://caduceus.example.com/api/v4/notify"}))
            .unwrap(),
        allowed_schemes: vec!["http".to_owned(), "https".to_owned()],
        ..Config::default()
    }
}

fn publisher(kafka: &MockKafka) -> Publisher {
    let config = wrpkafka::Config { brokers: vec![kafka.brokers()], ..wrpkafka::Config::default() };
    let publisher = Publisher::new(config).unwrap();
    publisher.start().unwrap();
    publisher
}

fn device(id: &str, claims: &Value) -> Arc<Device> {
    let claims = claims.as_object().map(Claims::new);
    Device::new(
        Identity { claims, ..Identity::new(id.parse().unwrap(), session_id::random()) },
        &crate::device::Config::default(),
    )
}

/// The next message sent to the device.
async fn sent_to(device: &Arc<Device>) -> Message {
    eventually("a message to the device", || {
        let frame = device.take_frame()?;
        Some(MessageRef::decode_v3(&frame).unwrap().to_owned())
    })
    .await
}

/// Looks until there is something to see. Kafka's client has threads of its own, which no paused clock rules.
async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, seen).await {
        Ok(seen) => seen,
        Err(_) => panic!("never came: {what}"),
    }
}
