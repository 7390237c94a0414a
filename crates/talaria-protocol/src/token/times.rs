//! When a token is valid: `exp`, `nbf` and `iat` (RFC 7519 §4.1, contract §6.2).

use std::time::Duration;

use serde_json::{Map, Value};

/// How far the clocks of the issuer and of this gateway may be apart (`Leeway`), for each claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leeway {
    /// How long after its `exp` a token is still good.
    pub exp: Duration,
    /// How long before its `nbf` a token is already good.
    pub nbf: Duration,
    /// How far in the future a token's `iat` may be.
    pub iat: Duration,
}

/// A token is not valid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// It has expired, or its `exp` is not a number.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet, or its `nbf` is not a number.
    #[error("the token is not valid yet")]
    Early,
    /// It was issued in the future, or its `iat` is not a number.
    #[error("the token was issued in the future")]
    FromTheFuture,
}

/// Checks a token's times at `now`, in whole seconds since 1970. A claim that is missing or 0 is not checked; one that
/// is no number is a failure; in the very second of its `exp` a token is valid (contract §6.2).
///
/// # Errors
/// [`TimeError`]: the first claim that fails.
pub fn check(claims: &Map<String, Value>, leeway: Leeway, now: i64) -> Result<(), TimeError> {
    let now = now as f64;
    let seconds = |name, error| seconds(claims, name).map_err(|NotANumber| error);
    if seconds("exp", TimeError::Expired)?.is_some_and(|exp| now > exp + leeway.exp.as_secs_f64()) {
        return Err(TimeError::Expired);
    }
    if seconds("nbf", TimeError::Early)?.is_some_and(|nbf| now + leeway.nbf.as_secs_f64() < nbf) {
        return Err(TimeError::Early);
    }
    if seconds("iat", TimeError::FromTheFuture)?.is_some_and(|iat| now + leeway.iat.as_secs_f64() < iat) {
        return Err(TimeError::FromTheFuture);
    }
    Ok(())
}

/// The first second in which a token is not valid any more, since 1970; none if it does not expire.
#[must_use]
pub fn expires_at(claims: &Map<String, Value>, leeway: Duration) -> Option<i64> {
    let exp = seconds(claims, "exp").ok()??;

    let exp = exp as i64;
    Some(exp.saturating_add_unsigned(leeway.as_secs()).saturating_add(1))
}

struct NotANumber;

fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, NotANumber> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().ok_or(NotANumber)?.trunc();
    Ok((seconds != 0.0).then_some(seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at_1000(claims: &Value, leeway: u64) -> Result<(), TimeError> {
        let leeway = Duration::from_secs(leeway);
        let leeway = Leeway { exp: leeway, nbf: leeway, iat: leeway };
        check(claims.as_object().unwrap(), leeway, 1000)
    }

    #[test]
    fn times_are_checked_to_the_second() {
        let expired = Err(TimeError::Expired);
        let early = Err(TimeError::Early);
        let future = Err(TimeError::FromTheFuture);
        for (claims, expected) in [
            (json!({}), Ok(())),
            (json!({"exp": 0, "nbf": 0, "iat": 0}), Ok(())),
            (json!({"exp": 1000, "nbf": 1000, "iat": 1000}), Ok(())),
            (json!({"exp": 999}), expired),
            (json!({"exp": 1000.9}), Ok(())),
            (json!({"exp": -1}), expired),
            (json!({"exp": 1e300}), Ok(())),
            (json!({"nbf": 1001}), early),
            (json!({"nbf": 1e300}), early),
            (json!({"iat": 1001}), future),
            (json!({"exp": "2000"}), expired),
            (json!({"exp": null}), expired),
            (json!({"exp": true}), expired),
            (json!({"nbf": "1"}), early),
            (json!({"iat": null}), future),
        ] {
            assert_eq!(at_1000(&claims, 0), expected, "{claims}");
        }
    }

    #[test]
    fn a_token_expires_in_the_second_after_its_last_one() {
        for (claims, expected) in [
            (json!({}), None),
            (json!({"exp": 0}), None),
            (json!({"exp": 1000}), Some(1061)),
            (json!({"exp": 1000.9}), Some(1061)),
            (json!({"exp": 1e300}), Some(i64::MAX)),
        ] {
            let leeway = Duration::from_secs(60);
            assert_eq!(expires_at(claims.as_object().unwrap(), leeway), expected, "{claims}");
            if let Some(at) = expected.filter(|at| *at < i64::MAX) {
                let leeway = Leeway { exp: leeway, ..Leeway::default() };
                let check = |now| check(claims.as_object().unwrap(), leeway, now);
                assert_eq!((check(at - 1), check(at)), (Ok(()), Err(TimeError::Expired)), "{claims}");
            }
        }
    }

    /// contract §14.13
    #[test]
    fn a_leeway_makes_the_checks_more_lenient() {
        for (claims, expected) in [
            (json!({"exp": 900}), Ok(())),
            (json!({"exp": 899}), Err(TimeError::Expired)),
            (json!({"exp": 1050}), Ok(())),
            (json!({"nbf": 1100}), Ok(())),
            (json!({"nbf": 1101}), Err(TimeError::Early)),
            (json!({"nbf": 950}), Ok(())),
            (json!({"iat": 1100}), Ok(())),
            (json!({"iat": 1101}), Err(TimeError::FromTheFuture)),
        ] {
            assert_eq!(at_1000(&claims, 100), expected, "{claims}");
        }
    }
}
