//! Events of devices.

use wrp::{Message, MessageType, Qos};

/// An event of the device `mac:112233445566`, with its number as the session id.
pub(crate) fn event(number: u32, qos: i64) -> Message {
    Message { session_id: number.to_string().as_str().into(), ..of_device("mac:112233445566", qos) }
}

/// An event of a device.
pub(crate) fn of_device(device: &str, qos: i64) -> Message {
    Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: device.into(),
        dest: format!("event:device-status/{device}/online").as_str().into(),
        metadata: Some([("/hw-deviceid", device)].into()),
        qos: Qos(qos),
        ..Message::default()
    }
}

/// An event of a device with a marker and a number in its payload. `CheckTopics.java` counts those marked `seq=`.
pub(crate) fn numbered(device: &str, marker: &str, number: usize, qos: i64) -> Message {
    Message {
        dest: format!("event:drill/{device}/{number}").as_str().into(),
        payload: Some(format!("{marker}{number};").into_bytes()),
        ..of_device(device, qos)
    }
}
