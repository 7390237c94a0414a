//! The claims of a device's token (contract §2.5).
//!
//! Whether the token is good is [`token`](crate::token)'s matter; here it has been verified.

use serde_json::{Map, Value};

use crate::go::cast;

/// What a verified token says about its device.
///
/// The gateway reads four claims of every connection, and other claims rarely (filters, access check). So the token's
/// JSON is kept as one text, which takes a fraction of the memory of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    json: Box<str>,
    partner_id: Option<Box<str>>,
    account_id: Option<Box<str>>,
    device_id: Option<DeviceIdClaim>,
    trust: i64,
}

/// The claim `device-id`, as a token has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimedId<'a> {
    /// There is none, or it is null or an empty text.
    None,
    /// A text that is not empty.
    Text(&'a str),
    /// A value that is not a text: a number, a list, …
    NotText,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DeviceIdClaim {
    Text(Box<str>),
    NotText,
}

impl Claims {
    /// Keeps the claims of a verified token.
    #[must_use]
    pub fn new(claims: &Map<String, Value>) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(Box::from);
        Self {
            partner_id: text("partner-id"),
            account_id: text("accountID"),
            device_id: claims.get("device-id").and_then(|id| match id {
                Value::Null => None,
                Value::String(id) => Some(DeviceIdClaim::Text(id.as_str().into())),
                _ => Some(DeviceIdClaim::NotText),
            }),
            trust: claims.get("trust").map_or(0, cast::to_int),
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

    /// `device-id`. A value that is not a text is distinguished from none, since a token that names a device in a form that
    /// cannot be read must not be accepted for any device (contract §14.26).
    #[must_use]
    pub fn device_id(&self) -> ClaimedId<'_> {
        match &self.device_id {
            None => ClaimedId::None,
            Some(DeviceIdClaim::Text(id)) if id.is_empty() => ClaimedId::None,
            Some(DeviceIdClaim::Text(id)) => ClaimedId::Text(id),
            Some(DeviceIdClaim::NotText) => ClaimedId::NotText,
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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

    #[test]
    fn a_device_id_that_is_not_a_text_is_not_taken_for_none() {
        for (id, expected) in [
            (json!("mac:112233445566"), ClaimedId::Text("mac:112233445566")),
            (json!(""), ClaimedId::None),
            (json!(null), ClaimedId::None),
            (json!(112_233_445_566_u64), ClaimedId::NotText),
            (json!(true), ClaimedId::NotText),
            (json!(["mac:112233445566"]), ClaimedId::NotText),
            (json!({"id": "mac:112233445566"}), ClaimedId::NotText),
        ] {
            let claims = json!({"device-id": id});
            assert_eq!(Claims::new(claims.as_object().unwrap()).device_id(), expected, "{claims}");
        }
        assert_eq!(Claims::new(&Map::new()).device_id(), ClaimedId::None);
    }
}
