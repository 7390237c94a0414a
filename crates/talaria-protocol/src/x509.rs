//! What is needed of an X.509 certificate (RFC 5280 §4.1): of one that is trusted by itself its version, the time in which
//! it is valid, and its purposes; of a device's its [names](Names).
//!
//! Deliberately absent: signatures and chains, which are the TLS library's task, and any look at a clock. Start
//! reading at [`Certificate::read`].

mod names;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::der::{
    BOOLEAN, Der, DerError, GENERALIZED_TIME, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, UTC_TIME,
    whole,
};

pub use names::Names;

const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;

const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// A certificate, as far as it is read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// The version, from 1.
    pub version: u32,
    /// Seconds since 1970.
    not_before: i64,
    not_after: i64,
    /// The content of the extension that lists the purposes.
    usages: Option<&'a [u8]>,
}

/// What a certificate is presented as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The certificate of a TLS server.
    Server,
    /// The certificate of a TLS client.
    Client,
}

/// How a certificate's period of validity lies to a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It has not begun.
    NotYet,
    /// It is valid.
    Valid,
    /// It has ended.
    Expired,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate's DER.
    ///
    /// # Errors
    /// [`DerError`] if it is malformed.
    pub fn read(der: &'a [u8]) -> Result<Self, DerError> {
        let (version, mut fields) = to_be_signed(der)?;
        for _signature_issuer in 0..2 {
            fields.take(SEQUENCE)?;
        }
        let mut validity = Der::new(fields.take(SEQUENCE)?);
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        for _subject_key in 0..2 {
            fields.take(SEQUENCE)?;
        }
        let usages = extension_after_key(fields, EXTENDED_KEY_USAGE)?;
        Ok(Self { version, not_before, not_after, usages })
    }

    /// The last second in which it is valid, in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether it is valid at a time, in seconds since 1970. It is valid in its first and in its last second.
    #[must_use]
    pub fn validity_at(&self, time: i64) -> Validity {
        match time {
            time if time < self.not_before => Validity::NotYet,
            time if time > self.not_after => Validity::Expired,
            _ => Validity::Valid,
        }
    }

    /// Whether it may be used for this purpose: one that lists no purposes may be used for each.
    #[must_use]
    pub fn is_for(&self, purpose: Purpose) -> bool {
        let Some(usages) = self.usages else { return true };
        let wanted = match purpose {
            Purpose::Server => SERVER_AUTH,
            Purpose::Client => CLIENT_AUTH,
        };
        let Ok(mut usages) = whole(usages) else { return false };
        while let Ok(usage) = usages.take(OBJECT_IDENTIFIER) {
            if usage == wanted || usage == ANY_USAGE {
                return true;
            }
        }
        false
    }
}

/// The content of the SubjectPublicKeyInfo.
pub(crate) fn subject_public_key_info(der: &[u8]) -> Result<&[u8], DerError> {
    let (_, mut fields) = to_be_signed(der)?;
    for _signature_issuer_validity_subject in 0..4 {
        fields.take(SEQUENCE)?;
    }
    fields.take(SEQUENCE)
}

/// The version, and the fields of the TBSCertificate after the serial number.
fn to_be_signed(der: &[u8]) -> Result<(u32, Der<'_>), DerError> {
    let mut fields = Der::new(whole(der)?.take(SEQUENCE)?);
    let version = match fields.take_optional(VERSION)? {
        None => 1,
        Some(version) => match Der::new(version).take(INTEGER)? {
            [version @ 0..=2] => u32::from(*version) + 1,
            _ => return Err(DerError),
        },
    };
    fields.take(INTEGER)?;
    Ok((version, fields))
}

/// The content of an extension of a certificate, of which the fields after its key are left to read.
fn extension_after_key<'a>(mut fields: Der<'a>, wanted: &[u8]) -> Result<Option<&'a [u8]>, DerError> {
    fields.take_optional(ISSUER_UNIQUE_ID)?;
    fields.take_optional(SUBJECT_UNIQUE_ID)?;
    let content = match fields.take_optional(EXTENSIONS)? {
        Some(extensions) => extension(Der::new(Der::new(extensions).take(SEQUENCE)?), wanted)?,
        None => None,
    };
    if fields.is_empty() { Ok(content) } else { Err(DerError) }
}

/// The content of an extension.
fn extension<'a>(mut extensions: Der<'a>, wanted: &[u8]) -> Result<Option<&'a [u8]>, DerError> {
    while !extensions.is_empty() {
        let mut extension = Der::new(extensions.take(SEQUENCE)?);
        let name = extension.take(OBJECT_IDENTIFIER)?;
        extension.take_optional(BOOLEAN)?;
        let content = extension.take(OCTET_STRING)?;
        if name == wanted {
            return Ok(Some(content));
        }
    }
    Ok(None)
}

/// A time in UTC, with seconds and without a fraction, as RFC 5280 §4.1.2.5 requires it.
fn time((tag, text): (u8, &[u8])) -> Result<i64, DerError> {
    let (year_digits, century) = match tag {
        UTC_TIME => (2, None),
        GENERALIZED_TIME => (4, Some(0)),
        _ => return Err(DerError),
    };
    let digits = text.strip_suffix(b"Z").ok_or(DerError)?;
    if digits.len() != year_digits + 10 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DerError);
    }
    let number =
        |digits: &[u8]| digits.iter().fold(0_i16, |number, digit| number * 10 + i16::from(digit - b'0'));
    let (year, rest) = digits.split_at(year_digits);
    let year = number(year);
    // A year of two digits is one from 1950 to 2049.
    let year = year + century.unwrap_or(if year < 50 { 2000 } else { 1900 });
    let mut parts = rest.chunks(2).map(|part| i8::try_from(number(part)).unwrap_or_default());
    let mut part = || parts.next().unwrap_or_default();
    let civil = DateTime::new(year, part(), part(), part(), part(), part(), 0).map_err(|_| DerError)?;
    Ok(TimeZone::UTC.to_timestamp(civil).map_err(|_| DerError)?.as_second())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).map_or_else(
            |_| vec![0x82, (content.len() >> 8) as u8, content.len() as u8],
            |length| if length < 0x80 { vec![length] } else { vec![0x81, length] },
        );
        [&[tag], &*length, content].concat()
    }

    /// A certificate of these parts; what is not read is empty.
    fn certificate(version: Option<u8>, times: &[Vec<u8>; 2], usages: Option<&[&[u8]]>) -> Vec<u8> {
        let version =
            version.map_or_else(Vec::new, |version| value(VERSION, &value(INTEGER, &[version - 1])));
        let extensions = usages.map_or_else(Vec::new, |usages| {
            let list: Vec<u8> = usages.iter().flat_map(|usage| value(OBJECT_IDENTIFIER, usage)).collect();
            let content = value(OCTET_STRING, &value(SEQUENCE, &list));
            let critical = value(BOOLEAN, &[0xff]);
            let other = value(
                SEQUENCE,
                &[value(OBJECT_IDENTIFIER, &[0x55, 0x1d, 0x13]), value(OCTET_STRING, &[0x30, 0])].concat(),
            );
            let extension = [value(OBJECT_IDENTIFIER, EXTENDED_KEY_USAGE), critical, content].concat();
            value(EXTENSIONS, &value(SEQUENCE, &[other, value(SEQUENCE, &extension)].concat()))
        });
        let empty = value(SEQUENCE, &[]);
        let to_be_signed = [
            version,
            value(INTEGER, &[1]),
            empty.clone(),
            empty.clone(),
            value(SEQUENCE, &times.concat()),
            empty.clone(),
            empty.clone(),
            extensions,
        ];
        value(SEQUENCE, &[value(SEQUENCE, &to_be_signed.concat()), empty, value(0x03, &[0])].concat())
    }

    fn times() -> [Vec<u8>; 2] {
        [value(UTC_TIME, b"700101000010Z"), value(GENERALIZED_TIME, b"20500101000000Z")]
    }

    #[test]
    fn the_version_is_1_unless_it_is_written() {
        for (version, expected) in [(None, 1), (Some(2), 2), (Some(3), 3)] {
            let der = certificate(version, &times(), None);
            assert_eq!(Certificate::read(&der).unwrap().version, expected);
        }
    }

    #[test]
    fn a_certificate_is_valid_from_its_first_to_its_last_second() {
        let der = certificate(Some(3), &times(), None);
        let certificate = Certificate::read(&der).unwrap();
        for (time, expected) in [
            (i64::MIN, Validity::NotYet),
            (9, Validity::NotYet),
            (10, Validity::Valid),
            (2_524_608_000, Validity::Valid),
            (2_524_608_001, Validity::Expired),
            (i64::MAX, Validity::Expired),
        ] {
            assert_eq!(certificate.validity_at(time), expected, "{time}");
        }
    }

    #[test]
    fn times_in_other_forms_are_malformed() {
        for time in [
            value(UTC_TIME, b"7001010000Z"),
            value(UTC_TIME, b"700101000010+0100"),
            value(UTC_TIME, b"701301000010Z"),
            value(UTC_TIME, b"70010100001xZ"),
            value(GENERALIZED_TIME, b"20500101000000.5Z"),
            value(GENERALIZED_TIME, b"500101000000Z"),
            value(INTEGER, b"700101000010Z"),
            Vec::new(),
        ] {
            let der = certificate(Some(3), &[time.clone(), times()[1].clone()], None);
            assert_eq!(Certificate::read(&der), Err(DerError), "{time:?}");
        }
    }

    #[test]
    fn purposes_restrict_a_certificate_that_lists_any() {
        use Purpose::{Client, Server};
        let is_for = |usages: Option<&[&[u8]]>, purpose| {
            Certificate::read(&certificate(Some(3), &times(), usages)).unwrap().is_for(purpose)
        };
        assert!(is_for(None, Server) && is_for(None, Client));
        assert!(is_for(Some(&[SERVER_AUTH]), Server) && !is_for(Some(&[SERVER_AUTH]), Client));
        assert!(is_for(Some(&[SERVER_AUTH, CLIENT_AUTH]), Client));
        assert!(is_for(Some(&[ANY_USAGE]), Client) && !is_for(Some(&[]), Server));
        assert!(!is_for(Some(&[&[1, 2, 3]]), Server));
    }

    #[test]
    fn torn_and_overlong_certificates_are_malformed() {
        let der = certificate(Some(3), &times(), Some(&[SERVER_AUTH]));
        for end in 0..der.len() {
            assert_eq!(Certificate::read(&der[..end]), Err(DerError), "{end}");
        }
        assert_eq!(Certificate::read(&[&*der, &[0]].concat()), Err(DerError));
    }

    proptest! {
        /// A client presents its certificate before anything is known about it.
        #[test]
        fn no_change_of_a_certificate_makes_reading_it_panic(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut der = certificate(Some(3), &times(), Some(&[SERVER_AUTH]));
            for (at, byte) in changes {
                let at = at.index(der.len());
                der[at] = byte;
            }
            for der in [der, bytes] {
                if let Ok(certificate) = Certificate::read(&der) {
                    let _ = (certificate.validity_at(0), certificate.is_for(Purpose::Client));
                }
                let _ = subject_public_key_info(&der);
            }
        }
    }
}
