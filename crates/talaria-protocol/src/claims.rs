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
    device_id: Option<Box<str>>,
    trust: i64,
}

impl Claims {
    /// Keeps the claims of a verified token.
    #[must_use]
    pub fn new(claims: &Map<String, Value>) -> Claims {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(Box::from);
        Claims {
            partner_id: text("partner-id"),
            account_id: text("accountID"),
            device_id: text("device-id"),
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

    /// `device-id`, if it is a non-empty text.
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
}
