//! The gateway's work on the bytes of a message. `codec.rs` measures its time; `scripts/instructions` counts its instructions.

use std::hint::black_box;

use wrp::{MessageRef, MessageType, OCTET_STREAM};

const STAMP: &str = "2026-11-24T04:00:00.123456789Z";
const SESSION: &str = "2ZzF0Zb8h5Q1WkVqR7mT3xYp9Ls";
const PARTNERS: &[&str] = &["comcast"];

/// An event from a device, up to the bytes for both sinks.
pub(crate) fn both_sinks(frame: &[u8], http: &mut Vec<u8>, kafka: &mut Vec<u8>) {
    let Ok(mut message) = MessageRef::decode_v3(frame) else { return };
    if message.check_utf8().is_err() {
        return;
    }
    if message.content_type.is_empty() {
        message.content_type = OCTET_STREAM.into();
    }
    message.set_metadata("/xmidt-timestamp", black_box(STAMP));
    message.set_partner_ids(black_box(PARTNERS));
    message.session_id = black_box(SESSION).into();
    http.clear();
    message.encode_v3(http);

    message.set_metadata("/account-id", black_box("4711"));
    message.set_metadata("/hw-deviceid", black_box("mac:112233445566"));
    kafka.clear();
    message.encode_v5(kafka);
}

/// The acknowledgement of an event (contract §5.3).
pub(crate) fn acknowledge(frame: &[u8], ack: &mut Vec<u8>) {
    let Ok(event) = MessageRef::decode_v3(frame) else { return };
    let message = MessageRef {
        msg_type: MessageType::SIMPLE_EVENT,
        source: black_box("dns:talaria.example.com").into(),
        dest: event.source,
        transaction_uuid: event.transaction_uuid,
        rdr: Some(0),
        headers: event.headers,
        metadata: event.metadata.clone(),
        partner_ids: event.partner_ids,
        session_id: event.session_id,
        qos: event.qos,
        ..MessageRef::default()
    };
    ack.clear();
    message.encode_v3(ack);
}

/// A message of a service that goes to a device as it is, as does the device's response to the service.
pub(crate) fn pass_on(frame: &[u8], out: &mut Vec<u8>) {
    let Ok(message) = MessageRef::decode_v3(frame) else { return };
    if message.is_transaction_part() {
        out.clear();
        message.encode_v3(out);
    }
}
