//! What the tests on a real Kafka share: events to publish, and patience.

use std::time::{Duration, Instant};

use wrp::{Message, MessageType, Qos};

/// An event of a device, with its number in its payload: `seq=` for those that `CheckTopics.java` is to count.
pub(crate) fn event(device: &str, marker: &str, number: usize, qos: i64) -> Message {
    Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: device.into(),
        dest: format!("event:drill/{device}/{number}").as_str().into(),
        metadata: Some([("/hw-deviceid".into(), device.into())].into()),
        payload: Some(format!("{marker}{number};").into_bytes()),
        qos: Qos(qos),
        ..Message::default()
    }
}

/// Looks again and again until `condition` holds.
///
/// # Panics
/// When it does not within `bound`, naming `what` was waited for.
pub(crate) fn eventually(what: &str, bound: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + bound;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {bound:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
