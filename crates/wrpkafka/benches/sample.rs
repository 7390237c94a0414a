//! The message of the benchmarks: an event as devices send it, five routes, two headers.

use wrp::{MessageRef, MessageType, Qos};
use wrpkafka::{Config, Route};

/// The topic that the message's route names.
#[allow(dead_code, reason = "one of the benchmarks needs it")]
pub(crate) const TOPIC: &str = "wrp-events";

pub(crate) fn message() -> MessageRef<'static> {
    let mut message = MessageRef {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "mac:112233445566/config".into(),
        dest: "event:device-status/mac:112233445566/online".into(),
        content_type: "application/json".into(),
        payload: Some(&[b'x'; 120]),
        session_id: "2ZzF0Zb8h5Q12ZzF0Zb8h5Q1abc".into(),
        qos: Qos(25),
        ..MessageRef::default()
    };
    message.set_partner_ids(&["comcast"]);
    message.set_metadata("/hw-deviceid", "mac:112233445566");
    message.set_metadata("/xmidt-timestamp", "2026-11-24T04:00:00.123456789Z");
    message.set_metadata("/account-id", "4711");
    message
}

/// Five routes, of which only the last matches the message, and two headers.
pub(crate) fn five_routes(config: &mut Config) {
    let route = |pattern: &str, topic: &str| Route {
        pattern: pattern.to_owned(),
        topic: topic.to_owned(),
        ..Route::default()
    };
    config.dynamic.topic_map = vec![
        route("iot", "iot"),
        route("reboot-*", "reboots"),
        route("*-change", "changes"),
        route("fully-manageable", "manageable"),
        route("device-*", TOPIC),
    ];
    config.dynamic.headers = vec![
        ("source".to_owned(), vec!["wrp.Source".to_owned()]),
        ("type".to_owned(), vec!["wrp.Type".to_owned()]),
    ];
}
