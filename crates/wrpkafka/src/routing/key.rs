//! Where a record's key comes from. The key decides the partition (contract §8.6).

use std::borrow::Cow;
use std::fmt;

use wrp::{Locator, MessageRef};

/// The metadata field that holds a device's id, unless a route names another.
const DEFAULT_FIELD: &str = "hw-deviceid";

/// A compiled `hashKey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HashKey {
    /// A metadata value.
    Metadata(Field),
    /// The id part of the source's device id.
    Source,
    /// No key: any partition.
    None,
}

/// A metadata field under both of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    name: Box<str>,
    /// The name with a `/` before it, as XMiDT's own fields have it.
    slashed: Box<str>,
}

/// A text that names no hash key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a hash key: expected `metadata/<field>`, `source` or `none`")]
pub(crate) struct InvalidHashKey;

/// A record's key: borrowed from the message where it is there as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Borrowed(&'a [u8]),
    Id(Cow<'a, str>),
}

impl HashKey {
    /// Parses the text form: `metadata/<field>`, `metadata`, `source`, `none`, without regard to case in the name;
    /// empty is the default. As in the reference a field ends at the next `/`, and what follows does not count.
    pub(crate) fn parse(text: &str) -> Result<HashKey, InvalidHashKey> {
        let mut parts = text.split('/');
        let name = parts.next().unwrap_or_default();
        let field = parts.next().filter(|field| !field.is_empty()).unwrap_or(DEFAULT_FIELD);
        if text.is_empty() || name.eq_ignore_ascii_case("metadata") {
            Ok(HashKey::Metadata(Field::new(field)))
        } else if name.eq_ignore_ascii_case("source") {
            Ok(HashKey::Source)
        } else if name.eq_ignore_ascii_case("none") {
            Ok(HashKey::None)
        } else {
            Err(InvalidHashKey)
        }
    }

    /// The key of a message's record; none if the message lacks it.
    pub(crate) fn of<'a>(&self, message: &MessageRef<'a>) -> Option<Key<'a>> {
        match self {
            HashKey::Metadata(field) => {
                let value = message.metadata(&field.name).or_else(|| message.metadata(&field.slashed))?;
                (!value.is_empty()).then(|| Key::Borrowed(value.as_bytes()))
            }
            HashKey::Source => {
                // The id of a device is the locator's authority: nothing is copied where it is canonical already.
                let id = Locator::parse_v5(message.source.to_str().ok()?).ok()?.authority;
                (!id.is_empty()).then_some(Key::Id(id))
            }
            HashKey::None => None,
        }
    }
}

/// The canonical text form.
impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashKey::Metadata(field) => write!(f, "metadata/{}", field.name),
            HashKey::Source => f.write_str("source"),
            HashKey::None => f.write_str("none"),
        }
    }
}

impl Field {
    fn new(name: &str) -> Field {
        Field { name: name.into(), slashed: format!("/{name}").into() }
    }
}

impl Key<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
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

    /// The reference's other form, `{name, field}`, whose names count with case.
    fn from_parts(name: &str, field: &str) -> Option<HashKey> {
        match name {
            "" => HashKey::parse("").ok(),
            "metadata" if field.is_empty() => None,
            "metadata" => Some(HashKey::Metadata(Field::new(field))),
            "source" | "none" => HashKey::parse(name).ok(),
            _ => None,
        }
    }

    #[test]
    fn vectors_hash_keys() {
        vectors::run("hash_keys.json", |case| {
            let value = &case.value;
            let part = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
            if value["kind"] == "parse" {
                let parsed = HashKey::parse(&part(value, "text"));
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
                .and_then(|hash_key| hash_key.of(&message));
            // The library's key of `none` is an empty text, which its publisher makes a null key (routes.json).
            let expected = value["key"].as_str().filter(|text| !text.is_empty());
            match (key.as_ref().map(Key::as_bytes), expected.map(str::as_bytes)) {
                (key, expected) if key == expected => Ok(()),
                (key, expected) => Err(format!("{key:?}, expected {expected:?}")),
            }
        });
    }

    #[test]
    fn a_hash_key_prints_as_it_is_written() {
        for text in ["metadata/tenant_id", "source", "none"] {
            assert_eq!(HashKey::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(HashKey::parse("").unwrap().to_string(), "metadata/hw-deviceid");
    }
}
