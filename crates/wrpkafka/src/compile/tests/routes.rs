//! Which records a message becomes with a compiled configuration.

use serde_json::Value;
use wrp::MessageRef;

use super::dynamic_from_vector;
use crate::config::{DynamicConfig, Filter, Route, Rule, ShardStrategy, Test};
use crate::error::{ErrorType, PublishError};
use crate::routing::{NilKey, Plan, RouteTable};

#[test]
fn vectors_routes() {
    vectors::run("routes.json", |case| {
        let value = &case.value;
        let nil_key = match value["deny_nil_partition_key"] == true {
            true => NilKey::Denied,
            false => NilKey::Allowed,
        };
        let config = dynamic_from_vector(&value["config"]).map_err(|error| error.to_string())?;
        let table = config.compile(nil_key).map_err(|error| error.to_string())?;
        let message = vectors::message(&value["message"]);
        let message = message.as_ref();
        match (table.plan(&message, None, |_| {}), value["error_type"].as_str()) {
            (Ok(plan), None) => same_records(&plan, &value["records"]),
            (Err(failed), Some(expected)) if failed.error.error_type().as_str() == expected => Ok(()),
            (result, expected) => Err(format!("{result:?}, expected error type {expected:?}")),
        }
    });
}

fn same_records(plan: &Plan<'_>, expected: &Value) -> Result<(), String> {
    let expected = expected.as_array().ok_or("no records")?;
    let same = plan.records.len() == expected.len()
        && plan.records.iter().zip(expected).all(|(record, expected)| {
            let topic_fits = match expected["any_of"].as_array() {
                Some(topics) => topics.iter().any(|topic| *topic == *record.target.topic),
                None => expected["topic"] == *record.target.topic,
            };
            let key = record.key.as_ref().map(|key| key.as_bytes().to_vec());
            topic_fits
                && key == expected["key"].as_str().map(vectors::hex)
                && expected["strategy"] == *record.target.strategy
        });
    if same { Ok(()) } else { Err(format!("{:?}, expected {expected:?}", plan.records)) }
}

#[test]
fn a_configuration_with_more_topics_than_lanes_is_refused() {
    let topics = (0..600).map(|number| format!("t{number}")).collect();
    let strategy = Some(ShardStrategy::RoundRobin);
    let route = Route { pattern: "*".to_owned(), topics, topic_shard_strategy: strategy, ..Route::default() };
    let config = DynamicConfig { topic_map: vec![route], ..DynamicConfig::default() };
    let error = config.check().unwrap_err().to_string();
    assert!(error.contains("topicMap: names 600 topics: expected at most 512"), "{error}");
}

#[test]
fn a_topic_that_kafka_cannot_have_is_a_fault_of_its_key() {
    let strategy = Some(ShardStrategy::RoundRobin);
    let topics = ["good", "two words", ""].map(str::to_owned).to_vec();
    let list = Route { pattern: "*".to_owned(), topics, topic_shard_strategy: strategy, ..Route::default() };
    for (topic, is_right) in
        [("a.b_c-D1", true), ("a/b", false), ("..", false), ("\u{e9}", false), ("a\0", false)]
    {
        let one = Route { pattern: "*".to_owned(), topic: topic.to_owned(), ..Route::default() };
        let config = DynamicConfig { topic_map: vec![one, list.clone()], ..DynamicConfig::default() };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("topicMap[1].topics[1]: `two words` is not a topic name"), "{error}");
        assert_eq!(!error.contains("topicMap[0].topic: "), is_right, "{error}");
        assert!(!error.contains("topics[2]"), "an empty one is allowed, as in the reference: {error}");
    }
}

#[test]
fn round_robin_starts_at_the_first_topic_and_takes_turns() {
    let route = Route {
        pattern: "*".to_owned(),
        topics: vec!["a".to_owned(), "b".to_owned()],
        topic_shard_strategy: Some(ShardStrategy::RoundRobin),
        ..Route::default()
    };
    let table = table(vec![route]);
    let message = MessageRef { dest: "event:x".into(), ..MessageRef::default() };
    let topics: Vec<_> =
        (0..3).map(|_| table.plan(&message, None, |_| {}).unwrap().records[0].target.topic.clone()).collect();
    assert_eq!(topics, ["a".into(), "b".into(), "a".into()] as [Box<str>; 3]);
}

fn table(routes: Vec<Route>) -> RouteTable {
    DynamicConfig { topic_map: routes, ..DynamicConfig::default() }.compile(NilKey::Allowed).unwrap()
}

/// The topics that a message of this event type goes to, and the routes that rejected it.
fn planned(table: &RouteTable, event_type: &str) -> (Result<Vec<String>, PublishError>, Vec<String>) {
    let dest = format!("event:{event_type}");
    let message = MessageRef { dest: dest.as_str().into(), ..MessageRef::default() };
    let mut filtered = Vec::new();
    let plan = table.plan(&message, None, |event| filtered.push(format!("{} {}", event.topic, event.by)));
    let topics = plan.map(|plan| plan.records.iter().map(|record| record.target.topic.to_string()).collect());
    (topics.map_err(|error| error.error), filtered)
}

fn templated(fallback: &str) -> Route {
    Route {
        pattern: "*".to_owned(),
        topic_template: "wrp-{event_type}".to_owned(),
        allowed_topics: vec!["wrp-iot".to_owned()],
        fallback_topic: fallback.to_owned(),
        ..Route::default()
    }
}

#[test]
fn an_event_whose_topic_is_not_allowed_goes_to_the_fallback_or_is_reported_as_filtered() {
    let not_allowed = ["wrp-{event_type} allowedTopics".to_owned()];
    let none = table(vec![templated("")]);
    assert_eq!(planned(&none, "iot").0, Ok(vec!["wrp-iot".to_owned()]));
    let (result, filtered) = planned(&none, "secrets");
    assert_eq!(result, Err(PublishError::NoTopicMatch { event_type: "secrets".into() }));
    assert_eq!(filtered, not_allowed);

    let fallback = table(vec![templated("others")]);
    assert_eq!(planned(&fallback, "secrets"), (Ok(vec!["others".to_owned()]), vec![]));

    let all = Route { pattern: "*".to_owned(), topic: "all".to_owned(), ..Route::default() };
    let (result, filtered) = planned(&table(vec![templated(""), all]), "secrets");
    assert_eq!((result, &filtered[..]), (Ok(vec!["all".to_owned()]), &not_allowed[..]));
}

#[test]
fn a_message_that_a_filter_rejects_has_no_record_and_is_not_an_error() {
    let rule = Rule::new("partner", Test::Is("sky".to_owned()));
    let filter = Filter { allow: vec![rule], ..Filter::default() };
    let of_sky = |pattern: &str| Route {
        pattern: pattern.to_owned(),
        topics: vec!["a".to_owned(), "b".to_owned()],
        topic_shard_strategy: Some(ShardStrategy::RoundRobin),
        filter: filter.clone(),
        ..Route::default()
    };
    let both = table(vec![of_sky("*"), templated("")]);
    assert_eq!(planned(&both, "iot"), (Ok(vec!["wrp-iot".to_owned()]), vec!["a,b allow".to_owned()]));
    let (result, filtered) = planned(&both, "secrets");
    assert_eq!(result, Ok(vec![]));
    assert_eq!(filtered, ["a,b allow", "wrp-{event_type} allowedTopics"]);
    // A filter says nothing of event types that its route does not match.
    assert!(planned(&table(vec![of_sky("iot")]), "reboot").0.is_err());
}

#[test]
fn a_destination_that_is_not_utf8_is_a_validation_error() {
    let table = table(Vec::new());
    let message = MessageRef { dest: wrp::Text::new(b"event:\xff"), ..MessageRef::default() };
    let error = table.plan(&message, None, |_| {}).unwrap_err();
    assert_eq!(error.error.error_type(), ErrorType::ValidationError);
}
