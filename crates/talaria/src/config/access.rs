//! Reads the section `deviceAccessCheck` (contract §3.9): which messages of the API may reach which devices.

use super::read::{Section, Setting as _};
use super::tree::Value;
use crate::api::access::{AccessCheck, Check, Mode, Operand, Operator, Path, Side};

/// Reads `deviceAccessCheck`; `None` if it has neither a type nor a check.
pub(super) fn read(section: &Section<'_>) -> Option<AccessCheck> {
    let mut mode = None;
    let expected = "enforce or monitor";
    section.read_as("type", expected, &mut mode, |value| match String::read(value)?.as_str() {
        "" => Some(None),
        name => Mode::from_type(name).map(Some),
    });
    let mut sep = String::new();
    section.read("sep", &mut sep);
    let checks = section.sections("checks");
    if section.is_empty("type") {
        if section.is_empty("checks") {
            return None;
        }
        section.fault("type", format!("is missing, expected {expected}"));
    }
    if checks.is_empty() {
        section.fault("checks", "is empty, expected at least one check");
    }
    let checks = checks.iter().filter_map(|check| read_check(check, &sep)).collect();
    Some(AccessCheck { mode: mode?, checks })
}

fn read_check(section: &Section<'_>, sep: &str) -> Option<Check> {
    let text = |key: &str| {
        let mut text = String::new();
        section.read(key, &mut text);
        text
    };
    let required = |key: &str, expected: &str| {
        let text = text(key);
        if text.is_empty() {
            section.fault(key, format!("is missing, expected {expected}"));
        }
        text
    };
    let name = required("name", "a short name for the log");
    let device = required("deviceCredentialPath", "the path of a claim of the device's token");
    let mut operator = None;
    let operators = "intersects, contains, eq or gt";
    section.read_as("op", operators, &mut operator, |value| {
        Operator::from_name(&String::read(value)?).map(Some)
    });
    if operator.is_none() && section.is_empty("op") {
        section.fault("op", format!("is missing, expected {operators}"));
    }
    let mut is_inversed = false;
    section.read("inversed", &mut is_inversed);
    let other = read_side(section, &text("wrpCredentialPath"));
    Some(Check {
        name: name.into(),
        device: Path::new(&device, sep),
        other: other?,
        operator: operator?,
        is_inversed,
    })
}

/// The side that the claim is compared with: `inputValue` if it is given, else the field of the message.
fn read_side(section: &Section<'_>, path: &str) -> Option<Side> {
    if !section.is_empty("inputValue") {
        return Some(Side::Value(operand(section.section("inputValue").value())));
    }
    if path.is_empty() {
        section.fault("", "has neither inputValue nor wrpCredentialPath, expected one of them");
        return None;
    }
    let field = wrp::Field::from_go_name(path);
    if field.is_none() {
        section.warn(
            "wrpCredentialPath",
            format!("is {path:?}, which is not a field of messages: every message fails this check; expected the name of a field such as PartnerIDs"),
        );
    }
    Some(field.map_or(Side::NoField, Side::Field))
}

/// A value in the type in which it was written, as Go compares types: the numbers of a token are floats, so `1000`
/// never equals one and `1000.0` may.
fn operand(value: &Value) -> Operand {
    match value {
        Value::Null => Operand::Opaque,
        Value::Bool(value) => Operand::Bool(*value),
        Value::Number(text) => match (text.parse(), text.parse()) {
            (Ok(whole), _) => Operand::Int(whole),
            (_, Ok(float)) => Operand::Float(float),
            _ => Operand::Text(text.as_bytes().into()),
        },
        Value::Text(text) => Operand::Text(text.as_bytes().into()),
        Value::List(items) => Operand::List(items.iter().map(|item| operand(&item.value)).collect()),
        Value::Map(entries) => Operand::Object(
            entries.iter().map(|entry| (entry.key.as_str().into(), operand(&entry.node.value))).collect(),
        ),
    }
}
