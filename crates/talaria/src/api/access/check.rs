//! One check: a claim of the device, a value to compare it with, and an operator.

use serde_json::{Map, Value};
use wrp::{Field, MessageRef};

use super::operand::Operand;
use super::path::Path;
use super::verdict::Verdict;

/// One comparison of a device's claim with a message.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name in the log (`name`).
    pub name: Box<str>,
    /// The device's claim, on the left side (`deviceCredentialPath`).
    pub device: Path,
    /// The right side (`inputValue` or `wrpCredentialPath`).
    pub other: Side,
    /// How they are compared (`op`).
    pub operator: Operator,
    /// Whether the sides are swapped (`inversed`).
    pub is_inversed: bool,
}

/// What a claim is compared with.
#[derive(Clone, Debug)]
pub enum Side {
    /// A value of the configuration.
    Value(Operand),
    /// A field of the message.
    Field(Field),
    /// A field that no message has, so that every message fails the check.
    NoField,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Two lists have an item in common.
    Intersects,
    /// The left one is a list that contains the right one.
    Contains,
    /// Both have the same type and value.
    Equal,
    /// The left one is greater, both as whole numbers.
    Greater,
}

impl Check {
    pub(super) fn verdict(&self, claims: &Map<String, Value>, message: &MessageRef<'_>) -> Verdict {
        let Some(claim) = self.device.find(claims) else { return Verdict::MissingDeviceCredential };
        let claim = Operand::from_claim(claim);
        let of_message;
        let other = match &self.other {
            Side::Value(value) => value,
            Side::Field(field) => {
                of_message = Operand::of_field(*field, message);
                &of_message
            }
            Side::NoField => return Verdict::MissingMessageCredential,
        };
        let (left, right) = if self.is_inversed { (other, &claim) } else { (&claim, other) };
        match self.operator.holds(left, right) {
            Some(true) => Verdict::Authorized,
            Some(false) => Verdict::Denied,
            None => Verdict::Incomplete,
        }
    }
}

impl Operator {
    /// The operator with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "intersects" => Some(Self::Intersects),
            "contains" => Some(Self::Contains),
            "eq" => Some(Self::Equal),
            "gt" => Some(Self::Greater),
            _ => None,
        }
    }

    /// Whether it holds; none if it cannot compare these values.
    fn holds(self, left: &Operand, right: &Operand) -> Option<bool> {
        match self {
            Self::Intersects => {
                let (left, right) = (left.items()?, right.items()?);
                Some(left.iter().any(|this| right.iter().any(|that| this.equals(that))))
            }
            Self::Contains => Some(left.items()?.iter().any(|item| item.equals(right))),
            Self::Equal => Some(left.equals(right)),
            Self::Greater => Some(left.to_int()? > right.to_int()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(text: &str) -> Operand {
        Operand::Text(text.as_bytes().into())
    }

    /// contract §3.9
    #[test]
    fn operators_compare_types_as_go_does() {
        use Operator::{Contains, Equal, Greater, Intersects};
        let claim = |value: Value| Operand::from_claim(&value);
        let partners = || Operand::Texts(vec![text("a"), text("b")]);
        let cases = [
            (Intersects, claim(json!(["b", "c"])), partners(), Some(true)),
            (Intersects, claim(json!(["c"])), partners(), Some(false)),
            (Intersects, claim(json!(["c"])), Operand::Texts(vec![]), Some(false)),
            (Intersects, claim(json!("a")), partners(), None),
            (Intersects, claim(json!([1])), Operand::List(vec![Operand::Int(1)]), Some(false)),
            (Contains, partners(), claim(json!("a")), Some(true)),
            (Contains, claim(json!([["a"]])), claim(json!(["a"])), Some(true)),
            (Contains, claim(json!(["a"])), partners(), Some(false)),
            (Contains, claim(json!("abc")), text("b"), None),
            (Equal, claim(json!(1000)), Operand::Int(1000), Some(false)),
            (Equal, claim(json!(1000)), Operand::Float(1000.0), Some(true)),
            (Equal, claim(json!("1000")), text("1000"), Some(true)),
            (Equal, claim(json!(["a", "b"])), partners(), Some(false)),
            (Equal, claim(json!({"a": 1, "b": 2})), claim(json!({"b": 2, "a": 1})), Some(true)),
            (Equal, Operand::Opaque, Operand::Opaque, Some(false)),
            (Greater, claim(json!(1000)), Operand::Int(999), Some(true)),
            (Greater, claim(json!(1000)), Operand::Int(1000), Some(false)),
            (Greater, claim(json!("0x10")), Operand::Float(15.9), Some(true)),
            (Greater, claim(json!(true)), Operand::Int(0), Some(true)),
            (Greater, claim(json!("many")), Operand::Int(0), None),
            (Greater, claim(json!(5)), Operand::Opaque, None),
        ];
        for (operator, left, right, expected) in cases {
            assert_eq!(operator.holds(&left, &right), expected, "{left:?} {operator:?} {right:?}");
        }
    }
}
