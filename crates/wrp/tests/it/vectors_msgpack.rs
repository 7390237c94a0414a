//! The vectors of the msgpack codec (contract §1.2, §1.6).

use serde_json::Value;
use vectors::{Case, hex, message, same};
use wrp::{Message, MessageRef};

const ARRAY_FOR_BYTES: &str = "an array of integers is not accepted as bytes: that would need an allocation";
const MERGED: &str =
    "of a repeated key the last counts, also for metadata; the reference merges the maps, in v3 only";

#[test]
fn vectors_wrp_v3_msgpack() {
    let exceptions = [(
        "spans: a null inside",
        "a nil span is read as an empty one: they mean the same, and only Go distinguishes them",
    )];
    vectors::run_except("wrp_v3_msgpack.json", &exceptions, |case| {
        round_trip(
            case,
            |m, out| m.encode_v3(out),
            |bytes| MessageRef::decode_v3(bytes).map(|m| m.to_owned()),
        )
    });
}

#[test]
fn vectors_wrp_v5_msgpack() {
    vectors::run("wrp_v5_msgpack.json", |case| {
        round_trip(
            case,
            |m, out| m.encode_v5(out),
            |bytes| MessageRef::decode_v5(bytes).map(|(m, _)| m.to_owned()),
        )
    });
}

#[test]
fn vectors_wrp_v3_decode() {
    let exceptions = [
        ("source as array of integers", ARRAY_FOR_BYTES),
        ("content_type as array of integers", ARRAY_FOR_BYTES),
    ];
    vectors::run_except("wrp_v3_decode.json", &exceptions, |case| {
        let bytes = bytes_of(case, "hex");
        let decoded = MessageRef::decode_v3(&bytes);
        let outcome = match &decoded {
            Err(error) => Err(("decode", error.to_string())),
            Ok(decoded) => {
                decoded.check_utf8().map(|()| decoded).map_err(|error| ("utf8", error.to_string()))
            }
        };
        match (case.value["accept"].as_bool(), outcome) {
            (Some(true), Ok(decoded)) => {
                same("message", &message(&case.value["message"]), &decoded.to_owned())
            }
            (Some(true), Err((_, error))) => Err(format!("expected a message, got: {error}")),
            (_, Ok(decoded)) => Err(format!("expected an error, got {decoded:?}")),
            (_, Err((stage, _))) => same("stage", &case.value["stage"], &Value::from(stage)),
        }
    });
}

#[test]
fn vectors_wrp_v5_decode() {
    vectors::run("wrp_v5_decode.json", |case| {
        let bytes = bytes_of(case, "hex");
        match (case.value["accept"].as_bool(), MessageRef::decode_v5(&bytes)) {
            (Some(true), Ok((decoded, rest))) => {
                same("message", &message(&case.value["message"]), &decoded.to_owned())?;
                same("rest", &case.value["rest"].as_u64().unwrap_or(0), &(rest.len() as u64))
            }
            (Some(true), Err(error)) => Err(format!("expected a message, got: {error}")),
            (_, Ok((decoded, _))) => Err(format!("expected an error, got {decoded:?}")),
            (_, Err(_)) => Ok(()),
        }
    });
}

#[test]
fn vectors_convert_v3_to_v5() {
    let exceptions = [
        ("decode: source as array of integers", ARRAY_FOR_BYTES),
        ("decode: dest as array of integers", ARRAY_FOR_BYTES),
        ("decode: content_type as array of integers", ARRAY_FOR_BYTES),
        ("decode: payload as array of integers", ARRAY_FOR_BYTES),
        ("decode: duplicated metadata", MERGED),
    ];
    vectors::run_except("convert_v3_to_v5.json", &exceptions, |case| {
        let bytes = bytes_of(case, "v3_hex");
        let decoded = MessageRef::decode_v3(&bytes).map_err(|error| error.to_string())?;
        let mut record = Vec::new();
        decoded.encode_v5(&mut record);
        check_encoding(case, "record_value_hex", &record)?;
        let (v5, rest) = MessageRef::decode_v5(&record).map_err(|error| error.to_string())?;
        same("rest", &0, &rest.len())?;
        same("v5", &message(&case.value["v5"]), &v5.to_owned())
    });
}

fn round_trip(
    case: &Case,
    encode: impl Fn(&MessageRef<'_>, &mut Vec<u8>),
    decode: impl Fn(&[u8]) -> Result<Message, wrp::DecodeError>,
) -> Result<(), String> {
    let original = message(&case.value["message"]);
    let mut encoded = b"earlier bytes".to_vec();
    encode(&original.as_ref(), &mut encoded);
    let encoded = encoded.strip_prefix(b"earlier bytes").ok_or("the encoder did not append")?;
    check_encoding(case, "hex", encoded)?;

    let decoded = case.value.get("decoded").unwrap_or(&case.value["message"]);
    let theirs = decode(&bytes_of(case, "hex")).map_err(|error| error.to_string())?;
    same("decoded", &message(decoded), &theirs)?;
    let ours = decode(encoded).map_err(|error| error.to_string())?;
    same("decoded from our own bytes", &message(decoded), &ours)
}

/// If the order of metadata entries is not fixed, only the lengths can be compared.
fn check_encoding(case: &Case, key: &str, encoded: &[u8]) -> Result<(), String> {
    let expected = bytes_of(case, key);
    if case.value["exact"] == true {
        same("encoded", &expected.escape_ascii().to_string(), &encoded.escape_ascii().to_string())
    } else {
        same("length", &expected.len(), &encoded.len())
    }
}

fn bytes_of(case: &Case, key: &str) -> Vec<u8> {
    hex(case.value[key].as_str().unwrap_or_default())
}
