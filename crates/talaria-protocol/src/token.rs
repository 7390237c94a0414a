//! JSON Web Tokens (contract §6): whose signature they carry, and whether they are good now.
//!
//! A token is checked in one order only: [`Token::parse`] splits its text without keys and rejects every algorithm but
//! the ten of [`Algorithm`](crate::keys::Algorithm); the caller finds the keys of its id; [`verified`] checks the
//! signature with those keys and only then reads the claims; [`check_claims`] compares them with the time.
//!
//! Deliberately absent: fetching keys ([`keys`](crate::keys) says when), the clock, and what a token allows.

mod compact;
mod times;

use serde_json::{Map, Value};

use crate::keys::{KeyError, Known};

pub use compact::{FormatError, LONGEST, Token};
pub use times::{Leeway, TimeError, check as check_times, expires_at};

/// A token is rejected.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is malformed, or asks for what is never accepted.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// There is no key to check it with.
    #[error("its key is not known: {0}")]
    Key(#[from] KeyError),
    /// None of the keys of its id made its signature.
    #[error("its signature is not by its key")]
    Signature,
    /// Its `sub` is not a text, or empty.
    #[error("it has no subject")]
    Subject,
    /// It is not valid now.
    #[error(transparent)]
    Time(#[from] TimeError),
}

/// The claims, if the signature was made by one of these keys; `None` if not.
///
/// # Errors
/// [`FormatError`] if they were signed but cannot be read.
#[must_use]
pub fn verified(token: &Token<'_>, known: &Known) -> Option<Result<Map<String, Value>, FormatError>> {
    let fitting = known.keys.iter().filter(|key| key.only.is_none_or(|only| only == token.algorithm()));
    fitting.into_iter().find_map(|key| token.verified_by(&key.public))
}

/// Checks the claims of a token whose signature is good, at `now`, in whole seconds since 1970.
///
/// The subject comes first: its absence is an unsound token (400), a wrong time is not (401, 403).
///
/// # Errors
/// [`TokenError::Subject`] or [`TokenError::Time`].
pub fn check_claims(claims: &Map<String, Value>, leeway: Leeway, now: i64) -> Result<(), TokenError> {
    if claims.get("sub").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(TokenError::Subject);
    }
    Ok(times::check(claims, leeway, now)?)
}
