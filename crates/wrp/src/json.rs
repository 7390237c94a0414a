//! Messages as JSON: the format of the REST API for those who ask for it (contract §1).

use crate::{DecodeError, Message, MessageRef};

/// Decodes a v3 message from JSON.
///
/// # Errors
/// If the text is not a JSON object that makes a message.
pub fn decode_v3(text: &[u8]) -> Result<Message, DecodeError> {
    let _ = text;
    todo!()
}

/// Decodes a v5 message from JSON.
///
/// # Errors
/// If the text is not a JSON object that makes a message.
pub fn decode_v5(text: &[u8]) -> Result<Message, DecodeError> {
    let _ = text;
    todo!()
}

/// Appends a message as v3 JSON.
pub fn encode_v3(message: &MessageRef<'_>, out: &mut Vec<u8>) {
    let _ = (message, out);
    todo!()
}

/// Appends a message as v5 JSON, with a newline after it.
pub fn encode_v5(message: &MessageRef<'_>, out: &mut Vec<u8>) {
    let _ = (message, out);
    todo!()
}
