//! The vectors of the JSON codecs (contract §1.8).

use serde_json::Value;
use vectors::{Case, bytes, hex, message, same};
use wrp::{DecodeError, Message, MessageRef, json};

#[test]
fn vectors_wrp_v3_json() {
    let not_json = "the text is not JSON, although the reference accepts it";
    let exceptions = [
        (
            "spans: a null inside",
            "a nil span is read as an empty one: they mean the same, and only Go distinguishes them",
        ),
        ("decode: session_id \"\\u00zz\"", not_json),
        ("decode: metadata {1:\"v\"}", not_json),
    ];
    vectors::run_except("wrp_v3_json.json", &exceptions, |case| {
        check(case, json::encode_v3, json::decode_v3, "")
    });
}

#[test]
fn vectors_wrp_v5_json() {
    vectors::run("wrp_v5_json.json", |case| check(case, json::encode_v5, json::decode_v5, "\n"));
}

fn check(
    case: &Case,
    encode: impl Fn(&MessageRef<'_>, &mut Vec<u8>),
    decode: impl Fn(&[u8]) -> Result<Message, DecodeError>,
    end: &str,
) -> Result<(), String> {
    if case.value["kind"] == "decode" {
        return check_decode(case, decode);
    }
    let message = message(&case.value["message"]);
    let mut text = Vec::new();
    encode(&message.as_ref(), &mut text);
    let text = String::from_utf8(text).map_err(|error| error.to_string())?;
    let expected = case.value["text"].as_str().unwrap_or_default();
    if case.value["exact"] == true {
        return same("text", &format!("{expected}{end}"), &text);
    }
    let parsed = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
    same("value", &parsed(expected)?, &parsed(&text)?)
}

fn check_decode(case: &Case, decode: impl Fn(&[u8]) -> Result<Message, DecodeError>) -> Result<(), String> {
    let text = match case.value["text_hex"].as_str() {
        Some(digits) => hex(digits),
        None => bytes(&case.value["text"]),
    };
    match (case.value["accept"].as_bool(), decode(&text)) {
        (Some(true), Ok(decoded)) => same("message", &message(&case.value["message"]), &decoded),
        (Some(true), Err(error)) => Err(format!("expected a message, got: {error}")),
        (_, Ok(decoded)) => Err(format!("expected an error, got {decoded:?}")),
        (_, Err(_)) => Ok(()),
    }
}
