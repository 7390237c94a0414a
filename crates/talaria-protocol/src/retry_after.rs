//! `Retry-After` of an answer: how long the receiver asks to wait (RFC 9110 §10.2.3).
//!
//! It is a number of seconds, or a date in one of the three formats of RFC 9110 §5.6.7. Anything else means nothing.
//! What time it is, the caller has to know.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// The three letters of each month in a date.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The longest text that is read. Dates have at most 33 characters.
const LONGEST: usize = 64;

/// How long to wait from `now` on; zero if the date has passed; none for a text that is neither a number nor a date.
#[must_use]
pub fn wait(value: &[u8], now: Timestamp) -> Option<Duration> {
    if value.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are longer than any event waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let wait = date(text, now)?.duration_since(now);
    // A negative one is in the past.
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`.
fn date(text: &str, now: Timestamp) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace();
    let mut next = || words.next();
    let (day, month, year, time) = match next()?.split_once(',') {
        Some((_, "")) => {
            let first = next()?;
            let (day, month, year) = match first.split_once('-') {
                Some((day, rest)) => {
                    let (month, year) = rest.split_once('-')?;
                    (day, month, nearest_year(year, now)?)
                }
                None => (first, next()?, digits(next()?, 4)?),
            };
            let time = next()?;
            (next()? == "GMT").then_some((day, month, year, time))?
        }
        Some(_) => return None,
        None => {
            let (month, day, time) = (next()?, next()?, next()?);
            (day, month, digits(next()?, 4)?, time)
        }
    };
    if words.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let day = digits(day, day.len().min(2))?;
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    Offset::UTC.to_timestamp(DateTime::from_parts(date, time_of_day(time)?)).ok()
}

/// `08:49:37`; a leap second counts as the one before.
fn time_of_day(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let mut next = || digits(parts.next()?, 2).and_then(|part| i8::try_from(part).ok());
    let (hour, minute, second) = (next()?, next()?, next()?);
    if parts.next().is_some() || second > 60 {
        return None;
    }
    Time::new(hour, minute, second.min(59), 0).ok()
}

/// A year of two digits: of this century, or of the last one if it would be more than fifty years from now.
fn nearest_year(text: &str, now: Timestamp) -> Option<i16> {
    let this = Offset::UTC.to_datetime(now).year();
    let year = this - this % 100 + digits(text, 2)?;
    Some(if year > this + 50 { year - 100 } else { year })
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<i16> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(value: &str, now: &str) -> Option<u64> {
        wait(value.as_bytes(), now.parse().unwrap()).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_number_is_seconds_however_large() {
        for (value, expected) in
            [("0", 0), ("120", 120), (" 2 ", 2), ("31536000", 31_536_000), ("99999999999999999999", u64::MAX)]
        {
            assert_eq!(seconds(value, "1994-11-06T08:49:27Z"), Some(expected), "{value}");
        }
    }

    #[test]
    fn all_three_formats_of_dates_are_read() {
        for value in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(seconds(value, "1994-11-06T08:49:27Z"), Some(10), "{value}");
            assert_eq!(seconds(value, "1994-11-06T08:49:38Z"), Some(0), "{value} has passed");
        }
        assert_eq!(seconds("Friday, 01-Jan-99 00:00:00 GMT", "2026-11-26T00:00:00Z"), Some(0), "it was 1999");
        assert_eq!(seconds("Sat, 31 Dec 2016 23:59:60 GMT", "2016-12-31T23:59:58Z"), Some(1));
    }

    #[test]
    fn anything_else_is_ignored() {
        for value in [
            "",
            " ",
            "-1",
            "+5",
            "1.5",
            "5s",
            "soon",
            "0x10",
            "1 2",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun,06 Nov 1994 08:49:37 GMT",
            "Sun Nov 6 08:49:37",
            ",",
            "Sun, -",
        ] {
            assert_eq!(seconds(value, "1994-11-06T08:49:27Z"), None, "{value:?}");
        }
        assert_eq!(wait(&[b'9'; 65], Timestamp::UNIX_EPOCH), None);
        assert_eq!(wait(b"\xff", Timestamp::UNIX_EPOCH), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(value in ".{0,40}", date in "(Sun,?|Sunday,) [0-9]{0,3}[ -][A-Z][a-z]{2}[ -][0-9]{0,5} [0-9:]{0,9}( GMT)?") {
            let _ = wait(value.as_bytes(), Timestamp::UNIX_EPOCH);
            let _ = wait(date.as_bytes(), Timestamp::MAX);
        }
    }
}
