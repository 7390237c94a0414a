//! The attributes of a device that an operator can name: the claims of its token and the metadata of its connection
//! (contract §7.2).
//!
//! Filters and drains compare them with values of the operator's choice. Values are compared together with their types,
//! as the reference does it: the number 1000 is not the text `"1000"`. Which devices are compared, and when, is the
//! gateway's matter.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::claims::Claims;

/// The only entry of a connection's metadata that is not a claim.
const SESSION_ID: &str = "session-id";

/// The attributes of one device.
#[derive(Debug)]
pub struct Attributes<'a> {
    claims: Map<String, Value>,
    session_id: &'a str,
}

/// Where an attribute was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the token.
    Claims,
    /// In the metadata of the connection.
    Metadata,
}

/// The values that an attribute is compared with: texts, numbers, truth values and null.
#[derive(Clone, Debug, Default)]
pub struct Values {
    listed: Box<[Value]>,
    texts: HashSet<Box<str>>,
    /// By their bits; Go's JSON numbers are floats.
    numbers: HashSet<u64>,
    truths: [bool; 2],
    has_null: bool,
}

/// A value that cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("value number {number} is a list or an object, expected texts, numbers, true, false or null")]
pub struct ValueError {
    /// Which of the values, counted from 1.
    pub number: usize,
}

impl<'a> Attributes<'a> {
    /// Parses the claims, which takes too long to be done for every message.
    #[must_use]
    pub fn new(claims: Option<&Claims>, session_id: &'a str) -> Self {
        Self { claims: claims.map(Claims::all).unwrap_or_default(), session_id }
    }

    /// Where the attribute of this name equals, or is a list that contains, one of the values.
    #[must_use]
    pub fn find(&self, key: &str, values: &Values) -> Option<Location> {
        if self.claims.get(key).is_some_and(|claim| values.match_any(claim)) {
            return Some(Location::Claims);
        }
        (key == SESSION_ID && values.texts.contains(self.session_id)).then_some(Location::Metadata)
    }
}

impl Location {
    /// The name in the log (contract §2.7).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::Metadata => "metadata_map",
        }
    }
}

impl Values {
    /// The values of a JSON list.
    ///
    /// # Errors
    /// If one of them is a list or an object itself. The reference panics.
    pub fn new(listed: Vec<Value>) -> Result<Self, ValueError> {
        let mut values = Self::default();
        for (at, value) in listed.iter().enumerate() {
            match value {
                Value::String(text) => {
                    values.texts.insert(text.as_str().into());
                }
                Value::Number(_) => {
                    values.numbers.insert(bits(value));
                }
                Value::Bool(truth) => values.truths[usize::from(*truth)] = true,
                Value::Null => values.has_null = true,
                Value::Array(_) | Value::Object(_) => return Err(ValueError { number: at + 1 }),
            }
        }
        values.listed = listed.into();
        Ok(values)
    }

    /// The values as they were given.
    #[must_use]
    pub fn listed(&self) -> &[Value] {
        &self.listed
    }

    /// Whether an attribute is one of the values, or a list that contains one.
    #[must_use]
    pub fn match_any(&self, attribute: &Value) -> bool {
        match attribute {
            Value::Array(items) => items.iter().any(|item| self.contains(item)),
            _ => self.contains(attribute),
        }
    }

    fn contains(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.texts.contains(text.as_str()),
            Value::Number(_) => self.numbers.contains(&bits(value)),
            Value::Bool(truth) => self.truths[usize::from(*truth)],
            Value::Null => self.has_null,
            Value::Array(_) | Value::Object(_) => false,
        }
    }
}

/// Equal numbers have equal bits: there is no NaN in JSON, and `-0` becomes `0`.
fn bits(number: &Value) -> u64 {
    (number.as_f64().unwrap_or(f64::MAX) + 0.0).to_bits()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(listed: Value) -> Values {
        Values::new(serde_json::from_value(listed).unwrap()).unwrap()
    }

    /// contract §7.2: equality has types, a list matches by any of its items.
    #[test]
    fn an_attribute_matches_if_it_is_or_contains_one_of_the_values() {
        let cases = [
            (json!(["a", "b"]), json!("b"), true),
            (json!(["a"]), json!(["x", "a"]), true),
            (json!(["a"]), json!("A"), false),
            (json!([1000]), json!("1000"), false),
            (json!(["1000"]), json!(1000), false),
            (json!([1000]), json!(1000.0), true),
            (json!([0]), json!(-0.0), true),
            (json!([true]), json!(true), true),
            (json!([true]), json!("true"), false),
            (json!([null]), json!(null), true),
            (json!(["a"]), json!({"a": "a"}), false),
            (json!(["a"]), json!([["a"]]), false),
            (json!(["a"]), json!([]), false),
        ];
        for (listed, attribute, expected) in cases {
            assert_eq!(values(listed.clone()).match_any(&attribute), expected, "{listed} {attribute}");
        }
    }

    #[test]
    fn a_value_that_is_a_list_is_refused_by_its_number() {
        let refused = Values::new(vec![json!("a"), json!(["b"])]).unwrap_err();
        assert_eq!(refused, ValueError { number: 2 });
    }

    #[test]
    fn claims_are_looked_at_before_metadata_and_the_default_partner_is_no_claim() {
        let session_id = "0ujsswThIGTUYm2K8FjOOfXtY1K";
        let without_claims = Attributes::new(None, session_id);
        assert_eq!(without_claims.find("partner-id", &values(json!(["unknown"]))), None);
        let found = without_claims.find("session-id", &values(json!([session_id])));
        assert_eq!(found, Some(Location::Metadata));

        let claims = Claims::new(json!({"partner-id": "p"}).as_object().unwrap());
        let attributes = Attributes::new(Some(&claims), session_id);
        assert_eq!(attributes.find("partner-id", &values(json!(["p"]))), Some(Location::Claims));
        // The reference keeps all claims under this key, and panics when it is filtered.
        assert_eq!(attributes.find("jwt-claims", &values(json!(["p"]))), None);
    }
}
