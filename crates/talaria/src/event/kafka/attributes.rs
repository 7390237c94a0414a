//! The attributes of a device that the filters of Kafka routes may ask for.

use std::borrow::Cow;
use std::sync::OnceLock;

use serde_json::{Map, Value};
use wrpkafka::{Attribute, Attributes};

use talaria_protocol::claims::Claims;

use crate::device::Device;

/// A key of a filter's rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKey<'a> {
    /// `partner-id`: always known; `unknown` without the claim.
    PartnerId,
    /// `trust`: always known; 0 without the claim.
    Trust,
    /// `claim/<name>`: a claim of the device's token.
    Claim(&'a str),
    /// `convey/<name>`: a value of the device's convey; also `fw-name` (`firmware`) and `hw-model` (`model`).
    Convey(&'a str),
}

/// A text that is not the name of an attribute of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partner-id, trust, fw-name (or firmware), hw-model (or model), claim/<name> or convey/<name>")]
pub struct DeviceKeyError;

impl<'a> DeviceKey<'a> {
    /// Parses a key as a rule names it. Case counts, as it does in tokens and conveys.
    ///
    /// # Errors
    /// [`DeviceKeyError`], whose text says what is expected.
    pub fn parse(text: &'a str) -> Result<Self, DeviceKeyError> {
        match text {
            "partner-id" => Ok(Self::PartnerId),
            "trust" => Ok(Self::Trust),
            "fw-name" | "firmware" => Ok(Self::Convey("fw-name")),
            "hw-model" | "model" => Ok(Self::Convey("hw-model")),
            _ => match text.split_once('/') {
                Some(("claim", name)) if !name.is_empty() => Ok(Self::Claim(name)),
                Some(("convey", name)) if !name.is_empty() => Ok(Self::Convey(name)),
                _ => Err(DeviceKeyError),
            },
        }
    }
}

/// The attributes of one device, for the publisher's filters.
pub(super) struct DeviceAttributes<'d> {
    device: &'d Device,
    /// The token's claims, parsed when a rule first asks for one.
    claims: OnceLock<Map<String, Value>>,
}

impl<'d> DeviceAttributes<'d> {
    pub(super) fn of(device: &'d Device) -> Self {
        Self { device, claims: OnceLock::new() }
    }
}

impl Attributes for DeviceAttributes<'_> {
    fn get(&self, key: &str) -> Option<Attribute<'_>> {
        match DeviceKey::parse(key).ok()? {
            DeviceKey::PartnerId => Some(self.device.partner_id().into()),
            DeviceKey::Trust => Some(number(self.device.trust())),
            DeviceKey::Claim(name) => {
                let claims =
                    self.claims.get_or_init(|| self.device.claims().map(Claims::all).unwrap_or_default());
                attribute(claims.get(name)?)
            }
            DeviceKey::Convey(name) => {
                self.device.convey().get(name).map(|value| Attribute::from(value.as_bytes()))
            }
        }
    }
}

/// A claim. A boolean counts as its text; an object and a null count as missing.
fn attribute(value: &Value) -> Option<Attribute<'_>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => number.as_f64().map(Attribute::Number),
        Value::Bool(value) => Some(Attribute::Text(Cow::Borrowed(if *value { b"true" } else { b"false" }))),
        Value::Array(items) => Some(Attribute::List(items.iter().filter_map(attribute).collect())),
        Value::Null | Value::Object(_) => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "rules compare as JSON's numbers do: as floats")]
fn number(number: i64) -> Attribute<'static> {
    Attribute::Number(number as f64)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::json;
    use talaria_protocol::connect::Identity;
    use talaria_protocol::convey::Convey;

    use super::*;
    use crate::device::{Config, session_id};

    #[test]
    fn a_rule_can_ask_for_what_the_token_and_the_convey_say() {
        let claims = json!({
            "partner-id": "sky", "trust": 1000, "tier": "gold", "groups": ["a", 7], "beta": true, "none": null,
        });
        let convey = json!({"fw-name": "TEST_1", "hw-model": "X1", "boot-time": 1_542_834_188, "slot": "b"});
        let convey = base64::engine::general_purpose::STANDARD.encode(convey.to_string());
        let device = Device::new(
            Identity {
                claims: Some(Claims::new(claims.as_object().unwrap())),
                convey: Convey::keeping(Some(convey.as_bytes()), &["slot".to_owned()]),
                ..Identity::new("mac:112233445566".parse().unwrap(), session_id::random())
            },
            &Config::default(),
        );
        let attributes = DeviceAttributes::of(&device);
        for (key, expected) in [
            ("partner-id", Some("sky".into())),
            ("trust", Some(Attribute::Number(1000.0))),
            ("firmware", Some("TEST_1".into())),
            ("fw-name", Some("TEST_1".into())),
            ("model", Some("X1".into())),
            ("convey/boot-time", Some("1542834188".into())),
            ("convey/slot", Some("b".into())),
            ("convey/none", None),
            ("claim/tier", Some("gold".into())),
            ("claim/trust", Some(Attribute::Number(1000.0))),
            ("claim/groups", Some(Attribute::List(vec!["a".into(), Attribute::Number(7.0)]))),
            ("claim/beta", Some("true".into())),
            ("claim/none", None),
            ("claim/missing", None),
        ] {
            assert_eq!(attributes.get(key), expected, "{key}");
        }
    }

    #[test]
    fn a_device_without_token_and_convey_has_the_partner_unknown_and_no_trust() {
        let device = Device::new(
            Identity::new("mac:112233445566".parse().unwrap(), session_id::random()),
            &Config::default(),
        );
        let attributes = DeviceAttributes::of(&device);
        assert_eq!(attributes.get("partner-id"), Some("unknown".into()));
        assert_eq!(attributes.get("trust"), Some(Attribute::Number(0.0)));
        for key in ["fw-name", "hw-model", "claim/partner-id", "convey/fw-name"] {
            assert_eq!(attributes.get(key), None, "{key}");
        }
    }

    #[test]
    fn other_keys_are_refused() {
        for key in ["", "Trust", "partner", "claim", "claim/", "convey/", "metadata/x"] {
            assert_eq!(DeviceKey::parse(key), Err(DeviceKeyError), "{key}");
        }
    }
}
