//! The `Authorization` header: one scheme and one value.

use http::header::HeaderValue;

use super::error::AuthError;

/// Splits the header into its scheme and its value, with exactly one blank between them.
///
/// # Errors
/// [`AuthError::Missing`] if there is none or it is empty, [`AuthError::Invalid`] if it is malformed.
pub fn split(authorization: Option<&HeaderValue>) -> Result<(&str, &str), AuthError> {
    let header = authorization.filter(|header| !header.is_empty()).ok_or(AuthError::Missing)?;
    let (scheme, value) =
        header.to_str().ok().and_then(|header| header.split_once(' ')).ok_or(AuthError::Invalid)?;
    if scheme.is_empty() || value.is_empty() || value.contains(' ') {
        return Err(AuthError::Invalid);
    }
    Ok((scheme, value))
}

/// The token of a `Bearer` header.
///
/// # Errors
/// As [`split`], and [`AuthError::UnsupportedScheme`] for another scheme.
pub fn bearer(authorization: Option<&HeaderValue>) -> Result<&str, AuthError> {
    let (scheme, value) = split(authorization)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(value)
    } else {
        Err(AuthError::UnsupportedScheme(scheme.to_owned()))
    }
}
