//! Finding the end of what needs no attention in a text, eight bytes at a time.

const ONES: u64 = u64::MAX / 0xff;
const HIGH: u64 = 0x80 * ONES;

/// How many bytes at the front need no attention when a text is read: the position of the first quote, backslash or control
/// character, or of the last few bytes, which are not looked at.
pub(super) fn before_special(bytes: &[u8]) -> usize {
    scan(bytes, |word| equal(word, b'"') | equal(word, b'\\') | controls(word))
}

/// How many bytes at the front are written as they are: all of them, or those before the first quote, backslash, control
/// character, `<`, `>`, `&` or byte that is not ASCII.
pub(super) fn before_escape(bytes: &[u8]) -> usize {
    let marked = |word| {
        // One comparison for two characters that differ in one bit: `"` and `&`, `<` and `>`.
        let quotes = equal(word | (0x04 * ONES), b'&');
        let angles = equal(word | (0x02 * ONES), b'>');
        quotes | angles | equal(word, b'\\') | controls(word) | (word & HIGH)
    };
    let whole = scan(bytes, marked);
    // Found in a whole word, and not after the last one.
    if whole % 8 != 0 || whole + 8 <= bytes.len() {
        return whole;
    }
    let found = marked(last_word(bytes));
    bytes.len().min(whole + found.trailing_zeros() as usize / 8)
}

/// The bytes after the last whole word, fewer than eight, with zeros behind them. Reads few words instead of each byte.
#[inline]
fn last_word(bytes: &[u8]) -> u64 {
    let count = bytes.len() % 8;
    if count == 0 {
        return 0;
    }
    if let Some(chunk) = bytes.last_chunk::<8>() {
        return u64::from_le_bytes(*chunk) >> (64 - 8 * count);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first))
            | u64::from(u32::from_le_bytes(*last)) << (8 * count - 32);
    }
    // The middle one of three bytes is the last one of two, and the first one of one.
    let at = |index: usize| bytes.get(index).map_or(0, |byte| u64::from(*byte) << (8 * index));
    at(0) | at(count / 2) | at(count - 1)
}

/// `marked` sets the high bit of each byte that is searched for; above the first of them, it may set others as well.
#[inline]
fn scan(bytes: &[u8], marked: impl Fn(u64) -> u64) -> usize {
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let found = marked(u64::from_le_bytes(*chunk));
        if found != 0 {
            return bytes.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    bytes.len() - rest.len()
}

#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    let differing = word ^ (byte as u64 * ONES);
    differing.wrapping_sub(ONES) & !differing & HIGH
}

/// The bytes below 0x20.
#[inline]
const fn controls(word: u64) -> u64 {
    word.wrapping_sub(0x20 * ONES) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_needs_attention_is_found_at_any_place_in_a_word() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut word = [b'x', 0x1f + 1, b'~', b'!', b'#', b'=', b'[', b']'];
                word[at] = byte;
                let is_special = matches!(byte, b'"' | b'\\' | 0..0x20);
                assert_eq!(before_special(&word), if is_special { at } else { 8 }, "{byte:#x} at {at}");
                let is_escaped = is_special || matches!(byte, b'<' | b'>' | b'&' | 0x80..);
                assert_eq!(before_escape(&word), if is_escaped { at } else { 8 }, "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn the_last_few_bytes_are_looked_at_only_where_that_is_promised() {
        assert_eq!((before_special(b"1234567\""), before_special(b"123456\"")), (7, 0));
        for length in 0..20 {
            let text = [&[b'x'; 20][..length], b"<x"].concat();
            assert_eq!(before_escape(&text), length);
            assert_eq!(before_escape(&text[..length]), length);
        }
    }
}
