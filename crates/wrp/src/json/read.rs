//! Reading JSON values off the front of a text.

use std::borrow::Cow;

use super::number;
use crate::Problem;

/// How deep values under unknown keys may be nested.
const MAX_DEPTH: usize = 1024;

/// What is left to read. With `STRICT` the grammar is JSON's own; else texts may hold raw control characters and bytes that
/// are not UTF-8.
pub(super) struct Reader<'a, const STRICT: bool> {
    pub(super) rest: &'a [u8],
}

impl<'a, const STRICT: bool> Reader<'a, STRICT> {
    /// The first byte of the next value, which stays where it is.
    pub(super) fn peek(&mut self) -> Result<u8, Problem> {
        let blanks = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.rest = &self.rest[blanks..];
        self.rest.first().copied().ok_or(Problem::Truncated)
    }

    /// Takes a piece of punctuation off the front.
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Problem> {
        if self.peek()? != byte {
            return Err(Problem::Syntax);
        }
        self.rest = &self.rest[1..];
        Ok(())
    }

    /// Takes a null off the front, if there is one.
    pub(super) fn null(&mut self) -> Result<bool, Problem> {
        if self.peek()? != b'n' {
            return Ok(false);
        }
        self.word(b"null")?;
        Ok(true)
    }

    /// Takes a word off the front.
    pub(super) fn word(&mut self, word: &[u8]) -> Result<(), Problem> {
        self.peek()?;
        self.rest = self.rest.strip_prefix(word).ok_or(Problem::Syntax)?;
        Ok(())
    }

    /// Reads a list or an object: `item` is called at the start of each element, and has to take it off the front.
    pub(super) fn each(
        &mut self,
        open: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
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

    /// The characters of a number. Without `STRICT` they need not make one.
    pub(super) fn number(&mut self) -> Result<&'a [u8], Problem> {
        self.peek()?;
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let (number, rest) = self.rest.split_at(self.rest.iter().take_while(is_part).count());
        if number.is_empty() || (STRICT && !number::is_number(number)) {
            return Err(Problem::Syntax);
        }
        self.rest = rest;
        Ok(number)
    }

    /// A text as it is written, without its quotes, and whether it has escapes.
    pub(super) fn raw_text(&mut self) -> Result<(&'a [u8], bool), Problem> {
        self.expect(b'"')?;
        let mut escaped = false;
        let mut at = 0;
        loop {
            match self.rest.get(at).ok_or(Problem::Truncated)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    at += 2;
                }
                0x00..=0x1f if STRICT => return Err(Problem::Syntax),
                _ => at += 1,
            }
        }
        let text = &self.rest[..at];
        self.rest = &self.rest[at + 1..];
        Ok((text, escaped))
    }

    /// A text.
    pub(super) fn text(&mut self) -> Result<Cow<'a, [u8]>, Problem> {
        let (text, escaped) = self.raw_text()?;
        let text = if escaped { Cow::Owned(unescape::<STRICT>(text)?) } else { Cow::Borrowed(text) };
        if STRICT && std::str::from_utf8(&text).is_err() {
            return Ok(Cow::Owned(repaired(&text)));
        }
        Ok(text)
    }

    /// Takes a whole value off the front, whatever it is.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        self.skip_nested(MAX_DEPTH)
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), Problem> {
        let open = self.peek()?;
        match open {
            b'[' | b'{' if depth == 0 => Err(Problem::TooDeep),
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

/// Resolves the escapes of a text. Half of a surrogate pair is an error to v3 and U+FFFD to v5.
fn unescape<const STRICT: bool>(mut text: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::with_capacity(text.len());
    while let Some(at) = text.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&text[..at]);
        let escape = text.get(at + 1).ok_or(Problem::Syntax)?;
        text = &text[at + 2..];
        let plain = match escape {
            b'"' | b'\\' | b'/' => *escape,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (unit, rest) = code_unit(text).ok_or(Problem::Syntax)?;
                text = rest;
                let (character, rest) = character(unit, text);
                text = rest;
                if character.is_none() && !STRICT {
                    return Err(Problem::Syntax);
                }
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return Err(Problem::Syntax),
        };
        out.push(plain);
    }
    out.extend_from_slice(text);
    Ok(out)
}

/// The character that a code unit and, if need be, the escape after it make; and what is left.
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

/// Four hex digits.
fn code_unit(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let unit = digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))?;
    Some((u16::try_from(unit).ok()?, rest))
}

/// The text with U+FFFD in place of every byte that is not UTF-8, as Go does it.
fn repaired(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        chunk.invalid().iter().for_each(|_| out.extend_from_slice("\u{fffd}".as_bytes()));
    }
    out
}
