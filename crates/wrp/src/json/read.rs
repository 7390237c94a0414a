//! Reading JSON values from the front of a text.
//!
//! Each method of [`Reader`] takes one value or piece of punctuation from the front, blanks before it included, or fails.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::number;
use super::scan::before_special;
use crate::WireError;

/// The deepest nesting that is accepted under unknown keys (contract §1.6).
const MAX_DEPTH: usize = 1024;

/// The text that is left to read. With `STRICT` (v5) the grammar is JSON's; without it (v3) texts may also contain raw
/// control characters and bytes that are not UTF-8.
pub(super) struct Reader<'a, const STRICT: bool> {
    pub(super) rest: &'a [u8],
    /// How many entries of objects and items of lists may still follow.
    pub(super) entries: usize,
}

impl<'a, const STRICT: bool> Reader<'a, STRICT> {
    /// The first byte of the next value, which is not taken.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, WireError> {
        match self.rest.first() {
            Some(byte @ b'!'..) => Ok(*byte),
            _ => self.peek_after_blanks(),
        }
    }

    fn peek_after_blanks(&mut self) -> Result<u8, WireError> {
        let blanks = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.rest = &self.rest[blanks..];
        self.rest.first().copied().ok_or(WireError::Truncated)
    }

    /// Takes a piece of punctuation.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), WireError> {
        if self.peek()? != byte {
            return Err(WireError::Syntax);
        }
        self.rest = &self.rest[1..];
        Ok(())
    }

    /// Takes a null, if it comes next.
    pub(super) fn null(&mut self) -> Result<bool, WireError> {
        if self.peek()? != b'n' {
            return Ok(false);
        }
        self.word(b"null")?;
        Ok(true)
    }

    /// Takes `null`, `true` or `false`.
    pub(super) fn word(&mut self, word: &[u8]) -> Result<(), WireError> {
        self.peek()?;
        self.rest = self.rest.strip_prefix(word).ok_or(WireError::Syntax)?;
        Ok(())
    }

    /// Takes a list or an object: `item` is called at the start of each element and has to take it. The elements count
    /// against the limit.
    pub(super) fn each(
        &mut self,
        open: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        self.each_uncounted(open, |reader| {
            reader.entries = reader.entries.checked_sub(1).ok_or(WireError::TooManyEntries)?;
            item(reader)
        })
    }

    /// The same without the limit.
    pub(super) fn each_uncounted(
        &mut self,
        open: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let close = if open == b'[' { b']' } else { b'}' };
        self.expect(open)?;
        if self.peek()? == close {
            return self.expect(close);
        }
        loop {
            item(self)?;
            if self.peek()? == close {
                return self.expect(close);
            }
            self.expect(b',')?;
        }
    }

    /// Takes the characters of a number. Without `STRICT` their order is not checked.
    pub(super) fn number(&mut self) -> Result<&'a [u8], WireError> {
        self.peek()?;
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let (number, rest) = self.rest.split_at(self.rest.iter().take_while(is_part).count());
        if number.is_empty() || (STRICT && !number::is_number(number)) {
            return Err(WireError::Syntax);
        }
        self.rest = rest;
        Ok(number)
    }

    /// Takes a text as it is written, without its quotes, and returns whether it has escapes.
    #[inline]
    pub(super) fn raw_text(&mut self) -> Result<(&'a [u8], bool), WireError> {
        self.expect(b'"')?;
        let plain = before_special(self.rest);
        match self.rest.get(plain) {
            Some(b'"') => Ok((self.up_to_quote(plain), false)),
            _ => self.rest_of_text(plain),
        }
    }

    /// The same, once the opening quote and the first bytes have been seen.
    fn rest_of_text(&mut self, seen: usize) -> Result<(&'a [u8], bool), WireError> {
        let mut escaped = false;
        let mut at = seen;
        loop {
            match self.rest.get(at).ok_or(WireError::Truncated)? {
                b'"' => return Ok((self.up_to_quote(at), escaped)),
                b'\\' => {
                    escaped = true;
                    at += 2;
                }
                0x00..=0x1f if STRICT => return Err(WireError::Syntax),
                _ => at += 1,
            }
            at += before_special(self.rest.get(at..).unwrap_or_default());
        }
    }

    #[inline]
    fn up_to_quote(&mut self, at: usize) -> &'a [u8] {
        let (text, rest) = self.rest.split_at(at);
        self.rest = &rest[1..];
        text
    }

    /// Takes a text and resolves its escapes.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Cow<'a, [u8]>, WireError> {
        let (text, escaped) = self.raw_text()?;
        if !escaped && !STRICT {
            return Ok(Cow::Borrowed(text));
        }
        Self::resolved(text, escaped)
    }

    fn resolved(text: &'a [u8], escaped: bool) -> Result<Cow<'a, [u8]>, WireError> {
        let text = if escaped { Cow::Owned(unescape::<STRICT>(text)?) } else { Cow::Borrowed(text) };
        if STRICT && core::str::from_utf8(&text).is_err() {
            return Ok(Cow::Owned(repaired(&text)));
        }
        Ok(text)
    }

    /// Takes a value of any type, with all that is nested in it.
    pub(super) fn skip(&mut self) -> Result<(), WireError> {
        self.skip_nested(MAX_DEPTH)
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), WireError> {
        let open = self.peek()?;
        match open {
            b'[' | b'{' if depth == 0 => Err(WireError::TooDeep),
            b'[' => self.each(open, |reader| reader.skip_nested(depth - 1)),
            b'{' => self.each(open, |reader| {
                reader.text()?;
                reader.expect(b':')?;
                reader.skip_nested(depth - 1)
            }),
            b'"' => self.text().map(drop),
            b'n' => self.word(b"null"),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            _ => self.number().map(drop),
        }
    }
}

/// Resolves the escapes of a text. Half of a surrogate pair is an error in v3 and U+FFFD in v5.
fn unescape<const STRICT: bool>(mut text: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(text.len());
    while let Some(at) = text.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&text[..at]);
        let escape = text.get(at + 1).ok_or(WireError::Syntax)?;
        text = &text[at + 2..];
        let plain = match escape {
            b'"' | b'\\' | b'/' => *escape,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (unit, rest) = code_unit(text).ok_or(WireError::Syntax)?;
                text = rest;
                let (character, rest) = character(unit, text);
                text = rest;
                if character.is_none() && !STRICT {
                    return Err(WireError::Syntax);
                }
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return Err(WireError::Syntax),
        };
        out.push(plain);
    }
    out.extend_from_slice(text);
    Ok(out)
}

/// The character of a UTF-16 code unit and, for the first half of a surrogate pair, of the escape after it; and the rest of
/// the text.
fn character(unit: u16, text: &[u8]) -> (Option<char>, &[u8]) {
    let alone = char::from_u32(u32::from(unit));
    if alone.is_some() {
        return (alone, text);
    }
    let second = text.strip_prefix(b"\\u").and_then(code_unit);
    let pair = second.and_then(|(low, rest)| {
        let character = char::decode_utf16([unit, low]).next()?.ok()?;
        Some((Some(character), rest))
    });
    pair.unwrap_or((None, text))
}

/// Splits four hex digits off the front.
fn code_unit(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let unit = digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))?;
    Some((u16::try_from(unit).ok()?, rest))
}

/// Replaces each byte that is not UTF-8 by U+FFFD, as Go does.
fn repaired(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        chunk.invalid().iter().for_each(|_| out.extend_from_slice("\u{fffd}".as_bytes()));
    }
    out
}
