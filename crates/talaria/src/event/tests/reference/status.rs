//! The gateway's own events: `online_event.json`, `offline_event.json`.

use talaria_protocol::convey::Convey;
use talaria_protocol::session::{CloseReason, Reason};
use vectors::same;
use wrpkafka::Publisher;

use super::*;
use crate::device::{Events as _, session_id};
use crate::event::config::AuthKey;
use crate::event::status::StatusEvent;

#[tokio::test]
async fn vectors_online_event() {
    status_events("online_event.json", |source, device, _| {
        StatusEvent::online(source, device).message().to_owned()
    })
    .await;
}

#[tokio::test]
async fn vectors_offline_event() {
    status_events("offline_event.json", |source, device, case| {
        StatusEvent::offline(source, device, &close_reason(&case["actions"])).message().to_owned()
    })
    .await;
}

/// The event that is made, and for online events also the request that it becomes.
async fn status_events(file: &str, make: impl Fn(&str, &Device, &Value) -> Message) {
    let cases = vectors::cases(file);
    vectors::announce(file, &cases);
    let mut failures = Vec::new();
    for case in cases.iter().filter(|case| case.value["refused"].is_null()) {
        let connect = &case.value["connect"];
        let device = connected(connect);
        let source = connect["source"].as_str().unwrap_or("localhost");
        let event = make(source, &device, &case.value);
        if let Err(failure) = is_same_status(&case.value, &device, &event) {
            failures.push(format!("{}: {failure}", case.name));
        }
        if !case.value["http"].is_null() {
            let receiver = Receiver::answering(Answer::Status(202));
            let auth_key = connect["auth_key"].as_str().filter(|key| !key.is_empty());
            let auth_key = auth_key.map(|key| AuthKey::new(key).unwrap());
            let config = Config { source: source.to_owned(), auth_key, ..config() };
            let gateway = Gateway::start(&config, Publisher::disabled(), &receiver);
            gateway.dispatcher.online(&device);
            receiver.received(1).await;
            let posted = &receiver.requests()[0];
            if !is_same_request(&case.value["http"], posted, Credentials::Sent) {
                failures.push(format!("{}: expected {}, got {posted:?}", case.name, case.value["http"]));
            }
            let posted = MessageRef::decode_v3(&posted.body).unwrap().to_owned();
            if let Err(failure) = is_same_status(&case.value, &device, &posted) {
                failures.push(format!("{}, posted: {failure}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn is_same_status(case: &Value, device: &Device, event: &Message) -> Result<(), String> {
    let mut expected = vectors::message(&case["event"]);
    let payload = case["event"]["payload_text"].as_str().unwrap_or_default();
    expected.payload = Some(as_json(payload, device, &case["actions"]).into_bytes());
    let mut got = event.clone();
    let payload = String::from_utf8(got.payload.take().unwrap_or_default()).unwrap();
    serde_json::from_str::<Value>(&payload).map_err(|error| format!("the payload is not JSON: {error}"))?;
    let stamp = got.metadata("/xmidt-timestamp").map(|stamp| stamp.to_string()).unwrap_or_default();
    got.payload = Some(masked_payload(&payload, &stamp).into_bytes());
    same("event", &expected, &masked(got, device))
}

/// The reference pastes texts into its payloads; ours are JSON (contract §4.4). The counts of a session are left out here.
fn as_json(payload: &str, device: &Device, actions: &Value) -> String {
    let counts =
        actions.as_array().is_some_and(|all| all.iter().any(|action| action["device_sends"].is_string()));
    let lines = payload.split("\n\t\t").map(|line| {
        let Some((key, value)) = line.split_once("\": ") else { return line.to_owned() };
        let statistics = device.statistics();
        if let Some(text) = value.strip_prefix('"') {
            let (text, end) = text.rsplit_once('"').unwrap_or((text, ""));
            return format!("{key}\": {}{end}", serde_json::to_string(text).unwrap());
        }
        let end = if value.ends_with(',') { "," } else { "" };
        match key {
            "\"bytes-received" if counts => format!("{key}\": {}{end}", statistics.bytes_received()),
            "\"messages-received" if counts => format!("{key}\": {}{end}", statistics.messages_received()),
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n\t\t")
}

fn masked_payload(payload: &str, stamp: &str) -> String {
    let lines = payload.split("\n\t\t").map(|line| {
        let Some((key, value)) = line.split_once(": \"") else { return line.to_owned() };
        let (value, end) = value.rsplit_once('"').unwrap();
        let mask = match key {
            "\"ts\"" if value == stamp => "<timestamp>",
            "\"connected-at\"" if value.ends_with('Z') => "<timestamp>",
            "\"up-time\"" if value.ends_with('s') => "<duration>",
            _ => value,
        };
        format!("{key}: \"{mask}\"{end}")
    });
    lines.collect::<Vec<_>>().join("\n\t\t")
}

fn close_reason(actions: &Value) -> CloseReason {
    use Reason as R;
    let last = actions.as_array().and_then(|actions| actions.last()).cloned().unwrap_or_default();
    let closes = &last["gateway_closes"];
    let reasons = [
        R::WriteError,
        R::Duplicate,
        R::DeviceLimitReached,
        R::Drained,
        R::RehashError,
        R::RehashOtherInstance,
        R::ServiceDiscoveryError,
        R::ServiceDiscoveryStopped,
        R::ServiceDiscoveryNoInstances,
        R::ReadError,
    ];
    let reason = match closes["text"].as_str() {
        Some(text) => reasons.into_iter().find(|reason| reason.as_str() == text).unwrap_or(R::Unknown),
        None if last["duplicate"] == true => R::Duplicate,
        None => R::ReadError,
    };
    match closes["error"].as_str() {
        Some(error) => CloseReason::with_error(reason, &error),
        None => reason.into(),
    }
}

fn connected(connect: &Value) -> Arc<Device> {
    let id = connect["device_name"].as_str().unwrap().parse().unwrap();
    let identity = Identity {
        claims: connect["claims"].as_object().map(Claims::new),
        convey: Convey::from_header(connect["convey"].as_str().map(str::as_bytes)),
        intermediate_context: vectors::bytes(&connect["intermediate_context"]).into(),
        ..Identity::new(id, session_id::random())
    };
    Device::new(identity, &crate::device::Config::default())
}
