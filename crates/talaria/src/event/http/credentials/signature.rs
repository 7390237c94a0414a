//! HMAC signatures of requests (contract §5.10). No I/O and no clock here.
//!
//! `standard` is the format of Standard Webhooks: the signature covers an id and a time beside the body, so that a receiver can
//! recognise what was sent twice or is replayed, and has one signature for each key, so that keys can be replaced without a
//! moment at which a receiver knows none of them. `webpa` is what Caduceus sends to its webhooks and what existing receivers
//! of XMiDT check: SHA-1 over the body alone, with one key.

use ::http::header::{HeaderMap, HeaderName, HeaderValue};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::event::config::SignatureFormat;

/// In front of a key that is written in base64.
const BASE64_PREFIX: &str = "whsec_";

/// As many keys sign at the same time.
const MAX_KEYS: usize = 4;

/// The length of a key in bytes. Standard Webhooks wants at least 24 of random ones.
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 16..=256;

/// The keys of a receiver; at least one, the newest first.
pub(super) struct Keys {
    keys: Vec<hmac::Key>,
    format: SignatureFormat,
}

/// What is signed.
pub(super) struct Signed<'a> {
    pub(super) id: &'a str,
    /// Seconds since 1970.
    pub(super) at: u64,
    pub(super) body: &'a [u8],
}

/// Keys that cannot be used. The text does not show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not a text.
    #[error("is not a text, expected a key on each line")]
    NotText,
    /// No line has a key, or too many have.
    #[error("holds {0} keys, expected 1 to {MAX_KEYS}, each on a line")]
    Count(usize),
    /// A line begins with `whsec_`, but what follows is not base64.
    #[error("has a line {0} that is not base64 after {BASE64_PREFIX}")]
    Base64(usize),
    /// A key is too short or too long.
    #[error("has a key of {length} bytes on line {line}, expected {} to {}", KEY_LENGTHS.start(), KEY_LENGTHS.end())]
    Length {
        /// The line.
        line: usize,
        /// The length of its key.
        length: usize,
    },
}

impl Keys {
    /// Reads the content of a file: a key on each line, in base64 after `whsec_`, else as it is. Empty lines are skipped.
    ///
    /// # Errors
    /// [`KeysError`].
    pub(super) fn parse(content: &[u8], format: SignatureFormat) -> Result<Self, KeysError> {
        let algorithm = match format {
            SignatureFormat::Standard => hmac::HMAC_SHA256,
            SignatureFormat::Webpa => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        };
        let text = std::str::from_utf8(content).map_err(|_| KeysError::NotText)?;
        let lines = text.lines().map(str::trim).zip(1..).filter(|(line, _)| !line.is_empty());
        let keys = lines.map(|(text, line)| {
            let key = match text.strip_prefix(BASE64_PREFIX) {
                Some(encoded) => STANDARD.decode(encoded).map_err(|_| KeysError::Base64(line))?,
                None => text.as_bytes().to_vec(),
            };
            if !KEY_LENGTHS.contains(&key.len()) {
                return Err(KeysError::Length { line, length: key.len() });
            }
            Ok(hmac::Key::new(algorithm, &key))
        });
        let keys: Vec<hmac::Key> = keys.collect::<Result<_, _>>()?;
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(KeysError::Count(keys.len()));
        }
        Ok(Self { keys, format })
    }

    /// Adds the headers of a request.
    pub(super) fn sign(&self, signed: &Signed<'_>, headers: &mut HeaderMap<HeaderValue>) {
        match self.format {
            SignatureFormat::Standard => {
                let at = signed.at.to_string();
                let parts = [signed.id.as_bytes(), b".", at.as_bytes(), b".", signed.body];
                let signatures =
                    self.keys.iter().map(|key| format!("v1,{}", STANDARD.encode(mac(key, &parts))));
                let signatures = signatures.collect::<Vec<_>>().join(" ");
                insert(headers, HeaderName::from_static("webhook-id"), signed.id);
                insert(headers, HeaderName::from_static("webhook-timestamp"), &at);
                insert(headers, HeaderName::from_static("webhook-signature"), &signatures);
            }
            SignatureFormat::Webpa => {
                let Some(key) = self.keys.first() else { return };
                let hex: String =
                    mac(key, &[signed.body]).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                insert(headers, HeaderName::from_static("x-webpa-signature"), &format!("sha1={hex}"));
            }
        }
    }
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

fn insert(headers: &mut HeaderMap<HeaderValue>, name: HeaderName, value: &str) {
    // All of them are ASCII.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNED: Signed<'_> =
        Signed { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", at: 1_614_265_330, body: br#"{"test": 2432232314}"# };

    fn headers(content: &str, format: SignatureFormat) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        Keys::parse(content.as_bytes(), format).unwrap().sign(&SIGNED, &mut headers);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    /// The example of the specification.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let expected = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers(FIRST, SignatureFormat::Standard), expected);
    }

    #[test]
    fn each_of_two_keys_signs() {
        let both = headers(&format!("{FIRST}\n\n  sixteen or more bytes  \n"), SignatureFormat::Standard);
        let first = headers(FIRST, SignatureFormat::Standard);
        let second = headers("sixteen or more bytes", SignatureFormat::Standard);
        assert_eq!(both[2].1, format!("{} {}", first[2].1, second[2].1));
    }

    #[test]
    fn webpa_is_sha1_over_the_body_with_the_first_key() {
        let signed = headers(&format!("sixteen or more bytes\n{FIRST}"), SignatureFormat::Webpa);
        let expected =
            ("x-webpa-signature".to_owned(), "sha1=475f41b1957c8e51eb236f19800b27c339151333".to_owned());
        assert_eq!(signed, [expected]);
    }

    #[test]
    fn keys_that_cannot_be_used_are_named_without_being_shown() {
        let five = "sixteen or more bytes\n".repeat(5);
        for (content, error) in [
            (&b"\xff"[..], KeysError::NotText),
            (b"", KeysError::Count(0)),
            (b"\n \n", KeysError::Count(0)),
            (five.as_bytes(), KeysError::Count(5)),
            (b"\nwhsec_%", KeysError::Base64(2)),
            (b"short", KeysError::Length { line: 1, length: 5 }),
        ] {
            let parsed = Keys::parse(content, SignatureFormat::Standard);
            assert_eq!(parsed.err(), Some(error));
            assert!(!error.to_string().contains("short"), "{error}");
        }
    }
}
