//! Integers in the spellings that JSON allows, and written as JSON.
//!
//! Numbers are computed in integers, not in floats, so that none loses digits.

use alloc::vec::Vec;

/// Reads an integer in any spelling: `4`, `4.0`, `0.4e1`, `4.` and `40e-1` are all 4.
///
/// `None` if the text is not a number, not whole, or does not fit into 64 bits.
pub(super) fn any_integer(text: &[u8]) -> Option<i64> {
    short_integer(text).or_else(|| spelled_integer(text))
}

/// Most integers: up to eighteen digits, the first of which is not 0.
fn short_integer(text: &[u8]) -> Option<i64> {
    if !matches!(text, [b'1'..=b'9', ..]) || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| 10 * sum + i64::from(digit - b'0')))
}

fn spelled_integer(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (whole, text) = split_digits(text);
    let (fraction, text) = match text {
        [b'.', rest @ ..] => split_digits(rest),
        _ => (&text[..0], text),
    };
    let exponent = match text {
        [] => 0,
        [b'e' | b'E', rest @ ..] => exponent(rest)?,
        _ => return None,
    };
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return None;
    }
    let mantissa = whole
        .iter()
        .chain(fraction)
        .try_fold(0_i128, |sum, digit| sum.checked_mul(10)?.checked_add(i128::from(digit - b'0')))?;
    let mantissa = if negative { -mantissa } else { mantissa };
    scaled(mantissa, exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?)
}

/// Reads an integer that is written in digits only.
pub(super) fn plain_integer(text: &[u8]) -> Option<i64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// Appends an integer in decimal digits.
pub(super) fn write(value: i64, out: &mut Vec<u8>) {
    // The longest is -9223372036854775808.
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut left = value.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    out.extend_from_slice(&digits[start..]);
}

/// Whether the text is a number by JSON's grammar (RFC 8259 §6).
pub(super) fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, text) = split_digits(text);
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return false;
    }
    let text = match text {
        [b'.', rest @ ..] => match split_digits(rest) {
            ([], _) => return false,
            (_, rest) => rest,
        },
        _ => text,
    };
    match text {
        [] => true,
        [b'e' | b'E', rest @ ..] => exponent(rest).is_some(),
        _ => false,
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Reads an exponent. Magnitudes above 1,000,000 become 1,000,000, which is out of range for any number but 0 anyway.
fn exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0_i32, |sum, digit| {
        sum.saturating_mul(10).saturating_add(i32::from(digit - b'0')).min(1_000_000)
    });
    Some(if negative { -size } else { size })
}

/// `mantissa` times ten to the power of `exponent`, if that is an integer of 64 bits.
fn scaled(mantissa: i128, exponent: i32) -> Option<i64> {
    if mantissa == 0 {
        return Some(0);
    }
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    let value = if exponent >= 0 {
        mantissa.checked_mul(power)?
    } else if mantissa % power == 0 {
        mantissa / power
    } else {
        return None;
    };
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_spelling_of_a_whole_number_is_an_integer() {
        for text in ["4", "4.", "4.0", "0.4e1", "40e-1", "400E-2", "4e+0"] {
            assert_eq!(any_integer(text.as_bytes()), Some(4), "{text}");
        }
        assert_eq!(any_integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(any_integer(b"0e99999999999"), Some(0));
    }

    #[test]
    fn a_text_that_is_not_an_integer_is_rejected() {
        for text in
            ["", "-", ".4", "+4", "04", "4.5", "1e400", "1e19", "9223372036854775808", "0x10", " 4", "4e"]
        {
            assert_eq!(any_integer(text.as_bytes()), None, "{text}");
        }
    }
}
