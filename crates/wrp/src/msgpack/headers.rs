//! Replacing the headers of an encoded message without touching its other bytes.

use alloc::vec::Vec;

use super::encode::strings;
use super::read::{Collection, Reader};
use super::write::map_header;
use crate::{Field, MessageRef, Strings, WireError};

/// The key of the headers, with its msgpack header.
const KEY: &[u8] = b"\xa7headers";

impl MessageRef<'_> {
    /// Appends a v3 message to `out` with these headers in place of its own. All other fields keep their bytes, those that this
    /// crate does not know included. Returns whether it did: a message that is not a map is left alone.
    ///
    /// ```
    /// use wrp::{MessageRef, Strings};
    ///
    /// let frame = b"\x83\xa8msg_type\x04\xa7unknown\xa1x\xa7headers\x91\xa3a:b";
    /// let mut out = Vec::new();
    /// assert!(MessageRef::replace_headers(frame, &Strings::from(&["c:d"][..]), &mut out));
    /// assert_eq!(out, b"\x83\xa8msg_type\x04\xa7unknown\xa1x\xa7headers\x91\xa3c:d");
    /// ```
    pub fn replace_headers(frame: &[u8], headers: &Strings<'_>, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let is_replaced = replace(frame, headers, out).is_ok();
        if !is_replaced {
            out.truncate(start);
        }
        is_replaced
    }
}

fn replace(frame: &[u8], headers: &Strings<'_>, out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut reader = Reader { rest: frame, entries: usize::MAX };
    let Collection::Map(pairs) = reader.collection(WireError::ExpectedMessage)? else {
        return Err(WireError::ExpectedMessage);
    };
    let start = frame.len() - reader.rest.len();
    // The pairs before, between and after those that are left out.
    let mut kept = Vec::with_capacity(2);
    let (mut from, mut left_out) = (start, 0);
    for _ in 0..pairs {
        let at = frame.len() - reader.rest.len();
        let key = reader.str_or_bin()?.bytes;
        let is_replaced = Field::from_key(key) == Some(Field::Headers);
        reader.skip()?;
        if is_replaced {
            kept.push(from..at);
            from = frame.len() - reader.rest.len();
            left_out += 1;
        }
    }
    kept.push(from..frame.len() - reader.rest.len());
    out.reserve(frame.len() + KEY.len() + 64);
    map_header(pairs - left_out + 1, out);
    for part in kept {
        out.extend_from_slice(frame.get(part).unwrap_or_default());
    }
    out.extend_from_slice(KEY);
    strings(headers, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_byte_stays() {
        let new = Strings::from(&["traceparent: x"][..]);
        let encoded = b"\xa7headers\x91\xaetraceparent: x";
        for (frame, head, rest) in [
            (&b"\x81\xa4dest\xa1d"[..], 0x82, &b"\xa4dest\xa1d"[..]),
            (b"\x82\xa7headers\xc0\xa4dest\xa1d and more", 0x82, b"\xa4dest\xa1d"),
            (
                b"\x83\xa1a\xc4\x01x\xa7headers\x91\xa1y\xa1b\x92\x01\x02",
                0x83,
                b"\xa1a\xc4\x01x\xa1b\x92\x01\x02",
            ),
            (b"\x82\xc4\x07headers\x90\xa7headers\x90", 0x81, b""),
            (b"\x80", 0x81, b""),
        ] {
            let mut out = b"before".to_vec();
            assert!(MessageRef::replace_headers(frame, &new, &mut out), "{frame:x?}");
            assert_eq!(out, [b"before", &[head][..], rest, encoded].concat(), "{frame:x?}");
        }
    }

    #[test]
    fn what_is_not_a_map_is_left_alone() {
        for frame in [&b"\xc0"[..], b"\x91\x03", b"", b"\x81\xa4dest", b"\x81", b"\x01"] {
            let mut out = b"before".to_vec();
            assert!(!MessageRef::replace_headers(frame, &Strings::from(&["a"][..]), &mut out));
            assert_eq!(out, b"before");
        }
    }
}
