//! What the filters of Kafka's routes do to devices, and what they leave alone.

use wrpkafka::Route;
use wrpkafka::config::{Filter, Relation, Rule, Test};

use super::flow::{rdr, send};
use super::*;
use crate::device::Events as _;
use crate::event::verdict::Verdict;

/// One route, to `wrp-events`, for all that the filter lets pass.
fn filtered(filter: Filter) -> wrpkafka::DynamicConfig {
    let route = Route { pattern: "*".to_owned(), topic: "wrp-events".to_owned(), filter, ..Route::default() };
    wrpkafka::DynamicConfig { topic_map: vec![route], ..Default::default() }
}

/// No device of little trust, and none but those of comcast and sky.
fn trusted_partners() -> Filter {
    let partners = ["comcast", "sky"].map(str::to_owned).to_vec();
    Filter {
        allow: vec![Rule::new("partner-id", Test::In(partners))],
        deny: vec![Rule::new("trust", Test::Number(Relation::Lt, 1000.into()))],
    }
}

fn started(kafka: &MockKafka, dynamic: wrpkafka::DynamicConfig) -> Publisher {
    let config = wrpkafka::Config { brokers: vec![kafka.brokers()], dynamic, ..wrpkafka::Config::default() };
    let publisher = Publisher::new(config).unwrap();
    publisher.start().unwrap();
    publisher
}

fn sources(kafka: &MockKafka, count: usize) -> Vec<String> {
    let records = kafka.records("wrp-events", count, PATIENCE).unwrap();
    let mut sources: Vec<_> = records
        .iter()
        .map(|record| MessageRef::decode_v5(&record.value).unwrap().0.source.to_string())
        .collect();
    sources.sort_unstable();
    sources
}

#[tokio::test]
async fn what_a_filter_turns_away_is_counted_and_goes_by_http_alone() {
    let (receiver, kafka) = (Receiver::answering(Answer::Status(202)), MockKafka::start(1).unwrap());
    let gateway = Gateway::start(&config(), started(&kafka, filtered(trusted_partners())), &receiver);
    let trusted = device("mac:000000000001", &json!({"partner-id": "sky", "trust": 1000}));
    let stranger = device("mac:000000000002", &json!({"partner-id": "other", "trust": 1000}));
    let doubtful = device("mac:000000000003", &json!({"partner-id": "sky", "trust": 0}));
    for device in [&trusted, &stranger, &doubtful] {
        send(&gateway, device, "event:iot/x", 75);
        // The ones that Kafka is not to have are acknowledged as HTTP has taken them.
        assert_eq!(rdr(device).await, Some(0));
    }
    receiver.received(3).await;
    assert_eq!(gateway.dispatcher.flush(PATIENCE).await.kafka, 0);
    assert_eq!(sources(&kafka, 1), ["mac:000000000001"]);
    for line in [
        r#"kafka_filtered_messages_total{rule="allow",topic="wrp-events"} 1"#,
        r#"kafka_filtered_messages_total{rule="deny",topic="wrp-events"} 1"#,
        r#"publish_outcome_total{outcome="Filtered"} 2"#,
        r#"publish_outcome_total{outcome="Accepted"} 1"#,
        r#"kafka_total_outbound_events{outcome="success",reason="no_err",scheme="event"} 1"#,
    ] {
        assert!(gateway.has_metric(line), "no {line}");
    }
    let text = String::from_utf8(gateway.metrics.gather_text()).unwrap();
    assert!(!text.contains("kafka_send_failure"), "it is no failure:\n{text}");
}

#[tokio::test]
async fn what_is_filtered_and_goes_nowhere_else_is_not_acknowledged_as_delivered() {
    let (receiver, kafka) = (Receiver::answering(Answer::Status(202)), MockKafka::start(1).unwrap());
    let config = Config { endpoints: Endpoints::default(), ..config() };
    let gateway = Gateway::start(&config, started(&kafka, filtered(trusted_partners())), &receiver);
    let stranger = device("mac:000000000002", &json!({"partner-id": "other"}));
    send(&gateway, &stranger, "event:iot/x", 50);
    assert_eq!(rdr(&stranger).await, Some(Verdict::NoRoute.rdr().0));
}

#[tokio::test]
async fn the_events_of_the_gateway_are_judged_by_the_device_that_they_tell_of() {
    let (receiver, kafka) = (Receiver::answering(Answer::Status(202)), MockKafka::start(1).unwrap());
    let gateway = Gateway::start(&config(), started(&kafka, filtered(trusted_partners())), &receiver);
    let trusted = device("mac:000000000001", &json!({"partner-id": "sky", "trust": 1000}));
    let stranger = device("mac:000000000002", &json!({"partner-id": "other", "trust": 1000}));
    for device in [&stranger, &trusted] {
        gateway.dispatcher.online(device);
        gateway.dispatcher.offline(device, &talaria_protocol::session::Reason::Drained.into());
    }
    receiver.received(4).await;
    assert_eq!(gateway.dispatcher.flush(PATIENCE).await.kafka, 0);
    let records = kafka.records("wrp-events", 2, PATIENCE).unwrap();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.key.as_deref() == Some(b"mac:000000000001")));
    assert!(gateway.has_metric(r#"kafka_filtered_messages_total{rule="allow",topic="wrp-events"} 2"#));
}

#[tokio::test]
async fn a_connected_device_is_judged_by_new_rules_from_its_next_message_on() {
    let (receiver, kafka) = (Receiver::answering(Answer::Status(202)), MockKafka::start(1).unwrap());
    let publisher = started(&kafka, filtered(Filter::default()));
    let gateway = Gateway::start(&config(), publisher.clone(), &receiver);
    let device = device("mac:000000000001", &json!({"partner-id": "other", "trust": 1000}));
    let filtered_so_far = |count: u64| {
        let line = format!(r#"publish_outcome_total{{outcome="Filtered"}} {count}"#);
        count == 0 || gateway.has_metric(&line)
    };
    for (filter, count) in [(Filter::default(), 0), (trusted_partners(), 1), (Filter::default(), 1)] {
        publisher.update_config(filtered(filter)).unwrap();
        send(&gateway, &device, "event:iot/x", 75);
        assert_eq!(rdr(&device).await, Some(0));
        assert!(filtered_so_far(count), "{count} are filtered");
    }
    assert_eq!(gateway.dispatcher.flush(PATIENCE).await.kafka, 0);
    assert_eq!(sources(&kafka, 2).len(), 2);
}
