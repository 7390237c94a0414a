//! The `Authorization` header: one scheme and one value.

use http::header::HeaderValue;

use super::Refusal;

/// Takes a header apart into its scheme and its value, with exactly one blank between them.
///
/// # Errors
/// [`Refusal::Missing`] if there is none or it is empty, [`Refusal::Invalid`] if it is anything else.
pub fn split(authorization: Option<&HeaderValue>) -> Result<(&str, &str), Refusal> {
    let header = authorization.filter(|header| !header.is_empty()).ok_or(Refusal::Missing)?;
    let (scheme, value) =
        header.to_str().ok().and_then(|header| header.split_once(' ')).ok_or(Refusal::Invalid)?;
    if scheme.is_empty() || value.is_empty() || value.contains(' ') {
        return Err(Refusal::Invalid);
    }
    Ok((scheme, value))
}

/// The token of a `Bearer` header.
///
/// # Errors
/// As [`split`], and [`Refusal::UnsupportedScheme`] for another scheme.
pub fn bearer(authorization: Option<&HeaderValue>) -> Result<&str, Refusal> {
    let (scheme, value) = split(authorization)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(value)
    } else {
        Err(Refusal::UnsupportedScheme(scheme.to_owned()))
    }
}
