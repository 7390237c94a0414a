//! Values as whole numbers, as the Go library `spf13/cast` makes them.
//!
//! Only the conversions to integers are here: the gateway needs no others.

use serde_json::Value;

/// A JSON value as an integer (`cast.ToInt`); 0 if it cannot be one.
#[must_use]
pub fn to_int(value: &Value) -> i64 {
    match value {
        Value::Bool(value) => i64::from(*value),
        // Go's JSON numbers are floats.
        Value::Number(number) => {
            number.as_i64().unwrap_or_else(|| float_to_int(number.as_f64().unwrap_or(0.0)))
        }
        Value::String(text) => text_to_int(text).unwrap_or(0),
        Value::Null | Value::Array(_) | Value::Object(_) => 0,
    }
}

/// A float without its fraction. What an `i64` cannot hold becomes its minimum, as Go does it on amd64.
#[must_use]
pub fn float_to_int(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// A Go integer literal (`10`, `0x10`, `010`, `0b11`, `1_000`), perhaps with a decimal fraction, which is dropped.
#[must_use]
pub fn text_to_int(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => text,
    };
    let (negative, digits) = match whole.as_bytes() {
        [b'-', ..] => (true, &whole[1..]),
        [b'+', ..] => (false, &whole[1..]),
        _ => (false, whole),
    };
    let prefix = digits.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match prefix.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    // An underscore may stand between digits, and after a prefix.
    let starts_well = radix != 10 || !digits.starts_with('_');
    if !starts_well || digits.ends_with('_') || digits.contains("__") || digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_cast_as_go_casts_it() {
        for (value, number) in [
            (json!(1000), 1000),
            (json!(77.9), 77),
            (json!(-0.9), 0),
            (json!(9_223_372_036_854_775_808_u64), i64::MIN),
            (json!(1e20), i64::MIN),
            (json!(true), 1),
            (json!(null), 0),
            (json!([1]), 0),
            (json!("1000"), 1000),
            (json!("-5"), -5),
            (json!("007"), 7),
            (json!("08"), 0),
            (json!("0x10"), 16),
            (json!("0b11"), 3),
            (json!("010"), 8),
            (json!("1_000"), 1000),
            (json!("1__0"), 0),
            (json!("_1"), 0),
            (json!("1.9"), 1),
            (json!("1.x"), 0),
            (json!("1e3"), 0),
            (json!(" 5 "), 0),
            (json!(""), 0),
            (json!("--5"), 0),
        ] {
            assert_eq!(to_int(&value), number, "{value}");
        }
    }
}
