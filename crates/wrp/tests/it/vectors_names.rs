//! The vectors of device ids, locators, event types, message types, content types and quality of service.

use serde_json::Value;
use vectors::{Case, bytes, same};
use wrp::{DeviceId, Format, Locator, MessageRef, MessageType, Qos, Scheme, event_type};

const LONG_S: &str = "a long s is not an s, so this is not a scheme; Go folds the two together";

#[test]
fn vectors_device_ids() {
    let exceptions = [("\u{17f}erial:abc", LONG_S), ("dn\u{17f}:abc", LONG_S)];
    vectors::run_except("device_ids.json", &exceptions, |case| {
        let Some(input) = text(&case.value["input"]) else { return Ok(()) };
        match (input.parse::<DeviceId>(), case.value.get("id")) {
            (Ok(id), Some(expected)) => {
                same("id", &bytes(expected), &id.as_str().into())?;
                let (scheme, rest) = id.as_str().split_once(':').ok_or("no colon")?;
                same("scheme", &scheme, &id.scheme().as_str())?;
                same("id part", &rest, &id.id())
            }
            (Err(error), None) => same("error", &case.value["error"], &Value::from(error.to_string())),
            (Ok(id), None) => Err(format!("expected an error, got {id}")),
            (Err(error), Some(id)) => Err(format!("expected {id}, got {error}")),
        }
    });
}

#[test]
fn vectors_locators_v3() {
    let exceptions = [("\u{17f}erial:abc", LONG_S), ("dn\u{17f}:abc", LONG_S), ("\u{17f}elf:/x", LONG_S)];
    vectors::run_except("locators_v3.json", &exceptions, |case| {
        let Some(input) = text(&case.value["input"]) else { return Ok(()) };
        check_locator(case, Locator::parse_v3(&input).map_err(|error| error.to_string()))
    });
}

#[test]
fn vectors_locators_v5() {
    vectors::run("locators_v5.json", |case| {
        let Some(input) = text(&case.value["input"]) else { return Ok(()) };
        check_locator(case, Locator::parse_v5(&input).map_err(|error| error.to_string()))?;
        let id = DeviceId::parse_v5(&input);
        same("device_id", &bytes(&case.value["device_id"]), &id.map_or(vec![], |id| id.as_str().into()))
    });
}

#[test]
fn vectors_event_type() {
    vectors::run("event_type.json", |case| {
        let Some(dest) = text(&case.value["dest"]) else { return Ok(()) };
        same("event_type", &bytes(&case.value["event_type"]), &event_type(&dest).into())?;

        let subject = Locator::parse_v5(&dest).map(|dest| dest.authority.into_owned().into_bytes()).ok();
        same("match_subject", &non_null(&case.value["match_subject"]).map(bytes), &subject)?;

        let http = Locator::parse_v3(&dest).ok();
        let seen = http.as_ref().map(|dest| (dest.scheme.as_str().into(), dest.event_type().into()));
        let expected =
            non_null(&case.value["http"]).map(|http| (bytes(&http["scheme"]), bytes(&http["event_type"])));
        same("http", &expected, &seen)?;

        let to_kafka = http.is_some_and(|dest| dest.scheme == Scheme::Event);
        same("kafka_from_device", &case.value["kafka_from_device"], &Value::from(to_kafka))
    });
}

#[test]
fn vectors_message_types() {
    vectors::run("message_types.json", |case| match case.value["kind"].as_str() {
        Some("type") => check_type(case),
        Some("parse") => {
            let parsed = MessageType::from_name(case.value["text"].as_str().unwrap_or_default());
            same("msg_type", &case.value["msg_type"], &Value::from(parsed.map_or(12, |parsed| parsed.0)))
        }
        Some("content_type") => {
            let content_type = case.value["content_type"].as_str().unwrap_or_default();
            let format = match Format::from_content_type(content_type) {
                Ok(Format::Msgpack) => Value::from("msgpack"),
                Ok(Format::Json) => Value::from("json"),
                Err(error) => {
                    same("error", &case.value["error"], &Value::from(error.to_string()))?;
                    Value::Null
                }
            };
            same("format", &case.value["format"], &format)
        }
        kind => Err(format!("unknown kind of case: {kind:?}")),
    });
}

#[test]
fn vectors_qos() {
    vectors::run("qos.json", |case| {
        if case.value["kind"] != "level" {
            return Ok(()); // a case for the publisher, which wrpkafka tests
        }
        let qos = Qos(case.value["qos"].as_i64().ok_or("no qos")?);
        same("level", &case.value["level"], &Value::from(qos.level().as_str()))?;
        let wants_ack = |msg_type| MessageRef { msg_type, qos, ..MessageRef::default() }.wants_ack();
        same(
            "ack of an event",
            &case.value["wants_ack_type4"],
            &wants_ack(MessageType::SIMPLE_EVENT).into(),
        )?;
        (1..12).filter(|number| *number != 4).try_for_each(|number| {
            same("ack of another", &case.value["wants_ack_other"], &wants_ack(MessageType(number)).into())
        })
    });
}

fn check_type(case: &Case) -> Result<(), String> {
    let msg_type = MessageType(case.value["msg_type"].as_i64().ok_or("no msg_type")?);
    let part = MessageRef { msg_type, transaction_uuid: "u".into(), ..MessageRef::default() };
    let expect = |key: &str, got: Value| same(key, &case.value[key], &got);
    expect("v3_name", msg_type.to_string().into())?;
    expect("friendly_name", msg_type.friendly_name().into())?;
    expect("requires_transaction", msg_type.requires_transaction().into())?;
    expect("part_of_transaction_with_uuid", part.is_transaction_part().into())
}

fn check_locator(case: &Case, parsed: Result<Locator<'_>, String>) -> Result<(), String> {
    match (case.value["ok"].as_bool(), parsed) {
        (Some(true), Ok(locator)) => {
            let expect = |key: &str, got: &str| {
                let expected =
                    String::from_utf8(bytes(&case.value[key])).map_err(|error| error.to_string())?;
                same(key, &expected, &got.into())
            };
            expect("scheme", locator.scheme.as_str())?;
            expect("authority", &locator.authority)?;
            expect("service", &locator.service)?;
            expect("ignored", &locator.ignored)?;
            let id = locator.device_id();
            expect("id", id.as_ref().map_or("", DeviceId::as_str))?;
            expect("string", &locator.to_string())?;
            id.map_or(Ok(()), |id| same("names its own id", &true, &locator.names(&id)))
        }
        (Some(true), Err(error)) => Err(format!("expected a locator, got: {error}")),
        (_, Ok(locator)) => Err(format!("expected an error, got {locator:?}")),
        (_, Err(error)) => same("error", &case.value["error"], &Value::from(error)),
    }
}

/// The text of a case; `None` if it is not UTF-8. The parsers take `&str`, so they cannot be called with such a case.
fn text(value: &Value) -> Option<String> {
    String::from_utf8(bytes(value)).ok()
}

fn non_null(value: &Value) -> Option<&Value> {
    Some(value).filter(|value| !value.is_null())
}
