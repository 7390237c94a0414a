//! The keys of records, which decide their partitions (contract §8.6, `hashKey`).

use std::borrow::Cow;

use wrp::{Locator, MessageRef};

use crate::config::HashKey;

/// Where a route takes its records' keys from: a [`HashKey`], ready for use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    Metadata(Field),
    /// The device id in the message's source.
    Source,
    None,
}

/// A metadata field under both of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    name: Box<str>,
    /// The name after a `/`, as XMiDT writes its own fields.
    slashed: Box<str>,
}

/// A record's key. It borrows from the message where the message holds it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key<'a> {
    /// A metadata value.
    Borrowed(&'a [u8]),
    /// A device id, in its canonical form.
    Id(Cow<'a, str>),
}

impl KeySource {
    pub(crate) fn new(hash_key: &HashKey) -> Self {
        match hash_key {
            HashKey::Metadata(field) => {
                Self::Metadata(Field { name: field.as_str().into(), slashed: format!("/{field}").into() })
            }
            HashKey::Source => Self::Source,
            HashKey::None => Self::None,
        }
    }

    /// The key of a message's record; none if the message lacks it.
    pub(crate) fn key_of<'a>(&self, message: &MessageRef<'a>) -> Option<Key<'a>> {
        match self {
            Self::Metadata(field) => {
                let value = message.metadata(&field.name).or_else(|| message.metadata(&field.slashed))?;
                (!value.is_empty()).then(|| Key::Borrowed(value.as_bytes()))
            }
            Self::Source => {
                // The id of a device is the locator's authority, which is borrowed if it is canonical already.
                let id = Locator::parse_v5(message.source.to_str().ok()?).ok()?.authority;
                (!id.is_empty()).then_some(Key::Id(id))
            }
            Self::None => None,
        }
    }

    /// The setting that this was made from.
    pub(crate) fn hash_key(&self) -> HashKey {
        match self {
            Self::Metadata(field) => HashKey::Metadata(field.name.to_string()),
            Self::Source => HashKey::Source,
            Self::None => HashKey::None,
        }
    }
}

impl Key<'_> {
    /// The key as it is sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Key::Borrowed(bytes) => bytes,
            Key::Id(id) => id.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The reference's other form, `{name, field}`, whose names are compared exactly.
    fn from_parts(name: &str, field: &str) -> Option<HashKey> {
        match name {
            "" => Some(HashKey::default()),
            "metadata" if field.is_empty() => None,
            "metadata" => Some(HashKey::Metadata(field.to_owned())),
            "source" | "none" => name.parse().ok(),
            _ => None,
        }
    }

    #[test]
    fn vectors_hash_keys() {
        vectors::run("hash_keys.json", |case| {
            let value = &case.value;
            let part = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
            if value["kind"] == "parse" {
                let parsed = part(value, "text").parse::<HashKey>();
                let key = &value["key"];
                let expected = key.is_object().then(|| from_parts(&part(key, "name"), &part(key, "field")));
                return match (parsed.ok(), expected.flatten()) {
                    (parsed, expected) if parsed == expected => Ok(()),
                    (parsed, expected) => Err(format!("{parsed:?}, expected {expected:?}")),
                };
            }
            let hash_key = &value["hash_key"];
            let message = vectors::message(&value["message"]);
            let message = message.as_ref();
            let key = from_parts(&part(hash_key, "name"), &part(hash_key, "field"))
                .and_then(|hash_key| KeySource::new(&hash_key).key_of(&message));
            // The library's key of `none` is an empty text, which its publisher makes a null key (routes.json).
            let expected = value["key"].as_str().filter(|text| !text.is_empty());
            match (key.as_ref().map(Key::as_bytes), expected.map(str::as_bytes)) {
                (key, expected) if key == expected => Ok(()),
                (key, expected) => Err(format!("{key:?}, expected {expected:?}")),
            }
        });
    }

    #[test]
    fn a_source_of_keys_names_the_setting_it_was_made_from() {
        for hash_key in [HashKey::default(), HashKey::Source, HashKey::None] {
            assert_eq!(KeySource::new(&hash_key).hash_key(), hash_key);
        }
    }
}
