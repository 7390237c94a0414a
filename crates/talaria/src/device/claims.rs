//! The claims of a device's token (contract §2.5).

use serde_json::{Map, Value};

/// What a verified token says of its device.
///
/// The gateway reads four claims of every connection; the filter and the access check read others, seldom. So the
/// token's JSON is kept as one text, a fraction of what a map of it would cost for every connected device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    json: Box<str>,
    partner_id: Option<Box<str>>,
    account_id: Option<Box<str>>,
    device_id: Option<Box<str>>,
    trust: i64,
}

impl Claims {
    /// Takes the claims of a token that has been verified.
    #[must_use]
    pub fn new(claims: &Map<String, Value>) -> Claims {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(Box::from);
        Claims {
            partner_id: text("partner-id"),
            account_id: text("accountID"),
            device_id: text("device-id"),
            trust: claims.get("trust").map_or(0, go_to_int),
            json: serde_json::to_string(claims).unwrap_or_default().into(),
        }
    }

    /// `partner-id`, if it is a text; it may be empty.
    #[must_use]
    pub fn partner_id(&self) -> Option<&str> {
        self.partner_id.as_deref()
    }

    /// `accountID`, if it is a text.
    #[must_use]
    pub fn account_id(&self) -> Option<&str> {
        self.account_id.as_deref()
    }

    /// `device-id`, if it is a text that is not empty.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        self.device_id.as_deref().filter(|id| !id.is_empty())
    }

    /// `trust`, cast as Go's `cast.ToInt` does; 0 if there is none.
    #[must_use]
    pub fn trust(&self) -> i64 {
        self.trust
    }

    /// All claims. Parses them: not for every message.
    #[must_use]
    pub fn all(&self) -> Map<String, Value> {
        serde_json::from_str(&self.json).unwrap_or_default()
    }
}

/// A JSON value as an integer, as Go's `cast.ToInt` makes it: what cannot be one is 0.
#[must_use]
pub fn go_to_int(value: &Value) -> i64 {
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

/// A float without its fraction. What an `i64` cannot hold becomes its minimum, as on the machines Go runs on.
pub(crate) fn float_to_int(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// A Go integer literal (`10`, `0x10`, `010`, `0b11`, `1_000`), perhaps with a decimal fraction, which is dropped.
pub(crate) fn text_to_int(text: &str) -> Option<i64> {
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
    fn trust_is_cast_as_go_casts() {
        for (value, trust) in [
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
            assert_eq!(go_to_int(&value), trust, "{value}");
        }
    }

    #[test]
    fn a_number_of_many_digits_is_kept_to_the_last_bit() {
        // Found by the fuzzer: read, printed and read again, it was another.
        let claims: Value = serde_json::from_str(&format!(r#"{{"p":{}}}"#, "1".repeat(34))).unwrap();
        let kept = Claims::new(claims.as_object().unwrap());
        assert_eq!(Value::Object(kept.all()), claims);
    }

    #[test]
    fn all_claims_are_kept() {
        let claims = json!({"sub": "x", "capabilities": ["a"], "partner-id": ["p"]});
        let kept = Claims::new(claims.as_object().unwrap());
        assert_eq!(Value::Object(kept.all()), claims);
        assert_eq!(kept.partner_id(), None);
    }
}
