//! The vectors of the msgpack codec.

use serde_json::Value;
use vectors::{Case, hex, message, same};
use wrp::{Message, MessageRef};

const ARRAY_FOR_BYTES: &str = "an array of integers is no text: taking it for one would need an allocation";
const MERGED: &str =
    "a repeated key: the last wins, for metadata too (the reference merges the two maps in v3 only)";

#[test]
fn vectors_wrp_v3_msgpack() {
    let otherwise = [(
        "spans: a null inside",
        "a nil span is an empty one: the two mean the same, and only Go tells them apart",
    )];
    vectors::run_except("wrp_v3_msgpack.json", &otherwise, |case| {
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
    let otherwise = [
        ("source as array of integers", ARRAY_FOR_BYTES),
        ("content_type as array of integers", ARRAY_FOR_BYTES),
    ];
    vectors::run_except("wrp_v3_decode.json", &otherwise, |case| {
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
    let otherwise = [
        ("decode: source as array of integers", ARRAY_FOR_BYTES),
        ("decode: dest as array of integers", ARRAY_FOR_BYTES),
        ("decode: content_type as array of integers", ARRAY_FOR_BYTES),
        ("decode: payload as array of integers", ARRAY_FOR_BYTES),
        ("decode: duplicated metadata", MERGED),
    ];
    vectors::run_except("convert_v3_to_v5.json", &otherwise, |case| {
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
    let mut encoded = b"what was there".to_vec();
    encode(&original.as_ref(), &mut encoded);
    let encoded = encoded.strip_prefix(b"what was there").ok_or("what was there is gone")?;
    check_encoding(case, "hex", encoded)?;

    let decoded = case.value.get("decoded").unwrap_or(&case.value["message"]);
    let theirs = decode(&bytes_of(case, "hex")).map_err(|error| error.to_string())?;
    same("decoded", &message(decoded), &theirs)?;
    let ours = decode(encoded).map_err(|error| error.to_string())?;
    same("decoded from our own bytes", &message(decoded), &ours)
}

/// Where the order of metadata entries is open, only the length can be compared.
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
