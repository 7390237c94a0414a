//! Percent-encoding (RFC 3986 §2.1), as Go's `net/url` reads and writes it.
//!
//! Which characters have to be encoded differs from place to place, so the caller decides. Nothing here splits a URL or
//! a query into its parts.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A `%` that is not followed by two hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a % without two hexadecimal digits")]
pub struct EscapeError;

/// The bytes that the escapes `%xx` of a text stand for, in their order.
pub fn escapes(text: &[u8]) -> impl Iterator<Item = Result<u8, EscapeError>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let at = rest.iter().position(|byte| *byte == b'%')?;
        let escape = byte_of(rest.get(at + 1..).unwrap_or_default());
        rest = rest.get(at + if escape.is_ok() { 3 } else { 1 }..).unwrap_or_default();
        Some(escape)
    })
}

/// A text with its escapes replaced, as in a path (`url.PathUnescape`).
///
/// # Errors
/// [`EscapeError`]
pub fn decode(text: &[u8]) -> Result<Cow<'_, [u8]>, EscapeError> {
    if text.contains(&b'%') { unescape(text, |byte| byte).map(Cow::Owned) } else { Ok(Cow::Borrowed(text)) }
}

/// A text with its escapes replaced and every `+` read as a blank, as in a query or a form (`url.QueryUnescape`).
///
/// # Errors
/// [`EscapeError`]
pub fn decode_query(text: &[u8]) -> Result<Vec<u8>, EscapeError> {
    unescape(text, |byte| if byte == b'+' { b' ' } else { byte })
}

/// Appends a text to `out`. Every byte that is not ASCII, and every ASCII character that `is_plain` denies, is escaped.
pub fn encode(out: &mut String, text: &[u8], is_plain: impl Fn(u8) -> bool) {
    for &byte in text {
        if byte.is_ascii() && is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Whether a byte never needs an escape (RFC 3986 §2.3).
#[must_use]
pub fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn unescape(text: &[u8], plain: impl Fn(u8) -> u8) -> Result<Vec<u8>, EscapeError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        if *byte == b'%' {
            decoded.push(byte_of(after)?);
            rest = after.get(2..).unwrap_or_default();
        } else {
            decoded.push(plain(*byte));
            rest = after;
        }
    }
    Ok(decoded)
}

/// The byte that the first two hexadecimal digits of a text are.
fn byte_of(digits: &[u8]) -> Result<u8, EscapeError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let [high, low, ..] = digits else { return Err(EscapeError) };
    match (digit(*high), digit(*low)) {
        (Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(EscapeError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_plus_and_a_query_reads_it_as_a_blank() {
        assert_eq!(&*decode(b"mac%3A11+%2fx").unwrap(), b"mac:11+/x");
        assert_eq!(decode_query(b"mac%3A11+%2fx").unwrap(), b"mac:11 /x");
        assert!(matches!(decode(b"plain"), Ok(Cow::Borrowed(b"plain"))));
    }

    #[test]
    fn a_broken_escape_is_an_error_wherever_it_is() {
        for text in ["%", "%1", "a%zz", "%4", "%41%4", "%+1", "%-1"] {
            assert_eq!(decode(text.as_bytes()), Err(EscapeError), "{text}");
            assert_eq!(decode_query(text.as_bytes()), Err(EscapeError), "{text}");
            assert!(escapes(text.as_bytes()).any(|escape| escape.is_err()), "{text}");
        }
        assert_eq!(escapes(b"%25%41%").collect::<Vec<_>>(), [Ok(b'%'), Ok(b'A'), Err(EscapeError)]);
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let all: Vec<u8> = (0..=255).collect();
        let mut encoded = String::new();
        encode(&mut encoded, &all, is_unreserved);
        assert!(encoded.starts_with("%00%01") && encoded.contains("-.%2F0123") && encoded.ends_with("%FF"));
        assert_eq!(&*decode(encoded.as_bytes()).unwrap(), all);
    }
}
