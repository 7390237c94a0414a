//! The notation of bytes, texts and messages in the vectors: JSON cannot hold bytes, and long texts are abbreviated.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use wrp::{Message, MessageType, MetadataBuf, Qos, StringsBuf, TextBuf};

/// The bytes of a text or payload, which is written as a plain text, `{"hex": …}`, `{"repeat": …, "times": …}` or
/// `{"repeat_hex": …, "times": …}`. Any other value is empty.
#[must_use]
pub fn bytes(value: &Value) -> Vec<u8> {
    let times = || value["times"].as_u64().and_then(|times| usize::try_from(times).ok()).unwrap_or(0);
    if let Some(text) = value.as_str() {
        text.as_bytes().to_vec()
    } else if let Some(digits) = value["hex"].as_str() {
        hex(digits)
    } else if let Some(text) = value["repeat"].as_str() {
        text.as_bytes().repeat(times())
    } else if let Some(digits) = value["repeat_hex"].as_str() {
        hex(digits).repeat(times())
    } else {
        Vec::new()
    }
}

/// The bytes of a text in hex. Blanks separate pieces; `ab*300` is the byte ab repeated 300 times.
///
/// ```
/// assert_eq!(vectors::hex("0102 ab*3"), [1, 2, 0xab, 0xab, 0xab]);
/// ```
///
/// # Panics
/// If the text is not such hex.
#[expect(clippy::panic, reason = "a malformed vector must fail the test")]
#[must_use]
pub fn hex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in text.split_whitespace() {
        let (digits, times) = piece.split_once('*').unwrap_or((piece, "1"));
        let unit: Option<Vec<u8>> = (0..digits.len())
            .step_by(2)
            .map(|at| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect();
        let (Some(unit), Ok(times)) = (unit, times.parse()) else { panic!("not hex: {piece}") };
        bytes.extend(unit.repeat(times));
    }
    bytes
}

/// Reads a message. A key that is missing is an absent field; an empty list, map or payload is a present one.
pub fn message(value: &Value) -> Message {
    let text = |key: &str| text(&value[key]);
    let texts = |list: &Value| -> Option<StringsBuf> {
        list.as_array().map(|items| items.iter().map(self::text).collect())
    };
    Message {
        msg_type: MessageType(value["msg_type"].as_i64().unwrap_or(0)),
        source: text("source"),
        dest: text("dest"),
        transaction_uuid: text("transaction_uuid"),
        content_type: text("content_type"),
        accept: text("accept"),
        status: value["status"].as_i64(),
        rdr: value["rdr"].as_i64(),
        headers: texts(&value["headers"]),
        metadata: metadata(&value["metadata"]),
        spans: value["spans"]
            .as_array()
            .map(|spans| spans.iter().map(|span| texts(span).unwrap_or_default()).collect()),
        include_spans: value["include_spans"].as_bool(),
        path: text("path"),
        payload: value.get("payload").map(payload),
        service_name: text("service_name"),
        url: text("url"),
        partner_ids: texts(&value["partner_ids"]),
        session_id: text("session_id"),
        qos: Qos(value["qos"].as_i64().unwrap_or(0)),
    }
}

fn text(value: &Value) -> TextBuf {
    bytes(value).into()
}

/// Metadata is an object, or a list of pairs if a key is not UTF-8.
fn metadata(value: &Value) -> Option<MetadataBuf> {
    match value {
        Value::Object(entries) => Some(entries.iter().map(|(k, v)| (k.as_str(), text(v))).collect()),
        Value::Array(pairs) => Some(pairs.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()),
        _ => None,
    }
}

#[expect(clippy::panic, reason = "a malformed vector must fail the test")]
fn payload(value: &Value) -> Vec<u8> {
    match value.as_str() {
        Some(encoded) => {
            STANDARD.decode(encoded).unwrap_or_else(|error| panic!("payload {encoded}: {error}"))
        }
        None => bytes(value),
    }
}
