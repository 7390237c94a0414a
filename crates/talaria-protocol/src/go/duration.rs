//! Durations as the Go gateway reads and prints them: `1m30s`, `500ms`, `1.5h`.
//!
//! Configuration files, `upTime` in the API and `up-time` in the offline event all use this notation, so that files
//! and dashboards made for the Go gateway stay valid. Reading keeps Go's arithmetic to the nanosecond (its fractions
//! are computed in floating point) and its error texts. Not read here is a bare number, which means nanoseconds in a
//! configuration: only the configuration's reader can tell a number from a text.

use std::fmt::Write as _;
use std::time::Duration;

const NANOSECOND: u64 = 1;
const MICROSECOND: u64 = 1_000 * NANOSECOND;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The magnitude of the smallest duration, `-2562047h47m16.854775808s`; the largest is one nanosecond less.
const LIMIT: u64 = 1 << 63;

/// Why a text is not a duration. The texts are Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Empty, not a number where one is due, or beyond what 64 bits of nanoseconds hold.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(Vec<u8>),
    /// A number without a unit; only `0` needs none.
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(Vec<u8>),
    /// A unit other than `ns`, `us`, `µs`, `ms`, `s`, `m` and `h`.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// What stands where the unit is due.
        unit: Vec<u8>,
        /// The whole text.
        text: Vec<u8>,
    },
}

/// Reads a duration as Go's `time.ParseDuration` does; the result is in nanoseconds and may be negative.
///
/// # Errors
/// [`DurationError`], which shows the text.
pub fn parse(text: impl AsRef<[u8]>) -> Result<i64, DurationError> {
    let text = text.as_ref();
    let invalid = || DurationError::Invalid(text.to_vec());
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if rest == b"0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }

    let mut total = 0_u64;
    while !rest.is_empty() {
        let (whole, after_whole) = split_while(rest, |byte| byte.is_ascii_digit());
        let (fraction, after_number) = match after_whole {
            [b'.', after_point @ ..] => split_while(after_point, |byte| byte.is_ascii_digit()),
            _ => (&[][..], after_whole),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let (name, after_unit) = split_while(after_number, |byte| byte != b'.' && !byte.is_ascii_digit());
        if name.is_empty() {
            return Err(DurationError::MissingUnit(text.to_vec()));
        }
        let unit = unit(name)
            .ok_or_else(|| DurationError::UnknownUnit { unit: name.to_vec(), text: text.to_vec() })?;
        total = integer(whole)
            .and_then(|whole| whole.checked_mul(unit))
            .and_then(|part| part.checked_add(fraction_of(fraction, unit)))
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= LIMIT)
            .ok_or_else(invalid)?;
        rest = after_unit;
    }

    match i64::try_from(total) {
        Ok(total) if negative => Ok(-total),
        Ok(total) => Ok(total),
        Err(_) if negative => Ok(i64::MIN),
        Err(_) => Err(invalid()),
    }
}

/// Reads a duration that an option of a command line gives: as [`parse`] does, but not a negative one.
///
/// # Errors
/// A text that says what is expected.
pub fn parse_option(text: &str) -> Result<Duration, &'static str> {
    parse(text)
        .ok()
        .and_then(|nanoseconds| u64::try_from(nanoseconds).ok())
        .map(Duration::from_nanos)
        .ok_or("expected a duration with a unit, such as 30s, 500ms or 1m30s")
}

/// Prints a duration as Go's `Duration.String` does: `1h0m0s`, `1m2.3s`, `1.5ms`, `0s`.
///
/// A duration beyond 64 bits of nanoseconds (292 years) is printed as the longest that fits.
#[must_use]
pub fn format(duration: Duration) -> String {
    format_nanoseconds(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// Like [`format()`], for a number of nanoseconds that may be negative.
#[must_use]
pub fn format_nanoseconds(nanoseconds: i64) -> String {
    let total = nanoseconds.unsigned_abs();
    let mut text = String::with_capacity(16);
    if nanoseconds < 0 {
        text.push('-');
    }
    match total {
        0 => text.push_str("0s"),
        1..MICROSECOND => push_decimal(&mut text, total, NANOSECOND, "ns"),
        MICROSECOND..MILLISECOND => push_decimal(&mut text, total, MICROSECOND, "µs"),
        MILLISECOND..SECOND => push_decimal(&mut text, total, MILLISECOND, "ms"),
        _ => {
            if total >= HOUR {
                push_decimal(&mut text, total / HOUR, 1, "h");
            }
            if total >= MINUTE {
                push_decimal(&mut text, total % HOUR / MINUTE, 1, "m");
            }
            push_decimal(&mut text, total % MINUTE, SECOND, "s");
        }
    }
    text
}

/// Appends `amount / scale` as a decimal number without trailing zeros, and the unit. `scale` is a power of ten.
fn push_decimal(text: &mut String, amount: u64, scale: u64, unit: &str) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{}", amount / scale);
    let fraction = amount % scale;
    if fraction > 0 {
        let digits = scale.ilog10() as usize;
        let padded = format!("{fraction:0digits$}");
        text.push('.');
        text.push_str(padded.trim_end_matches('0'));
    }
    text.push_str(unit);
}

fn unit(name: &[u8]) -> Option<u64> {
    Some(match name {
        b"ns" => NANOSECOND,
        // U+00B5, the micro sign, and U+03BC, the Greek letter.
        b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => MICROSECOND,
        b"ms" => MILLISECOND,
        b"s" => SECOND,
        b"m" => MINUTE,
        b"h" => HOUR,
        _ => return None,
    })
}

/// The number that the digits spell (none is 0), if it is at most [`LIMIT`].
fn integer(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| push_digit(value, *digit))
}

/// What `0.<digits>` of a unit is in nanoseconds, computed in floating point as Go does; digits that would overflow
/// the mantissa are ignored.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the reference's arithmetic, whose roundings are to be kept"
)]
fn fraction_of(digits: &[u8], unit: u64) -> u64 {
    let (mut mantissa, mut scale) = (0_u64, 1.0_f64);
    for &digit in digits {
        let Some(next) = push_digit(mantissa, digit) else { break };
        mantissa = next;
        scale *= 10.0;
    }
    (mantissa as f64 * (unit as f64 / scale)) as u64
}

fn push_digit(value: u64, digit: u8) -> Option<u64> {
    value.checked_mul(10)?.checked_add(u64::from(digit - b'0')).filter(|value| *value <= LIMIT)
}

fn split_while(bytes: &[u8], keep: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| !keep(*byte)).unwrap_or(bytes.len()))
}

/// The text in quotes, with everything that is not printable ASCII as `\xNN`.
fn quote(text: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            0x20..=0x7f => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\x{byte:02x}");
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_a_duration_with_a_unit_that_is_not_negative() {
        for (text, milliseconds) in
            [("0", 0), ("30s", 30_000), ("500ms", 500), ("1m30s", 90_000), ("0.5s", 500)]
        {
            assert_eq!(parse_option(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "30", "-1s", "soon", "1d", "9999999h"] {
            assert!(parse_option(text).is_err(), "{text}");
        }
    }

    #[test]
    fn vectors_go_durations() {
        vectors::run("go_durations.json", |case| {
            let value = &case.value;
            if value["kind"] == "format" {
                let nanoseconds = value["nanoseconds"].as_i64().ok_or("nanoseconds is no number")?;
                return vectors::same(
                    "text",
                    &value["text"].as_str().unwrap_or_default(),
                    &&*format_nanoseconds(nanoseconds),
                );
            }
            let actual = parse(vectors::bytes(&value["text"]));
            match value["nanoseconds"].as_i64() {
                Some(expected) => vectors::same("nanoseconds", &Ok(expected), &actual),
                None => {
                    let expected = value["error"].as_str().unwrap_or_default().to_owned();
                    vectors::same("error", &Err(expected), &actual.map_err(|error| error.to_string()))
                }
            }
        });
    }

    #[test]
    fn the_longest_duration_is_printed_instead_of_one_that_does_not_fit() {
        assert_eq!(format(Duration::MAX), "2562047h47m16.854775807s");
    }
}
