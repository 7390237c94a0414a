//! The name of a key: a token's `kid`.
//!
//! How it is put into a URL is the template's matter.

use std::fmt;
use std::sync::Arc;

/// The longest `kid`, in bytes.
const LONGEST: usize = 256;

/// The name of a key, fit to be put into a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(Arc<str>);

/// A `kid` that cannot be the name of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kid is longer than {LONGEST} bytes, holds control characters, or climbs out of its directory")]
pub struct KeyIdError;

impl KeyId {
    /// Reads a token's `kid`; the empty one means `current`.
    ///
    /// # Errors
    /// [`KeyIdError`]. That includes what would be `.` or `..` in a path, even where a server would take a
    /// percent-encoded slash for a slash.
    pub fn new(kid: &str) -> Result<Self, KeyIdError> {
        if kid.is_empty() {
            return Ok(Self::current());
        }
        let climbs = kid.split(['/', '\\']).any(|part| matches!(part, "." | ".."));
        if kid.len() > LONGEST || kid.chars().any(char::is_control) || climbs {
            return Err(KeyIdError);
        }
        Ok(Self(kid.into()))
    }

    /// The key of tokens that name none (contract §6.3).
    #[must_use]
    pub fn current() -> Self {
        Self("current".into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kid_that_climbs_or_is_not_a_name_is_an_error() {
        let long = "a".repeat(257);
        for kid in ["..", ".", "../secret", "a/../b", "..\\x", "a/.", "a\nb", "\0", &long] {
            assert_eq!(KeyId::new(kid), Err(KeyIdError), "{kid}");
        }
        for kid in ["a", "a/b", "..a", "a..b", "2024-01.pem", "ключ", &long[..256]] {
            assert_eq!(KeyId::new(kid).unwrap().as_str(), kid);
        }
        assert_eq!(KeyId::new("").unwrap(), KeyId::current());
    }
}
