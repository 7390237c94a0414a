//! The event that the benchmarks encode and decode. It has 350 bytes, with its keys in the order of the encoders, as most devices
//! send it.

use wrp::{Message, MessageType, Qos};

/// The event.
pub(crate) fn event() -> Message {
    let metadata = [
        ("/boot-time", "1542834188"),
        ("/last-reconnect-reason", "SSL_Socket_Close"),
        ("/trust", "1000"),
        ("/hw-model", "TG1682"),
    ];
    Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "mac:112233445566/iot".into(),
        dest: "event:device-status/mac:112233445566/fully-manageable".into(),
        content_type: "application/json".into(),
        metadata: Some(metadata.into()),
        payload: Some(
            br#"{"device_id":"112233445566","timestamp":1542834188,"state":"on","cause":"reconnected-now"}"#
                .to_vec(),
        ),
        partner_ids: Some(["*"].into()),
        qos: Qos(30),
        ..Message::default()
    }
}
