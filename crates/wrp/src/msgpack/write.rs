//! Writing msgpack values: texts, bytes, integers, and the headers of lists and maps.

use alloc::vec::Vec;

use crate::Text;

#[inline]
pub(crate) fn str(text: Text<'_>, out: &mut Vec<u8>) {
    match text.len() {
        len @ ..0x20 => out.push(0xa0 | low_byte(len)),
        len @ ..0x100 => out.extend_from_slice(&[0xd9, low_byte(len)]),
        len => long_header(0xda, len, out),
    }
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn bin(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes.len() {
        len @ ..0x100 => out.extend_from_slice(&[0xc4, low_byte(len)]),
        len => long_header(0xc5, len, out),
    }
    out.extend_from_slice(bytes);
}

pub(crate) fn array_header(len: usize, out: &mut Vec<u8>) {
    match len {
        ..0x10 => out.push(0x90 | low_byte(len)),
        _ => long_header(0xdc, len, out),
    }
}

pub(crate) fn map_header(len: usize, out: &mut Vec<u8>) {
    match len {
        ..0x10 => out.push(0x80 | low_byte(len)),
        _ => long_header(0xde, len, out),
    }
}

/// Appends `marker` and a length of two bytes or, if that is too short, the next marker and four bytes.
#[cold]
fn long_header(marker: u8, len: usize, out: &mut Vec<u8>) {
    match u16::try_from(len) {
        Ok(len) => {
            out.push(marker);
            out.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            out.push(marker + 1);
            out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

/// Appends an integer in the shortest signed width: 128 takes two bytes.
#[inline]
pub(crate) fn integer(value: i64, out: &mut Vec<u8>) {
    if let Ok(small) = i8::try_from(value) {
        if small < -32 {
            out.push(0xd0);
        }
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xd1);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xd2);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// A length that the caller has checked to be below 256.
#[expect(clippy::cast_possible_truncation, reason = "only called with lengths below 256")]
const fn low_byte(len: usize) -> u8 {
    len as u8
}
