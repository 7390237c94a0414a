//! The names in a certificate: the common names of its subject (RFC 5280 §4.1.2.6) and its alternative names
//! (RFC 5280 §4.2.1.6).
//!
//! For certificates that TLS has verified. Nothing is compared here.

use crate::der::{Der, DerError, OBJECT_IDENTIFIER, SEQUENCE, whole};

use super::{extension_after_key, to_be_signed};

const SET: u8 = 0x31;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
/// The kinds of alternative names that are texts: an e-mail address, a DNS name, a URI.
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The names that are texts. Names in another encoding than UTF-8 or ASCII are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The common names (CN) of the subject; nearly always one.
    pub common: Vec<String>,
    /// The alternative names (SAN) that are DNS names, URIs or e-mail addresses.
    pub alternative: Vec<String>,
}

impl Names {
    /// Reads the names in a certificate's DER.
    ///
    /// # Errors
    /// [`DerError`] if it is malformed.
    pub fn read(der: &[u8]) -> Result<Self, DerError> {
        let (_, mut fields) = to_be_signed(der)?;
        for _signature_issuer_validity in 0..3 {
            fields.take(SEQUENCE)?;
        }
        let common = common_names(Der::new(fields.take(SEQUENCE)?))?;
        let _key = fields.take(SEQUENCE)?;
        let alternative = match extension_after_key(fields, SUBJECT_ALT_NAME)? {
            Some(names) => alternative_names(whole(names)?)?,
            None => Vec::new(),
        };
        Ok(Self { common, alternative })
    }
}

fn common_names(mut subject: Der<'_>) -> Result<Vec<String>, DerError> {
    let mut names = Vec::new();
    while !subject.is_empty() {
        let mut attributes = Der::new(subject.take(SET)?);
        while !attributes.is_empty() {
            let mut attribute = Der::new(attributes.take(SEQUENCE)?);
            let kind = attribute.take(OBJECT_IDENTIFIER)?;
            let (encoding, text) = attribute.next()?;
            if kind == COMMON_NAME {
                names.extend(match encoding {
                    UTF8_STRING => utf8(text),
                    PRINTABLE_STRING | IA5_STRING => ascii(text),
                    _ => None,
                });
            }
        }
    }
    Ok(names)
}

fn alternative_names(mut names: Der<'_>) -> Result<Vec<String>, DerError> {
    let mut texts = Vec::new();
    while !names.is_empty() {
        let (kind, text) = names.next()?;
        if matches!(kind, RFC822_NAME | DNS_NAME | URI) {
            texts.extend(ascii(text));
        }
    }
    Ok(texts)
}

fn ascii(text: &[u8]) -> Option<String> {
    text.is_ascii().then(|| utf8(text)).flatten()
}

fn utf8(text: &[u8]) -> Option<String> {
    std::str::from_utf8(text).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der::{INTEGER, OCTET_STRING};

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, 0x82, (content.len() >> 8) as u8, content.len() as u8], content].concat()
    }

    fn attribute(kind: &[u8], encoding: u8, text: &[u8]) -> Vec<u8> {
        value(SET, &value(SEQUENCE, &[value(OBJECT_IDENTIFIER, kind), value(encoding, text)].concat()))
    }

    fn certificate(subject: &[u8], alternative: &[u8]) -> Vec<u8> {
        let empty = value(SEQUENCE, &[]);
        let names = value(OCTET_STRING, &value(SEQUENCE, alternative));
        let extension = value(SEQUENCE, &[value(OBJECT_IDENTIFIER, SUBJECT_ALT_NAME), names].concat());
        let extensions = value(0xa3, &value(SEQUENCE, &extension));
        let fields =
            [value(INTEGER, &[1]), empty.repeat(3), value(SEQUENCE, subject), empty.clone(), extensions]
                .concat();
        value(SEQUENCE, &[value(SEQUENCE, &fields), empty].concat())
    }

    #[test]
    fn common_and_alternative_names_are_read_and_other_attributes_and_encodings_are_not() {
        let subject = [
            attribute(&[0x55, 0x04, 0x0a], UTF8_STRING, b"mac:1"),
            attribute(COMMON_NAME, UTF8_STRING, b"mac:112233445566"),
            attribute(COMMON_NAME, PRINTABLE_STRING, b"b"),
            attribute(COMMON_NAME, 0x1e, b"\0c"),
            attribute(COMMON_NAME, UTF8_STRING, b"\xff"),
            attribute(COMMON_NAME, PRINTABLE_STRING, "é".as_bytes()),
        ]
        .concat();
        let alternative =
            [value(DNS_NAME, b"d"), value(0x87, &[127, 0, 0, 1]), value(URI, b"uuid:e")].concat();
        let names = Names::read(&certificate(&subject, &alternative)).unwrap();
        assert_eq!(names.common, ["mac:112233445566", "b"]);
        assert_eq!(names.alternative, ["d", "uuid:e"]);
    }

    #[test]
    fn torn_certificates_are_malformed() {
        let der = certificate(&attribute(COMMON_NAME, UTF8_STRING, b"a"), &value(DNS_NAME, b"b"));
        assert!(Names::read(&der).is_ok());
        for end in 0..der.len() {
            assert_eq!(Names::read(&der[..end]), Err(DerError), "{end}");
        }
    }
}
