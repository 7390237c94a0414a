//! What a device says of itself when it connects: the header `X-Webpa-Convey` (contract §2.6, §4).
//!
//! A bad header never refuses a device. The values that events carry are printed once, at connect, as the Go gateway
//! prints them, and kept in one buffer without any padding: every connected device holds one.

mod json;

use std::fmt;

use base64::Engine as _;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use wrp::Text;

/// Go's standard base64: padding is wanted, but the bits that it leaves over may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

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

/// Marks a value that was a JSON string, beside the field's number.
const IS_TEXT: u8 = 0x80;
/// A length from this on is written in four more bytes.
const LONG: u8 = 0xff;

/// What became of a device's convey header. `as_str` is what the metadata `/compliance` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compliance {
    /// A JSON object, with all that is wanted of it.
    Full,
    /// Not all of the keys that events carry are there.
    MissingFields,
    /// No header.
    Missing,
    /// Not base64, or not a JSON object.
    Invalid,
}

impl Compliance {
    /// The text that other programs know it by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Compliance::Full => "full",
            Compliance::MissingFields => "convey-missing-fields",
            Compliance::Missing => "missing-convey",
            Compliance::Invalid => "invalid-convey",
        }
    }
}

impl fmt::Display for Compliance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A device's convey, as far as events need it.
#[derive(Clone, PartialEq, Eq)]
pub struct Convey {
    /// For every value: the field's number, the length, the bytes.
    values: Box<[u8]>,
    header: Compliance,
    is_complete: bool,
}

impl Convey {
    /// Reads the header: base64 of a JSON object. What follows the object is ignored, be it base64 or not.
    #[must_use]
    pub fn from_header(header: Option<&[u8]>) -> Convey {
        let Some(header) = header.filter(|header| !header.is_empty()) else {
            return Convey::without_values(Compliance::Missing);
        };
        let mut printed: [Option<json::Printed>; FIELDS.len()] = Default::default();
        let mut plain_reconnect = None;
        let read = json::read_object(&decode_prefix(header), |key, value| {
            if let Some(field) = FIELDS.iter().position(|(name, _)| name.as_bytes() == key) {
                printed[field] = Some(value);
            } else if key == PLAIN_LAST_RECONNECT.as_bytes() {
                plain_reconnect = Some(value);
            }
        });
        if read.is_err() {
            return Convey::without_values(Compliance::Invalid);
        }
        let is_complete = plain_reconnect.is_some() && printed.iter().all(Option::is_some);
        if printed[LAST_RECONNECT].is_none() {
            printed[LAST_RECONNECT] = plain_reconnect;
        }
        Convey { values: encode(&printed), header: Compliance::Full, is_complete }
    }

    /// What the header alone was worth: `Full`, `Missing` or `Invalid`.
    #[must_use]
    pub fn header_compliance(&self) -> Compliance {
        self.header
    }

    /// What events say: `MissingFields` if anything that they carry was not there, be it the whole header.
    #[must_use]
    pub fn compliance(&self) -> Compliance {
        if self.is_complete { self.header } else { Compliance::MissingFields }
    }

    /// The values that events carry, each with its metadata key. They are as the device sent them, UTF-8 or not.
    pub fn metadata(&self) -> impl Iterator<Item = (&'static str, Text<'_>)> {
        self.entries().map(|(field, _, value)| (FIELDS[field].1, Text::new(value)))
    }

    /// The hardware's model, if it is a text.
    #[must_use]
    pub fn hardware_model(&self) -> Option<Text<'_>> {
        self.text(HW_MODEL)
    }

    /// The firmware's name, if it is a text.
    #[must_use]
    pub fn firmware(&self) -> Option<Text<'_>> {
        self.text(FW_NAME)
    }

    fn without_values(header: Compliance) -> Convey {
        Convey { values: Box::default(), header, is_complete: false }
    }

    fn text(&self, wanted: usize) -> Option<Text<'_>> {
        self.entries()
            .find(|(field, is_text, _)| *field == wanted && *is_text)
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

/// Walks [`Convey::values`]: field, whether it was a JSON string, value.
struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = (usize, bool, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[field, length], rest) = self.rest.split_first_chunk()?;
        let (length, rest) = if length == LONG {
            let (length, rest) = rest.split_first_chunk()?;
            (u32::from_le_bytes(*length) as usize, rest)
        } else {
            (usize::from(length), rest)
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((usize::from(field & !IS_TEXT), field & IS_TEXT != 0, value))
    }
}

fn encode(printed: &[Option<json::Printed>]) -> Box<[u8]> {
    let mut out = Vec::new();
    for (field, value) in printed.iter().enumerate() {
        let Some(value) = value else { continue };
        out.push(field as u8 | if value.is_text { IS_TEXT } else { 0 });
        match u8::try_from(value.bytes.len()) {
            Ok(short) if short < LONG => out.push(short),
            _ => {
                out.push(LONG);
                out.extend_from_slice(&(value.bytes.len() as u32).to_le_bytes());
            }
        }
        out.extend_from_slice(&value.bytes);
    }
    out.into_boxed_slice()
}

/// The bytes of as much of `header` as is base64. The reference decodes while it parses, so garbage after the object
/// does no harm, and a blank or a missing `=` within it does.
fn decode_prefix(header: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(header.len() / 4 * 3);
    for group in header.chunks_exact(4) {
        let Ok(decoded) = BASE64.decode(group) else { break };
        bytes.extend_from_slice(&decoded);
        if decoded.len() < 3 {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convey(json: &str) -> Convey {
        Convey::from_header(Some(BASE64.encode(json).as_bytes()))
    }

    #[test]
    fn a_long_value_is_kept_whole() {
        let long = "x".repeat(70_000);
        let convey = convey(&format!(r#"{{"hw-model":"{long}","fw-name":"{}"}}"#, &long[..255]));
        assert_eq!(convey.hardware_model().unwrap(), long.as_str());
        assert_eq!(convey.firmware().unwrap(), &long[..255]);
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
