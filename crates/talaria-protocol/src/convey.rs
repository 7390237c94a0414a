//! What a device says about itself when it connects: the header `X-Webpa-Convey` (contract §2.6, §4).
//!
//! A bad header never keeps a device out. The values that events carry are printed once, at connect, as the Go gateway
//! prints them, and kept in one buffer without padding, because every connected device holds one.
//!
//! The convey is not kept as JSON: only the keys that events carry, and those that the configuration asks for.

use std::fmt;

use base64::Engine as _;
use wrp::Text;

use crate::go::base64::STANDARD;
use crate::go::print::{self, Printed};

/// The convey keys that events carry, and the metadata keys that they carry them under.
const FIELDS: [(&str, &str); 12] = [
    ("boot-time", "/boot-time"),
    ("hw-model", "/hw-model"),
    ("hw-manufacturer", "/hw-manufacturer"),
    ("hw-serial-number", "/hw-serial-number"),
    ("hw-last-reboot-reason", "/hw-last-reboot-reason"),
    ("fw-name", "/fw-name"),
    ("webpa-last-reconnect-reason", "/last-reconnect-reason"),
    ("webpa-protocol", "/protocol"),
    ("webpa-interface-used", "/interface-used"),
    ("boot-time-retry-wait", "/boot-time-retry-wait"),
    ("webpa-interface-label", "/webpa-interface-label"),
    ("wan-ipv4-address", "/wan-ipv4-address"),
];
const HW_MODEL: usize = 1;
const FW_NAME: usize = 5;
const LAST_RECONNECT: usize = 6;
/// The second source of `/last-reconnect-reason`: `full` wants both, and the other one's value wins.
const PLAIN_LAST_RECONNECT: &str = "last-reconnect-reason";

/// Stands for a field's number where the value's key is written beside it.
const OTHER: u8 = 0x7f;
/// Marks a value that was a JSON string, beside the field's number.
const IS_TEXT: u8 = 0x80;
/// A length from this on is written in four more bytes.
const LONG: u8 = 0xff;

/// What stands before nearly every value: the field's number and its length, in bytes.
const HEAD: usize = 2;

/// Whether a device's convey header is complete: the metadata `/compliance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compliance {
    /// A JSON object with all keys that events carry.
    Full,
    /// Some of the keys that events carry are missing.
    MissingFields,
    /// No header.
    Missing,
    /// Not base64, or not a JSON object.
    Invalid,
}

impl Compliance {
    /// The text that other programs rely on.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::MissingFields => "convey-missing-fields",
            Self::Missing => "missing-convey",
            Self::Invalid => "invalid-convey",
        }
    }
}

impl fmt::Display for Compliance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The values of a device's convey that the gateway uses.
#[derive(Clone, PartialEq, Eq)]
pub struct Convey {
    /// For every value: the field's number (and perhaps its key), the length, the bytes.
    values: Box<[u8]>,
    header: Compliance,
    is_complete: bool,
}

impl Convey {
    /// Reads the header: base64 of a JSON object. What follows the object is ignored, be it base64 or not.
    #[must_use]
    pub fn from_header(header: Option<&[u8]>) -> Self {
        Self::keeping(header, &[])
    }

    /// Like [`from_header`](Convey::from_header); also keeps the values of these keys, which no event carries.
    #[must_use]
    pub fn keeping(header: Option<&[u8]>, keys: &[String]) -> Self {
        let Some(header) = header.filter(|header| !header.is_empty()) else {
            return Self::without_values(Compliance::Missing);
        };
        let mut printed: [Option<Printed<'_>>; FIELDS.len()] = Default::default();
        let mut plain_reconnect = None;
        let mut others: Vec<Option<Printed<'_>>> = keys.iter().map(|_| None).collect();
        let json = decode_prefix(header);
        let read = print::read_object(&json, |key, value| {
            if let Some(other) = keys.iter().position(|wanted| wanted.as_bytes() == key) {
                others[other] = Some(value.clone());
            }
            if let Some(field) = FIELDS.iter().position(|(name, _)| name.as_bytes() == key) {
                printed[field] = Some(value);
            } else if key == PLAIN_LAST_RECONNECT.as_bytes() {
                plain_reconnect = Some(value);
            }
        });
        if read.is_err() {
            return Self::without_values(Compliance::Invalid);
        }
        let is_complete = plain_reconnect.is_some() && printed.iter().all(Option::is_some);
        if printed[LAST_RECONNECT].is_none() {
            printed[LAST_RECONNECT] = plain_reconnect;
        }
        let length = |value: &Printed<'_>| value.bytes.len() + HEAD;
        let mut values = Vec::with_capacity(printed.iter().flatten().map(length).sum());
        for (field, value) in printed.iter().enumerate() {
            encode(&mut values, Key::Field(field), value.as_ref());
        }
        for (key, value) in keys.iter().zip(&others) {
            encode(&mut values, Key::Other(key.as_bytes()), value.as_ref());
        }
        Self { values: values.into_boxed_slice(), header: Compliance::Full, is_complete }
    }

    /// Whether every device keeps the value of this key.
    #[must_use]
    pub fn always_keeps(key: &str) -> bool {
        FIELDS.iter().any(|(name, _)| *name == key)
    }

    /// The verdict on the header as such: `Full`, `Missing` or `Invalid`.
    #[must_use]
    pub fn header_compliance(&self) -> Compliance {
        self.header
    }

    /// The verdict as events carry it: `MissingFields` also if the whole header is missing or invalid.
    #[must_use]
    pub fn compliance(&self) -> Compliance {
        if self.is_complete { self.header } else { Compliance::MissingFields }
    }

    /// The values that events carry, each with its metadata key. They are as the device sent them, UTF-8 or not.
    pub fn metadata(&self) -> impl Iterator<Item = (&'static str, Text<'_>)> {
        self.entries().filter_map(|(key, _, value)| match key {
            Key::Field(field) => Some((FIELDS.get(field)?.1, Text::new(value))),
            Key::Other(_) => None,
        })
    }

    /// The value of a key, if it is kept: printed, be it a text or not. That of `webpa-last-reconnect-reason` may be the
    /// one of `last-reconnect-reason`, as in events.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Text<'_>> {
        let is_wanted = |found| match found {
            Key::Field(field) => FIELDS.get(field).is_some_and(|(name, _)| *name == key),
            Key::Other(name) => name == key.as_bytes(),
        };
        self.entries().find(|(found, ..)| is_wanted(*found)).map(|(_, _, value)| Text::new(value))
    }

    /// `hw-model`, if it is a text.
    #[must_use]
    pub fn hardware_model(&self) -> Option<Text<'_>> {
        self.text(HW_MODEL)
    }

    /// `fw-name`, if it is a text.
    #[must_use]
    pub fn firmware(&self) -> Option<Text<'_>> {
        self.text(FW_NAME)
    }

    fn without_values(header: Compliance) -> Self {
        Self { values: Box::default(), header, is_complete: false }
    }

    fn text(&self, wanted: usize) -> Option<Text<'_>> {
        self.entries()
            .find(|(key, is_text, _)| *key == Key::Field(wanted) && *is_text)
            .map(|(_, _, value)| Text::new(value))
    }

    fn entries(&self) -> Entries<'_> {
        Entries { rest: &self.values }
    }
}

impl fmt::Debug for Convey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.metadata()).finish()
    }
}

/// What a kept value is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key<'a> {
    /// One of [`FIELDS`], by its number.
    Field(usize),
    /// One that a filter asks for.
    Other(&'a [u8]),
}

/// Walks [`Convey::values`]: key, whether it was a JSON string, value.
struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Key<'a>, bool, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[kind], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        let field = kind & !IS_TEXT;
        let key = if field == OTHER { Key::Other(self.part()?) } else { Key::Field(usize::from(field)) };
        Some((key, kind & IS_TEXT != 0, self.part()?))
    }
}

impl<'a> Entries<'a> {
    /// The bytes behind their length.
    fn part(&mut self) -> Option<&'a [u8]> {
        let (&[length], rest) = self.rest.split_first_chunk()?;
        let (length, rest) = if length == LONG {
            let (length, rest) = rest.split_first_chunk()?;
            (u32::from_le_bytes(*length) as usize, rest)
        } else {
            (usize::from(length), rest)
        };
        let (part, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(part)
    }
}

fn encode(out: &mut Vec<u8>, key: Key<'_>, value: Option<&Printed<'_>>) {
    let Some(value) = value else { return };
    let is_text = if value.is_text { IS_TEXT } else { 0 };
    match key {
        Key::Field(field) => out.push(field as u8 | is_text),
        Key::Other(name) => {
            out.push(OTHER | is_text);
            encode_part(out, name);
        }
    }
    encode_part(out, &value.bytes);
}

fn encode_part(out: &mut Vec<u8>, part: &[u8]) {
    match u8::try_from(part.len()) {
        Ok(short) if short < LONG => out.push(short),
        _ => {
            out.push(LONG);
            out.extend_from_slice(&(part.len() as u32).to_le_bytes());
        }
    }
    out.extend_from_slice(part);
}

/// The bytes of as much of `header` as is base64. The reference decodes while it parses, so garbage after the object
/// does no harm, and a blank or a missing `=` within it does.
fn decode_prefix(header: &[u8]) -> Vec<u8> {
    if let Ok(whole) = STANDARD.decode(header) {
        return whole;
    }
    let mut bytes = Vec::with_capacity(header.len() / 4 * 3);
    for group in header.chunks_exact(4) {
        let mut decoded = [0; 3];
        let Ok(length) = STANDARD.decode_slice(group, &mut decoded) else { break };
        bytes.extend_from_slice(&decoded[..length]);
        if length < decoded.len() {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convey(json: &str) -> Convey {
        Convey::from_header(Some(STANDARD.encode(json).as_bytes()))
    }

    #[test]
    fn a_long_value_is_kept_whole() {
        let long = "x".repeat(70_000);
        let convey = convey(&format!(r#"{{"hw-model":"{long}","fw-name":"{}"}}"#, &long[..255]));
        assert_eq!(convey.hardware_model().unwrap(), long.as_str());
        assert_eq!(convey.firmware().unwrap(), &long[..255]);
    }

    #[test]
    fn a_value_that_a_filter_asks_for_is_kept_and_no_event_carries_it() {
        let json = r#"{"slot":"b","n":{"x":1},"fw-name":"f","unwanted":1}"#;
        let header = STANDARD.encode(json);
        let keys = ["slot", "n", "missing"].map(str::to_owned);
        let convey = Convey::keeping(Some(header.as_bytes()), &keys);
        let value = |key| convey.get(key).map(|value| value.to_str_lossy().into_owned());
        assert_eq!(value("slot").as_deref(), Some("b"));
        assert_eq!(value("n").as_deref(), Some("map[x:1]"));
        assert_eq!(value("fw-name").as_deref(), Some("f"));
        assert_eq!((value("missing"), value("unwanted")), (None, None));
        assert_eq!(convey.metadata().map(|(key, _)| key).collect::<Vec<_>>(), ["/fw-name"]);
        assert!(Convey::always_keeps("fw-name") && !Convey::always_keeps("slot"));
    }

    #[test]
    fn as_much_of_a_header_as_is_base64_is_read() {
        let whole = STANDARD.encode(r#"{"fw-name":"f"}"#);
        for (header, read) in [
            (whole.clone(), r#"{"fw-name":"f"}"#),
            (format!("{whole}!"), r#"{"fw-name":"f"}"#),
            (format!("{whole}===="), r#"{"fw-name":"f"}"#),
            (format!("Zg=={whole}"), "f"),
            (format!("Zm8={whole}"), "fo"),
            (format!("Zm9v Zm9v{whole}"), "foo"),
            ("Zm9vZm9".to_owned(), "foo"),
            ("Zm".to_owned(), ""),
        ] {
            assert_eq!(decode_prefix(header.as_bytes()), read.as_bytes(), "{header}");
        }
    }

    #[test]
    fn a_model_that_is_no_text_is_none() {
        let convey = convey(r#"{"hw-model":5,"fw-name":"f"}"#);
        assert_eq!(convey.hardware_model(), None);
        assert_eq!(convey.metadata().map(|(key, _)| key).collect::<Vec<_>>(), ["/hw-model", "/fw-name"]);
    }

    #[test]
    fn a_convey_of_nothing_is_full_by_itself_and_incomplete_for_events() {
        let convey = convey("null");
        assert_eq!(convey.header_compliance(), Compliance::Full);
        assert_eq!(convey.compliance(), Compliance::MissingFields);
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(convey(&deep).header_compliance(), Compliance::Invalid);
    }
}
