//! The names in a client certificate and the id that they allow: any DER, and certificates with any names.
//!
//! The input: what it is (one byte), a rule (`deviceIdFromCertificate`), a line feed, and then a certificate; or what stands
//! in a certificate as subject and, behind a line feed, as alternative names; or names, one a line, that are put into one
//! and must come out again.

use talaria_protocol::connect::CertificateRule;
use talaria_protocol::x509::{Certificate, Names};
use wrp::DeviceId;

use crate::allocation;
use crate::cost::Cost;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTF8_STRING: u8 = 0x0c;
const DNS_NAME: u8 = 0x82;

/// Longer certificates are not searched for each name.
const SHORT: usize = 4096;

static NAMES: Cost = Cost::measured("names", 60);
static CERTIFICATE: Cost = Cost::measured("certificate", 25);
static RULE: Cost = Cost::measured("rule", 60);

/// One input.
pub fn run(data: &[u8]) {
    let [kind, data @ ..] = data else { return };
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (rule, rest) = data.split_at(at);
    let rest = rest.get(1..).unwrap_or_default();
    let rule = std::str::from_utf8(rule).unwrap_or_default().parse::<CertificateRule>();
    let names = match kind % 3 {
        0 => read(rest),
        1 => {
            let at = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            read(&certificate(&rest[..at], rest.get(at + 1..).unwrap_or_default()))
        }
        _ => Some(written(rest)),
    };
    if let (Some(names), Ok(rule)) = (names, rule) {
        check(&rule, &names);
    }
}

/// Reads a certificate, which may be malformed.
fn read(der: &[u8]) -> Option<Names> {
    let (names, peak) = NAMES.hold(der.len(), || allocation::peak(|| Names::read(der)));
    // Each name of two bytes is a text of three words, in a list that grows by doubling.
    assert!(peak <= 40 * der.len() + 4096, "{peak} bytes for a certificate of {}", der.len());
    let _ = CERTIFICATE.hold(der.len(), || Certificate::read(der));
    let names = names.ok()?;
    assert!(Names::read(&[der, &[0]].concat()).is_err(), "bytes behind a certificate are ignored");
    assert!(Names::read(&der[..der.len() - 1]).is_err(), "the end of a certificate is ignored");
    if der.len() <= SHORT {
        for name in names.common.iter().chain(&names.alternative) {
            let is_there = der.windows(name.len().max(1)).any(|bytes| bytes == name.as_bytes());
            assert!(is_there || name.is_empty(), "{name:?} is not in the certificate");
        }
    }
    Some(names)
}

/// Puts each line into a certificate, in turn as a common and as an alternative name, and reads them again.
fn written(lines: &[u8]) -> Names {
    let (mut subject, mut alternative, mut expected) = (Vec::new(), Vec::new(), Names::default());
    for (number, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        let text = std::str::from_utf8(line).ok().map(str::to_owned);
        if number % 2 == 0 {
            let attribute = [value(0x06, &[0x55, 0x04, 0x03]), value(UTF8_STRING, line)].concat();
            subject.extend(value(SET, &value(SEQUENCE, &attribute)));
            expected.common.extend(text);
        } else {
            alternative.extend(value(DNS_NAME, line));
            expected.alternative.extend(text.filter(|text| text.is_ascii()));
        }
    }
    let names = read(&certificate(&subject, &alternative)).expect("a well-formed certificate");
    assert_eq!(names, expected);
    names
}

/// Only the kind of name that the rule asks for decides.
fn check(rule: &CertificateRule, names: &Names) {
    let length = names.common.iter().chain(&names.alternative).map(String::len).sum::<usize>();
    let mut ids: Vec<DeviceId> = Vec::new();
    for name in names.common.iter().chain(&names.alternative).take(10) {
        ids.extend(["", "mac:", "uuid:"].iter().filter_map(|scheme| format!("{scheme}{name}").parse().ok()));
    }
    let nothing = Names::default();
    for id in &ids {
        // The list of names costs something, too.
        let cost = length + 24 * (names.common.len() + names.alternative.len());
        let is_allowed = RULE.hold(cost, || rule.allows(names, id));
        assert!(!rule.allows(&nothing, id), "a certificate without names allows {id}");
        if is_allowed {
            let only_common = Names { alternative: Vec::new(), ..names.clone() };
            let only_alternative = Names { common: Vec::new(), ..names.clone() };
            let kinds = [&only_common, &only_alternative].map(|names| rule.allows(names, id));
            assert_ne!(kinds[0], kinds[1], "one kind of names decides");
            assert!(!kinds[0] || names.common.len() == 1, "one of several common names counts");
        }
    }
}

/// A certificate with this subject and these alternative names.
pub fn certificate(subject: &[u8], alternative: &[u8]) -> Vec<u8> {
    let empty = value(SEQUENCE, &[]);
    let names = value(0x04, &value(SEQUENCE, alternative));
    let extension = value(SEQUENCE, &[value(0x06, &[0x55, 0x1d, 0x11]), names].concat());
    let extensions = value(0xa3, &value(SEQUENCE, &extension));
    let subject = value(SEQUENCE, subject);
    let fields = [value(0x02, &[1]), empty.repeat(3), subject, empty.clone(), extensions].concat();
    value(SEQUENCE, &[value(SEQUENCE, &fields), empty].concat())
}

/// A value of DER (ITU-T X.690, section 10.1).
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut value = vec![tag];
    if content.len() < 0x80 {
        value.push(content.len() as u8);
    } else {
        value.push(0x80 | significant.len() as u8);
        value.extend_from_slice(significant);
    }
    value.extend_from_slice(content);
    value
}
