//! The events that the tests' devices send: each differs from every other, in every form in which it arrives.

use wrp::{Message, MessageType, Qos};

/// An event of a device: its number stands in the payload and, with the device's id, in the transaction id.
pub(crate) fn event(device: &str, number: usize, qos: i64) -> Message {
    Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: format!("{device}/sensor").as_str().into(),
        dest: format!("event:sensor-report/{device}/{number}").as_str().into(),
        transaction_uuid: format!("{device}#{number}").as_str().into(),
        content_type: "text/plain".into(),
        payload: Some(format!("reading {number}").into_bytes()),
        qos: Qos(qos),
        ..Message::default()
    }
}

/// What [`event`] wrote into the transaction id: the device and the number; `None` for the gateway's own events.
pub(crate) fn number(message: &Message) -> Option<(String, usize)> {
    let (device, number) = text(&message.transaction_uuid).split_once('#')?;
    Some((device.to_owned(), number.parse().ok()?))
}

/// The text of a field.
///
/// # Panics
/// When it is not UTF-8.
pub(crate) fn text(field: &wrp::TextBuf) -> &str {
    field.as_text().to_str().expect("UTF-8")
}
