//! Reading msgpack values from the front of a slice.
//!
//! Each method of [`Reader`] takes one value or header from the front, or fails. The bytes come from strangers: no length
//! prefix is trusted.

use crate::WireError;

/// The deepest nesting that is accepted under unknown keys (contract §1.6). Known fields need three levels.
const MAX_DEPTH: usize = 1024;

/// The bytes that are left to read.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
    /// How many entries of maps and items of lists may still follow.
    pub(super) entries: usize,
}

/// The content of a text.
pub(super) struct Bytes<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether its header is the one that the encoders would write.
    pub(super) canonical: bool,
}

/// The header of a collection, with the number of its values (array) or pairs (map).
pub(super) enum Collection {
    Array(usize),
    Map(usize),
    Nil,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn str(&mut self) -> Result<Bytes<'a>, WireError> {
        match self.short_str() {
            Some(bytes) => Ok(Bytes { bytes, canonical: true }),
            None => self.long_str(),
        }
    }

    /// A text in v3: a str or a bin; nil and an empty array are the empty text.
    #[inline]
    pub(super) fn str_or_bin(&mut self) -> Result<Bytes<'a>, WireError> {
        match self.short_str() {
            Some(bytes) => Ok(Bytes { bytes, canonical: true }),
            None => self.long_str_or_bin(),
        }
    }

    /// A str of less than 32 bytes with a header of one byte. Most texts are such.
    #[inline]
    fn short_str(&mut self) -> Option<&'a [u8]> {
        let [marker @ 0xa0..=0xbf, rest @ ..] = self.rest else { return None };
        let (bytes, rest) = rest.split_at_checked(usize::from(marker & 0x1f))?;
        self.rest = rest;
        Some(bytes)
    }

    fn long_str(&mut self) -> Result<Bytes<'a>, WireError> {
        let (len, shortest) = match self.byte()? {
            0xa0..=0xbf => return Err(WireError::Truncated), // `short_str` reads the complete ones
            0xd9 => (self.number::<1>()?, 0x20),
            0xda => (self.number::<2>()?, 0x100),
            0xdb => (self.number::<4>()?, 0x1_0000),
            0xc1 => return Err(WireError::Reserved),
            _ => return Err(WireError::ExpectedText),
        };
        Ok(Bytes { bytes: self.take(len)?, canonical: len >= shortest })
    }

    fn long_str_or_bin(&mut self) -> Result<Bytes<'a>, WireError> {
        match self.rest.first() {
            Some(0xc4..=0xc6) => Ok(Bytes { bytes: self.bin()?, canonical: false }),
            Some(0xc0 | 0x90) => {
                self.take(1)?;
                Ok(Bytes { bytes: &[], canonical: false })
            }
            _ => self.long_str(),
        }
    }

    pub(super) fn bin(&mut self) -> Result<&'a [u8], WireError> {
        let len = match self.byte()? {
            0xc4 => self.number::<1>()?,
            0xc5 => self.number::<2>()?,
            0xc6 => self.number::<4>()?,
            0xc1 => return Err(WireError::Reserved),
            _ => return Err(WireError::ExpectedPayload),
        };
        self.take(len)
    }

    /// An integer of any width. With `LENIENT` also a whole float between -2^52 and 2^52, and an unsigned integer above
    /// 2^63-1 wraps.
    #[inline]
    pub(super) fn integer<const LENIENT: bool>(&mut self) -> Result<i64, WireError> {
        Ok(match self.byte()? {
            small @ 0x00..=0x7f => i64::from(small),
            small @ 0xe0..=0xff => i64::from(i8::from_be_bytes([small])),
            0xcc => i64::from(u8::from_be_bytes(self.array()?)),
            0xcd => i64::from(u16::from_be_bytes(self.array()?)),
            0xce => i64::from(u32::from_be_bytes(self.array()?)),
            0xcf if LENIENT => i64::from_be_bytes(self.array()?),
            0xcf => i64::try_from(u64::from_be_bytes(self.array()?)).map_err(|_| WireError::OutOfRange)?,
            0xd0 => i64::from(i8::from_be_bytes(self.array()?)),
            0xd1 => i64::from(i16::from_be_bytes(self.array()?)),
            0xd2 => i64::from(i32::from_be_bytes(self.array()?)),
            0xd3 => i64::from_be_bytes(self.array()?),
            0xca if LENIENT => whole(f64::from(f32::from_be_bytes(self.array()?)))?,
            0xcb if LENIENT => whole(f64::from_be_bytes(self.array()?))?,
            0xc1 => return Err(WireError::Reserved),
            _ => return Err(WireError::ExpectedInteger),
        })
    }

    /// A bool; the integers 0 and 1 count as one.
    pub(super) fn boolean(&mut self) -> Result<bool, WireError> {
        match self.byte()? {
            0xc3 | 0x01 => Ok(true),
            0xc2 | 0x00 => Ok(false),
            0xc1 => Err(WireError::Reserved),
            _ => Err(WireError::ExpectedBool),
        }
    }

    /// Takes a nil, if it comes next.
    #[inline]
    pub(super) fn nil(&mut self) -> bool {
        match self.rest {
            [0xc0, rest @ ..] => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// The header of an array or a map, or a nil; `expected` is the error for any other type.
    #[inline]
    pub(super) fn collection(&mut self, expected: WireError) -> Result<Collection, WireError> {
        Ok(match self.byte()? {
            small @ 0x80..=0x8f => Collection::Map(usize::from(small & 0x0f)),
            small @ 0x90..=0x9f => Collection::Array(usize::from(small & 0x0f)),
            0xde => Collection::Map(self.number::<2>()?),
            0xdf => Collection::Map(self.number::<4>()?),
            0xdc => Collection::Array(self.number::<2>()?),
            0xdd => Collection::Array(self.number::<4>()?),
            0xc0 => Collection::Nil,
            0xc1 => return Err(WireError::Reserved),
            _ => return Err(expected),
        })
    }

    /// Counts the entries of a map or list that comes next, before they are read.
    #[inline]
    pub(super) fn expect_entries(&mut self, count: usize) -> Result<(), WireError> {
        self.entries = self.entries.checked_sub(count).ok_or(WireError::TooManyEntries)?;
        Ok(())
    }

    /// Takes a value of any type, with all that is nested in it.
    #[cold]
    pub(super) fn skip(&mut self) -> Result<(), WireError> {
        self.skip_nested(MAX_DEPTH)
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), WireError> {
        let marker = self.byte()?;
        let (bytes, values) = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
            0x80..=0x8f => (0, 2 * usize::from(marker & 0x0f)),
            0x90..=0x9f => (0, usize::from(marker & 0x0f)),
            0xa0..=0xbf => (usize::from(marker & 0x1f), 0),
            0xc1 => return Err(WireError::Reserved),
            0xc4 | 0xd9 => (self.number::<1>()?, 0),
            0xc5 | 0xda => (self.number::<2>()?, 0),
            0xc6 | 0xdb => (self.number::<4>()?, 0),
            0xc7 => (self.number::<1>()? + 1, 0),
            0xc8 => (self.number::<2>()? + 1, 0),
            0xc9 => (self.number::<4>()?.saturating_add(1), 0),
            0xcc | 0xd0 => (1, 0),
            0xcd | 0xd1 => (2, 0),
            0xca | 0xce | 0xd2 => (4, 0),
            0xcb | 0xcf | 0xd3 => (8, 0),
            0xd4..=0xd8 => ((1 << (marker - 0xd4)) + 1, 0),
            0xdc => (0, self.number::<2>()?),
            0xdd => (0, self.number::<4>()?),
            0xde => (0, 2 * self.number::<2>()?),
            0xdf => (0, self.number::<4>()?.saturating_mul(2)),
        };
        self.take(bytes)?;
        if values > 0 && depth == 0 {
            return Err(WireError::TooDeep);
        }
        self.expect_entries(values)?;
        for _ in 0..values {
            self.skip_nested(depth - 1)?;
        }
        Ok(())
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, WireError> {
        let (&byte, rest) = self.rest.split_first().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    fn number<const N: usize>(&mut self) -> Result<usize, WireError> {
        let (number, rest) = super::walk::big_endian::<N>(self.rest).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(number)
    }
}

/// Converts a float as the reference does: it must be 0, or whole with a magnitude of at least 1 and below 2^52.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "in this range each integer is a float"
)]
fn whole(float: f64) -> Result<i64, WireError> {
    let fits = (1.0..4_503_599_627_370_496.0).contains(&float.abs());
    let integer = float as i64;
    let is_whole = fits && integer as f64 == float;
    if is_whole || float.to_bits() == 0 { Ok(integer) } else { Err(WireError::ExpectedInteger) }
}
