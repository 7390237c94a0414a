//! Messages as JSON: the format of the REST API for those who ask for it (contract §1.8).
//!
//! The two versions differ. v3 writes an integer beyond ±2^53 as a text, reads integers from texts and from floats that are
//! whole, and takes numbers and bools for texts; its keys are exact. v5 writes plain integers and reads nothing else, but
//! matches keys without regard to case, and ends with a newline. Both read one value and ignore what follows.
//!
//! This is no general JSON library, and allocates no more than a small multiple of the text's length.

mod decode;
mod encode;
mod number;
mod read;

use crate::{DecodeError, Message, MessageRef};

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
    decode::decode::<false>(text)
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
    decode::decode::<true>(text)
}

/// Appends a message as v3 JSON. What is not UTF-8 becomes U+FFFD.
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

/// Appends a message as v5 JSON, with a newline after it. What is not UTF-8 becomes U+FFFD; metadata is sorted by key.
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
