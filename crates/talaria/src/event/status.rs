//! The gateway's own events: a device is online, a device is offline (contract §4).

use serde::Serialize;
use talaria_protocol::go::duration;
use talaria_protocol::go::timestamp::Stamp;
use talaria_protocol::inbound::TIMESTAMP;
use talaria_protocol::session::CloseReason;
use wrp::{MessageRef, MessageType, Text};

use crate::device::{Device, clock};

/// An online or offline event, from which its message is borrowed.
pub(super) struct StatusEvent<'a> {
    source: &'a str,
    device: &'a Device,
    dest: String,
    stamp: Stamp,
    payload: Vec<u8>,
    partner_ids: [&'a str; 1],
}

impl<'a> StatusEvent<'a> {
    /// The device has connected.
    pub(super) fn online(source: &'a str, device: &'a Device) -> Self {
        Self::new(source, device, "online", |_| {})
    }

    /// The device has disconnected for this reason.
    pub(super) fn offline(source: &'a str, device: &'a Device, reason: &CloseReason) -> Self {
        let statistics = device.statistics();
        Self::new(source, device, "offline", |payload| {
            payload.field("bytes-sent", &statistics.bytes_sent());
            payload.field("messages-sent", &statistics.messages_sent());
            payload.field("bytes-received", &statistics.bytes_received());
            payload.field("messages-received", &statistics.messages_received());
            payload.field("connected-at", Stamp::utc(statistics.connected_at()).as_str());
            payload.field("up-time", &duration::format(statistics.up_time()));
            payload.field("reason-for-closure", &reason.to_string());
        })
    }

    fn new(source: &'a str, device: &'a Device, what: &str, more: impl FnOnce(&mut Payload)) -> Self {
        let stamp = clock::now();
        let mut payload = Payload(Vec::with_capacity(128));
        payload.field("id", device.id().as_str());
        payload.field("ts", stamp.as_str());
        more(&mut payload);
        Self {
            source,
            device,
            dest: format!("event:device-status/{}/{what}", device.id()),
            stamp,
            payload: payload.finish(),
            partner_ids: [device.partner_id()],
        }
    }

    /// The message, the same for HTTP and for Kafka.
    pub(super) fn message(&self) -> MessageRef<'_> {
        let mut message = MessageRef {
            msg_type: MessageType::SIMPLE_EVENT,
            source: Text::from(self.source),
            dest: Text::from(self.dest.as_str()),
            content_type: Text::from("application/json"),
            payload: Some(&self.payload),
            session_id: Text::from(self.device.session_id()),
            ..MessageRef::default()
        };
        message.set_partner_ids(&self.partner_ids);
        for (key, value) in self.device.event_metadata() {
            message.set_metadata(key, value);
        }
        message.set_metadata(TIMESTAMP, self.stamp.as_str());
        message
    }
}

/// A JSON object with the reference's line breaks and blanks, but escaped.
struct Payload(Vec<u8>);

impl Payload {
    fn field(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        let separator: &[u8] = if self.0.is_empty() { b"{\n\t\t" } else { b",\n\t\t" };
        self.0.extend_from_slice(separator);
        self.json(name);
        self.0.extend_from_slice(b": ");
        self.json(value);
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"\n\t}");
        self.0
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        // Texts and numbers can always be serialized, and writing to a vector cannot fail.
        let _ = serde_json::to_writer(&mut self.0, value);
    }
}
