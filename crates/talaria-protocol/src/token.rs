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

/// What is required of the claims of every token (`jwtValidator`, `inbound.jwt`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// How far the clocks of the issuer and of this gateway may be apart (`Leeway`).
    pub leeway: Leeway,
    /// The audiences of which `aud` has to name one (`Audience`); any `aud` or none if empty.
    pub audiences: Vec<String>,
    /// The issuers of which `iss` has to be one (`Issuer`); any `iss` or none if empty.
    pub issuers: Vec<String>,
}

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
    /// Its `aud` names none of the audiences that are accepted.
    #[error("it is for another audience")]
    Audience,
    /// Its `iss` is not one of the issuers that are accepted.
    #[error("it is from another issuer")]
    Issuer,
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
/// The subject comes first: its absence is an unsound token (400); another audience or issuer and a wrong time are not (401,
/// 403).
///
/// # Errors
/// [`TokenError`]: the first claim that fails.
pub fn check_claims(
    claims: &Map<String, Value>,
    required: &Requirements,
    now: i64,
) -> Result<(), TokenError> {
    if claims.get("sub").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(TokenError::Subject);
    }
    let is_one_of = |value: &Value, accepted: &[String]| {
        value.as_str().is_some_and(|value| accepted.iter().any(|accepted| accepted == value))
    };
    if !required.issuers.is_empty()
        && !claims.get("iss").is_some_and(|issuer| is_one_of(issuer, &required.issuers))
    {
        return Err(TokenError::Issuer);
    }
    // A text or a list of texts (RFC 7519 §4.1.3).
    let is_for = |audience: &Value| match audience {
        Value::Array(audiences) => {
            audiences.iter().all(Value::is_string)
                && audiences.iter().any(|audience| is_one_of(audience, &required.audiences))
        }
        audience => is_one_of(audience, &required.audiences),
    };
    if !required.audiences.is_empty() && !claims.get("aud").is_some_and(is_for) {
        return Err(TokenError::Audience);
    }
    Ok(times::check(claims, required.leeway, now)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_for_an_accepted_audience_and_from_an_accepted_issuer_if_any_are_configured() {
        let accepted = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let required = Requirements {
            audiences: accepted(&["talaria", "xmidt"]),
            issuers: accepted(&["themis", "other"]),
            ..Requirements::default()
        };
        for (claims, expected) in [
            (json!({"iss": "themis", "aud": "talaria"}), "accepted"),
            (json!({"iss": "other", "aud": ["x", "xmidt"]}), "accepted"),
            (json!({"aud": "talaria"}), "it is from another issuer"),
            (json!({"iss": "Themis", "aud": "talaria"}), "it is from another issuer"),
            (json!({"iss": ["themis"], "aud": "talaria"}), "it is from another issuer"),
            (json!({"iss": "themis"}), "it is for another audience"),
            (json!({"iss": "themis", "aud": "x"}), "it is for another audience"),
            (json!({"iss": "themis", "aud": []}), "it is for another audience"),
            (json!({"iss": "themis", "aud": ["talaria", 1]}), "it is for another audience"),
            (json!({"iss": "themis", "aud": {"talaria": true}}), "it is for another audience"),
            (json!({"iss": "themis", "aud": null}), "it is for another audience"),
        ] {
            let check = |required: &Requirements| {
                let mut claims = claims.as_object().unwrap().clone();
                claims.insert("sub".to_owned(), "x".into());
                check_claims(&claims, required, 0)
                    .map_or_else(|error| error.to_string(), |()| "accepted".into())
            };
            assert_eq!(check(&required), expected, "{claims}");
            assert_eq!(check(&Requirements::default()), "accepted", "{claims}");
        }
    }
}
