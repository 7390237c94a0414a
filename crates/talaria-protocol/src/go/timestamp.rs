//! Moments as Go's `RFC3339Nano` prints them: RFC 3339 with nanoseconds, without trailing zeros.
//!
//! What time it is, and in which zone the server is, the caller has to know.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::Offset;

/// The longest text: `2026-11-23T06:49:48.082200476-05:00`, with room for odd years.
const CAPACITY: usize = 40;

/// A printed moment. It owns no memory on the heap; its text is borrowed with [`as_str`](Stamp::as_str).
#[derive(Clone, Copy)]
pub struct Stamp {
    text: [u8; CAPACITY],
    length: u8,
}

impl Stamp {
    /// A moment in UTC: `connected-at`, `connectedAt`.
    #[must_use]
    pub fn utc(moment: Timestamp) -> Self {
        Self::at(moment, Offset::UTC)
    }

    /// A moment in a zone of this offset.
    #[must_use]
    pub fn at(moment: Timestamp, offset: Offset) -> Self {
        let time = offset.to_datetime(moment);
        let mut out = Writer { text: [0; CAPACITY], at: 0 };
        out.digits(time.year().unsigned_abs().into(), 4);
        for (separator, part) in [
            (b'-', time.month()),
            (b'-', time.day()),
            (b'T', time.hour()),
            (b':', time.minute()),
            (b':', time.second()),
        ] {
            out.byte(separator);
            out.digits(u32::from(part.unsigned_abs()), 2);
        }
        out.fraction(time.subsec_nanosecond().unsigned_abs());
        out.offset(offset.seconds());
        Self { text: out.text, length: out.at as u8 }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever written.
        std::str::from_utf8(&self.text[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

struct Writer {
    text: [u8; CAPACITY],
    at: usize,
}

impl Writer {
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.at) {
            *place = byte;
            self.at += 1;
        }
    }

    /// The last `count` decimal digits of `number`.
    fn digits(&mut self, number: u32, count: u32) {
        for place in (0..count).rev() {
            self.byte(b'0' + (number / 10_u32.pow(place) % 10) as u8);
        }
    }

    fn fraction(&mut self, nanoseconds: u32) {
        if nanoseconds == 0 {
            return;
        }
        self.byte(b'.');
        self.digits(nanoseconds, 9);
        while self.text[self.at - 1] == b'0' {
            self.at -= 1;
        }
    }

    /// `Z`, or hours and minutes.
    fn offset(&mut self, seconds: i32) {
        if seconds == 0 {
            return self.byte(b'Z');
        }
        self.byte(if seconds < 0 { b'-' } else { b'+' });
        let minutes = seconds.unsigned_abs() / 60;
        self.digits(minutes / 60, 2);
        self.byte(b':');
        self.digits(minutes % 60, 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(text: &str, offset: i32) -> String {
        Stamp::at(text.parse().unwrap(), Offset::from_seconds(offset).unwrap()).to_string()
    }

    #[test]
    fn trailing_zeros_are_dropped() {
        assert_eq!(stamp("2026-11-23T11:49:48.0822Z", 0), "2026-11-23T11:49:48.0822Z");
        assert_eq!(stamp("2026-11-23T11:49:48.000000001Z", 0), "2026-11-23T11:49:48.000000001Z");
        assert_eq!(stamp("2026-11-23T11:49:48Z", 0), "2026-11-23T11:49:48Z");
        assert_eq!(stamp("2026-01-02T03:04:50Z", 0), "2026-01-02T03:04:50Z");
    }

    #[test]
    fn a_zone_is_written_as_hours_and_minutes() {
        assert_eq!(stamp("2026-11-23T11:49:48.082200476Z", -5 * 3600), "2026-11-23T06:49:48.082200476-05:00");
        assert_eq!(stamp("2026-12-31T20:00:00Z", 5 * 3600 + 45 * 60), "2027-01-01T01:45:00+05:45");
    }
}
