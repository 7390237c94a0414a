//! Messages as JSON (contract §1.8), which callers of the REST API may choose.
//!
//! v3 and v5 differ. v3 writes an integer beyond ±2^53 in quotes; it reads integers in quotes or with a fraction of
//! zero, and accepts numbers and bools as texts; the case of a key matters. v5 writes and reads plain integers, matches
//! keys in any case, and ends its output with a line feed. Both read one value and ignore the bytes after it.
//!
//! This is not a general JSON library: it reads and writes messages only, so that `wrp` needs no serde. What it allocates
//! is at most a small multiple of the length of the text. Start at `json/decode.rs` and `json/encode.rs`.

mod decode;
mod encode;
mod number;
mod read;
mod scan;

use alloc::vec::Vec;

use crate::{DecodeError, Limits, Message, MessageRef};

/// Decodes a v3 message from JSON.
///
/// ```
/// let message = wrp::json::decode_v3(br#"{"msg_type":"4","dest":"event:iot"}"#)?;
/// assert_eq!(message.msg_type, wrp::MessageType::SIMPLE_EVENT);
/// # Ok::<(), wrp::DecodeError>(())
/// ```
///
/// # Errors
/// If the text is not a JSON object that makes a message.
pub fn decode_v3(text: &[u8]) -> Result<Message, DecodeError> {
    decode_v3_within(text, &Limits::NONE)
}

/// Decodes a v3 message of a stranger from JSON. [`Limits::field_bytes`] does not count here: limit the text's length.
///
/// # Errors
/// As for [`decode_v3`], and if the message is over one of the limits ([`WireError::is_limit`](crate::WireError::is_limit)).
pub fn decode_v3_within(text: &[u8], limits: &Limits) -> Result<Message, DecodeError> {
    decode::decode::<false>(text, limits)
}

/// Decodes a v5 message from JSON.
///
/// ```
/// let message = wrp::json::decode_v5(br#"{"Msg_Type":4,"DEST":"event:iot"}"#)?;
/// assert_eq!(message.dest, "event:iot");
/// # Ok::<(), wrp::DecodeError>(())
/// ```
///
/// # Errors
/// If the text is not a JSON object that makes a message.
pub fn decode_v5(text: &[u8]) -> Result<Message, DecodeError> {
    decode::decode::<true>(text, &Limits::NONE)
}

/// Appends a message as v3 JSON. Each byte that is not UTF-8 becomes U+FFFD.
///
/// ```
/// let event = wrp::MessageRef { dest: "event:<iot>".into(), ..Default::default() };
/// let mut text = Vec::new();
/// wrp::json::encode_v3(&event, &mut text);
/// assert_eq!(text, br#"{"msg_type":0,"dest":"event:\u003ciot\u003e","qos":0}"#);
/// ```
pub fn encode_v3(message: &MessageRef<'_>, out: &mut Vec<u8>) {
    encode::encode::<false>(message, out);
}

/// Appends a message as v5 JSON and a line feed. Each byte that is not UTF-8 becomes U+FFFD; metadata is sorted by key.
///
/// ```
/// let event = wrp::MessageRef { dest: "event:iot".into(), ..Default::default() };
/// let mut text = Vec::new();
/// wrp::json::encode_v5(&event, &mut text);
/// assert_eq!(text, b"{\"msg_type\":0,\"dest\":\"event:iot\"}\n");
/// ```
pub fn encode_v5(message: &MessageRef<'_>, out: &mut Vec<u8>) {
    encode::encode::<true>(message, out);
}
