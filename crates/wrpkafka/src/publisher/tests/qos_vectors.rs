//! `qos.json`: what a publish call returns and the listeners receive, for every level and answer of the client.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use wrp::{Message, Qos, QosLevel};

use crate::client::DeliveryError;
use crate::client::scripted::{Answer, Script};
use crate::config::{Config, Route};
use crate::{ErrorType, Listener, PublishError, PublishEvent, Publisher, StartError};

#[tokio::test]
async fn vectors_qos() {
    let cases = vectors::cases("qos.json");
    let mut failures = Vec::new();
    for case in &cases {
        let checked = match case.value["kind"].as_str() {
            Some("produce") => produce(&case.value).await,
            Some("level") => level(&case.value),
            Some("before") => before(&case.value).await,
            Some("error_type") => error_type(&case.value),
            other => Err(format!("a kind that is not known: {other:?}")),
        };
        failures.extend(checked.err().map(|failure| format!("{}: {failure}", case.name)));
    }
    vectors::announce("qos.json", &cases);
    assert!(failures.is_empty(), "{} failed\n{}", failures.len(), failures.join("\n"));
}

/// How a level is sent: the library's names for it.
fn way(level: QosLevel) -> &'static str {
    match level {
        QosLevel::Low => "try",
        QosLevel::Medium | QosLevel::High => "async",
        QosLevel::Critical => "sync",
    }
}

fn level(value: &Value) -> Result<(), String> {
    let level = Qos(value["qos"].as_i64().unwrap_or_default()).level();
    let told = (level.as_str(), way(level));
    let expected =
        (value["level"].as_str().unwrap_or_default(), value["produce"].as_str().unwrap_or_default());
    if told == expected { Ok(()) } else { Err(format!("{told:?}, expected {expected:?}")) }
}

#[derive(Debug, PartialEq, Eq)]
struct Told {
    event_type: String,
    topic: String,
    strategy: String,
    error_type: Option<ErrorType>,
}

#[derive(Default)]
struct Events(Mutex<Vec<Told>>);

impl Listener for Events {
    fn on_publish(&self, event: &PublishEvent<'_>) {
        self.0.lock().push(Told {
            event_type: event.event_type.to_owned(),
            topic: event.topic.to_owned(),
            strategy: event.topic_shard_strategy.to_owned(),
            error_type: event.error_type,
        });
    }
}

async fn produce(value: &Value) -> Result<(), String> {
    let qos = Qos(value["qos"].as_i64().unwrap_or_default());
    let texts = |key: &str| value[key].as_array().cloned().unwrap_or_default();
    let topics: Vec<String> =
        texts("topics").iter().map(|t| t.as_str().unwrap_or_default().to_owned()).collect();
    let answers = texts("answers");

    let mut config = Config { brokers: vec!["b:1".to_owned()], ..Config::default() };
    let route = |topic: &String| Route { pattern: "*".to_owned(), topic: topic.clone(), ..Route::default() };
    config.dynamic.topic_map = topics.iter().map(route).collect();
    let script = Script::default();
    script.answer(answers.iter().map(|answer| scripted(answer.as_str(), qos.level())));
    let publisher = Publisher::with_client(config, script.connect()).map_err(|error| error.to_string())?;
    publisher.start().map_err(|error| error.to_string())?;
    let events = Arc::new(Events::default());
    publisher.add_listener(Arc::clone(&events));

    let message = Message { dest: "event:x".into(), qos, ..Message::default() };
    let result = publisher.publish(&message).await;
    publisher.stop(Duration::from_secs(20)).await;
    let outcome = result.as_ref().map_or("Failed", |outcome| outcome.as_str());
    if value["outcome"] != outcome || value["error"].is_string() != result.is_err() {
        return Err(format!("{result:?}, expected {} and error {}", value["outcome"], value["error"]));
    }
    // The reference knows no error type but `unknown` for the client's errors; ours tells them apart (contract §14.14).
    let expected: Vec<Told> = texts("events")
        .iter()
        .zip(&answers)
        .map(|(event, answer)| Told {
            event_type: event["event_type"].as_str().unwrap_or_default().to_owned(),
            topic: event["topic"].as_str().unwrap_or_default().to_owned(),
            strategy: event["strategy"].as_str().unwrap_or_default().to_owned(),
            error_type: answer.as_str().map(|text| told_apart(text).error_type()),
        })
        .collect();
    let told = events.0.lock();
    if *told == expected && told.len() == texts("calls").len() {
        Ok(())
    } else {
        Err(format!("{told:?}, expected {expected:?}"))
    }
}

/// What happens before anything is sent.
async fn before(value: &Value) -> Result<(), String> {
    let situation = value["situation"].as_str().unwrap_or_default();
    let mut config = Config { brokers: vec!["b:1".to_owned()], ..Config::default() };
    config.deny_nil_partition_key = situation == "no key and none denied";
    let event_type = value["events"][0]["event_type"].as_str().unwrap_or_default();
    if situation == "no route" {
        config.dynamic.topic_map =
            vec![Route { pattern: "iot".to_owned(), topic: "t".to_owned(), ..Route::default() }];
    }
    let publisher =
        Publisher::with_client(config, Script::default().connect()).map_err(|error| error.to_string())?;
    let events = Arc::new(Events::default());
    publisher.add_listener(Arc::clone(&events));
    match situation {
        // Dropping the future is how a caller ends a call: then no caller is left to report to.
        "the caller's context is over" => return Ok(()),
        "not started" => {}
        _ => publisher.start().map_err(|error| error.to_string())?,
    }
    if situation.contains("stop") {
        publisher.stop(Duration::from_secs(20)).await;
    }
    if situation.starts_with("started") {
        let again = publisher.start().err().map(|error| error.error_type().as_str());
        let expected = value["error"].as_str().map(|_| value["error_type"].as_str().unwrap_or_default());
        return if again == expected { Ok(()) } else { Err(format!("{again:?}, expected {expected:?}")) };
    }
    let dest = if event_type.is_empty() { "nonsense".to_owned() } else { format!("event:{event_type}") };
    let message = Message { dest: dest.as_str().into(), ..Message::default() };
    let result = publisher.publish(&message).await;
    let told: Vec<_> =
        events.0.lock().iter().map(|told| (told.event_type.clone(), told.error_type)).collect();
    let error_type = result.as_ref().err().map(PublishError::error_type);
    let as_expected = error_type.is_some_and(|error| value["events"][0]["error_type"] == error.as_str())
        && told == [(event_type.to_owned(), error_type)];
    if as_expected { Ok(()) } else { Err(format!("{result:?} and {told:?}, expected {value}")) }
}

fn error_type(value: &Value) -> Result<(), String> {
    let text = || Arc::<str>::from("x");
    let ours = match value["error_name"].as_str().unwrap_or_default() {
        "ErrNoTopicMatch" => PublishError::NoTopicMatch { event_type: text() }.error_type(),
        "ErrBufferFull" => PublishError::BufferFull.error_type(),
        "ErrBroker" => PublishError::Broker { code: text(), reason: text() }.error_type(),
        "ErrTimeout" => PublishError::Timeout.error_type(),
        "ErrValidation" => PublishError::MissingHashKey { hash_key: text() }.error_type(),
        "ErrNotStarted" => PublishError::NotStarted.error_type(),
        "ErrAlreadyStarted" => StartError::AlreadyStarted.error_type(),
        // Ours never fail so; the labels are there for the dashboards.
        "ErrEncoding" => ErrorType::EncodingError,
        "ErrMissingMetadata" => ErrorType::MissingMetadataField,
        // Ours are one value each and are never joined.
        name if name.starts_with("joined") => return Ok(()),
        "any other error" => StartError::Client(String::new()).error_type(),
        "none" => return Ok(()),
        other => return Err(format!("an error that is not known: {other}")),
    };
    if value["error_type"] == ours.as_str() { Ok(()) } else { Err(format!("{ours}, expected {value}")) }
}

fn scripted(answer: Option<&str>, level: QosLevel) -> Answer {
    match answer.map(told_apart) {
        None => Answer::Delivered(Ok(())),
        // Who does not wait is refused at once; who waits for room never meets this but as a final error.
        Some(PublishError::BufferFull) if level == QosLevel::Low => Answer::Rejected(DeliveryError::NotSent),
        Some(error) => Answer::Delivered(Err(DeliveryError::Final(error))),
    }
}

/// The error of ours that a text of the reference's client stands for.
fn told_apart(text: &str) -> PublishError {
    match text {
        "the maximum amount of records are buffered, cannot buffer more" => PublishError::BufferFull,
        "records have timed out before they were able to be produced" | "context deadline exceeded" => {
            PublishError::Timeout
        }
        "client closed" | "context canceled" => PublishError::Stopped,
        _ => PublishError::Broker { code: text.into(), reason: text.into() },
    }
}
