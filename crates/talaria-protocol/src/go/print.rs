//! JSON that is read only to be printed as Go's `%v` prints it.
//!
//! The reader is not serde_json, because strings may hold bytes that are not UTF-8 and what follows the first value is
//! ignored. It keeps no tree: every value is printed when it has been read, and a string without escapes is borrowed.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// How deep lists and objects may nest.
const MAX_DEPTH: usize = 64;

/// A JSON value in the form that Go's `%v` gives it.
#[derive(Clone, Debug)]
pub struct Printed<'a> {
    /// The text. Strings are as they came, UTF-8 or not.
    pub bytes: Cow<'a, [u8]>,
    /// Whether it was a JSON string.
    pub is_text: bool,
}

/// The text is not a JSON object, or one that is nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object, or nested too deeply")]
pub struct PrintError;

/// Reads the object at the start of `bytes`, and calls `visit` with every key and value. `null` counts as an empty object.
///
/// # Errors
/// [`PrintError`]
pub fn read_object<'a>(bytes: &'a [u8], mut visit: impl FnMut(&[u8], Printed<'a>)) -> Result<(), PrintError> {
    let mut reader = Reader { rest: bytes };
    match reader.peek()? {
        b'{' => reader.object(MAX_DEPTH, |key, value| visit(&key, value)),
        b'n' => reader.literal("null"),
        _ => Err(PrintError),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The first byte that is not blank.
    fn peek(&mut self) -> Result<u8, PrintError> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied().ok_or(PrintError)
    }

    fn next(&mut self) -> Result<u8, PrintError> {
        let (first, rest) = self.rest.split_first().ok_or(PrintError)?;
        self.rest = rest;
        Ok(*first)
    }

    fn literal(&mut self, literal: &str) -> Result<(), PrintError> {
        self.rest = self.rest.strip_prefix(literal.as_bytes()).ok_or(PrintError)?;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Printed<'a>, PrintError> {
        let first = self.peek()?;
        let bytes = match first {
            b'"' => self.string()?,
            b'{' => self.map(depth.checked_sub(1).ok_or(PrintError)?)?.into(),
            b'[' => self.list(depth.checked_sub(1).ok_or(PrintError)?)?.into(),
            b'n' => self.literal("null").map(|()| b"<nil>".as_slice())?.into(),
            b't' => self.literal("true").map(|()| b"true".as_slice())?.into(),
            b'f' => self.literal("false").map(|()| b"false".as_slice())?.into(),
            _ => self.number()?.into(),
        };
        Ok(Printed { bytes, is_text: first == b'"' })
    }

    /// `map[a:1 b:2]`: keys sorted, the last of several equal ones.
    fn map(&mut self, depth: usize) -> Result<Vec<u8>, PrintError> {
        let mut entries = BTreeMap::new();
        self.object(depth, |key, value| {
            entries.insert(key, value.bytes);
        })?;
        let mut out = b"map[".to_vec();
        for (at, (key, value)) in entries.iter().enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(key);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.push(b']');
        Ok(out)
    }

    /// `[a b c]`
    fn list(&mut self, depth: usize) -> Result<Vec<u8>, PrintError> {
        let mut out = b"[".to_vec();
        self.next()?;
        if self.peek()? == b']' {
            self.next()?;
        } else {
            loop {
                out.extend_from_slice(&self.value(depth)?.bytes);
                self.peek()?;
                match self.next()? {
                    b',' => out.push(b' '),
                    b']' => break,
                    _ => return Err(PrintError),
                }
            }
        }
        out.push(b']');
        Ok(out)
    }

    fn object(
        &mut self,
        depth: usize,
        mut visit: impl FnMut(Cow<'a, [u8]>, Printed<'a>),
    ) -> Result<(), PrintError> {
        self.next()?;
        if self.peek()? == b'}' {
            return self.next().map(|_| ());
        }
        loop {
            if self.peek()? != b'"' {
                return Err(PrintError);
            }
            let key = self.string()?;
            if self.peek()? != b':' {
                return Err(PrintError);
            }
            self.next()?;
            let value = self.value(depth)?;
            visit(key, value);
            self.peek()?;
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                _ => return Err(PrintError),
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, [u8]>, PrintError> {
        self.next()?;
        let mut out = Vec::new();
        loop {
            let plain = self.plain()?;
            if self.next()? == b'"' {
                if out.is_empty() {
                    return Ok(plain.into());
                }
                out.extend_from_slice(plain);
                return Ok(out.into());
            }
            out.extend_from_slice(plain);
            self.escape(&mut out)?;
        }
    }

    /// As much of a string as is itself.
    fn plain(&mut self) -> Result<&'a [u8], PrintError> {
        let length = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).ok_or(PrintError)?;
        let (plain, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(plain)
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), PrintError> {
        out.push(match self.next()? {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character = self.unicode()?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(PrintError),
        });
        Ok(())
    }

    /// The rest of `\uXXXX`, and of the pair that it may begin. Half a pair is U+FFFD.
    fn unicode(&mut self) -> Result<char, PrintError> {
        let high = self.hex4()?;
        if (0xd800..0xdc00).contains(&high)
            && let Some(rest) = self.rest.strip_prefix(b"\\u")
        {
            let mut ahead = Reader { rest };
            let low = ahead.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                self.rest = ahead.rest;
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, PrintError> {
        let (digits, rest) = self.rest.split_first_chunk::<4>().ok_or(PrintError)?;
        self.rest = rest;
        digits.iter().try_fold(0, |code, digit| {
            let digit = char::from(*digit).to_digit(16).ok_or(PrintError)?;
            Ok(code << 4 | digit)
        })
    }

    /// An integer that 64 bits hold stays one; anything else is a float.
    fn number(&mut self) -> Result<Vec<u8>, PrintError> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
        let length = self.rest.iter().take_while(|byte| is_part(byte)).count();
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        let text = std::str::from_utf8(text).map_err(|_| PrintError)?;
        if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(PrintError);
        }
        if let Ok(integer) = text.parse::<i64>() {
            return Ok(integer.to_string().into_bytes());
        }
        if let Ok(integer) = text.parse::<u64>() {
            return Ok(integer.to_string().into_bytes());
        }
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(go_float(float).into_bytes()),
            _ => Err(PrintError),
        }
    }
}

/// A float as Go's `%v` prints it: the shortest digits that give it back; below 1e-4 and from 1e6 on with an exponent,
/// which has at least two digits.
fn go_float(float: f64) -> String {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{float}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: &str) -> Option<String> {
        let mut found = None;
        read_object(format!("{{\"v\":{json}}}").as_bytes(), |_, value| {
            found = Some(String::from_utf8_lossy(&value.bytes).into_owned());
        })
        .ok()?;
        found
    }

    #[test]
    fn values_are_printed_as_go_prints_them() {
        for (json, text) in [
            ("1542834188", "1542834188"),
            ("-0", "0"),
            ("-0.0", "-0"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "1.8446744073709552e+19"),
            ("123456789.123", "1.23456789123e+08"),
            ("0.00001", "1e-05"),
            ("1e3", "1000"),
            ("1e21", "1e+21"),
            ("1234567.5", "1.2345675e+06"),
            ("14995.84375", "14995.84375"),
            (r#""a\u00e9\ud83d\ude80\ud800x\/""#, "aé🚀\u{fffd}x/"),
            (r#"{"b":1,"a":[null,true],"b":2}"#, "map[a:[<nil> true] b:2]"),
        ] {
            assert_eq!(printed(json).as_deref(), Some(text), "{json}");
        }
    }

    #[test]
    fn a_text_that_is_not_json_is_an_error() {
        for json in
            ["", "1,", "tru", "[1,]", "[1 2]", "\"", r#""\x""#, r#""\u12""#, "1e999", "+1", "'x'", "{1:2}"]
        {
            assert_eq!(printed(json), None, "{json}");
        }
    }
}
