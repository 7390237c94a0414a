//! Reading msgpack values off the front of a slice.

use crate::Problem;

/// How deep values under unknown keys may be nested. The reference takes a thousand or so; messages need three.
const MAX_DEPTH: usize = 1024;

/// What is left to read.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

/// Texts and binaries that are read as text, and whether their header is the one that the encoders would write.
pub(super) struct Bytes<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) canonical: bool,
}

/// A collection's header.
pub(super) enum Collection {
    /// An array of so many values.
    Array(usize),
    /// A map of so many pairs.
    Map(usize),
    /// A nil.
    Nil,
}

impl<'a> Reader<'a> {
    /// A str.
    #[inline]
    pub(super) fn str(&mut self) -> Result<Bytes<'a>, Problem> {
        match self.short_str() {
            Some(bytes) => Ok(Bytes { bytes, canonical: true }),
            None => self.long_str(),
        }
    }

    /// A str, a bin, a nil or an empty array, where v3 takes each for the other.
    #[inline]
    pub(super) fn str_or_bin(&mut self) -> Result<Bytes<'a>, Problem> {
        match self.short_str() {
            Some(bytes) => Ok(Bytes { bytes, canonical: true }),
            None => self.long_str_or_bin(),
        }
    }

    /// A str of less than 32 bytes with the header that is meant for those, as most are.
    #[inline]
    fn short_str(&mut self) -> Option<&'a [u8]> {
        let [marker @ 0xa0..=0xbf, rest @ ..] = self.rest else { return None };
        let (bytes, rest) = rest.split_at_checked(usize::from(marker & 0x1f))?;
        self.rest = rest;
        Some(bytes)
    }

    fn long_str(&mut self) -> Result<Bytes<'a>, Problem> {
        let (len, shortest) = match self.byte()? {
            0xa0..=0xbf => return Err(Problem::Truncated), // or it would have been a short one
            0xd9 => (self.number::<1>()?, 0x20),
            0xda => (self.number::<2>()?, 0x100),
            0xdb => (self.number::<4>()?, 0x1_0000),
            0xc1 => return Err(Problem::Reserved),
            _ => return Err(Problem::ExpectedText),
        };
        Ok(Bytes { bytes: self.take(len)?, canonical: len >= shortest })
    }

    fn long_str_or_bin(&mut self) -> Result<Bytes<'a>, Problem> {
        match self.rest.first() {
            Some(0xc4..=0xc6) => Ok(Bytes { bytes: self.bin()?, canonical: false }),
            Some(0xc0 | 0x90) => {
                self.take(1)?;
                Ok(Bytes { bytes: &[], canonical: false })
            }
            _ => self.long_str(),
        }
    }

    /// A bin.
    pub(super) fn bin(&mut self) -> Result<&'a [u8], Problem> {
        let len = match self.byte()? {
            0xc4 => self.number::<1>()?,
            0xc5 => self.number::<2>()?,
            0xc6 => self.number::<4>()?,
            0xc1 => return Err(Problem::Reserved),
            _ => return Err(Problem::ExpectedPayload),
        };
        self.take(len)
    }

    /// An integer of any width. With `LENIENT`, also a whole float between -2^52 and 2^52, and unsigned numbers wrap.
    #[inline]
    pub(super) fn integer<const LENIENT: bool>(&mut self) -> Result<i64, Problem> {
        Ok(match self.byte()? {
            small @ 0x00..=0x7f => i64::from(small),
            small @ 0xe0..=0xff => i64::from(small.cast_signed()),
            0xcc => i64::from(u8::from_be_bytes(self.array()?)),
            0xcd => i64::from(u16::from_be_bytes(self.array()?)),
            0xce => i64::from(u32::from_be_bytes(self.array()?)),
            0xcf if LENIENT => u64::from_be_bytes(self.array()?).cast_signed(),
            0xcf => i64::try_from(u64::from_be_bytes(self.array()?)).map_err(|_| Problem::OutOfRange)?,
            0xd0 => i64::from(i8::from_be_bytes(self.array()?)),
            0xd1 => i64::from(i16::from_be_bytes(self.array()?)),
            0xd2 => i64::from(i32::from_be_bytes(self.array()?)),
            0xd3 => i64::from_be_bytes(self.array()?),
            0xca if LENIENT => whole(f64::from(f32::from_be_bytes(self.array()?)))?,
            0xcb if LENIENT => whole(f64::from_be_bytes(self.array()?))?,
            0xc1 => return Err(Problem::Reserved),
            _ => return Err(Problem::ExpectedInteger),
        })
    }

    /// A bool, or 0 or 1 in its place.
    pub(super) fn boolean(&mut self) -> Result<bool, Problem> {
        match self.byte()? {
            0xc3 | 0x01 => Ok(true),
            0xc2 | 0x00 => Ok(false),
            0xc1 => Err(Problem::Reserved),
            _ => Err(Problem::ExpectedBool),
        }
    }

    /// Takes a nil off the front, if there is one.
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

    /// The header of an array, a map, or a nil.
    #[inline]
    pub(super) fn collection(&mut self, expected: Problem) -> Result<Collection, Problem> {
        Ok(match self.byte()? {
            small @ 0x80..=0x8f => Collection::Map(usize::from(small & 0x0f)),
            small @ 0x90..=0x9f => Collection::Array(usize::from(small & 0x0f)),
            0xde => Collection::Map(self.number::<2>()?),
            0xdf => Collection::Map(self.number::<4>()?),
            0xdc => Collection::Array(self.number::<2>()?),
            0xdd => Collection::Array(self.number::<4>()?),
            0xc0 => Collection::Nil,
            0xc1 => return Err(Problem::Reserved),
            _ => return Err(expected),
        })
    }

    /// Takes a whole value off the front, whatever it is.
    #[cold]
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        self.skip_nested(MAX_DEPTH)
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), Problem> {
        let marker = self.byte()?;
        let (bytes, values) = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
            0x80..=0x8f => (0, 2 * usize::from(marker & 0x0f)),
            0x90..=0x9f => (0, usize::from(marker & 0x0f)),
            0xa0..=0xbf => (usize::from(marker & 0x1f), 0),
            0xc1 => return Err(Problem::Reserved),
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
            return Err(Problem::TooDeep);
        }
        for _ in 0..values {
            self.skip_nested(depth - 1)?;
        }
        Ok(())
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Problem> {
        let (&byte, rest) = self.rest.split_first().ok_or(Problem::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Problem::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Problem::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    fn number<const N: usize>(&mut self) -> Result<usize, Problem> {
        let (number, rest) = super::walk::big_endian::<N>(self.rest).ok_or(Problem::Truncated)?;
        self.rest = rest;
        Ok(number)
    }
}

/// The integer that a float is, by the reference's reckoning: 0, or whole and of a magnitude from 1 up to 2^52.
#[expect(clippy::cast_possible_truncation, reason = "the range has just been checked")]
fn whole(float: f64) -> Result<i64, Problem> {
    let fits = (1.0..4_503_599_627_370_496.0).contains(&float.abs()) && float.fract() == 0.0;
    if fits || float.to_bits() == 0 { Ok(float as i64) } else { Err(Problem::ExpectedInteger) }
}
