//! What comes from outside before a token is believed: the token, its claims, and a key server's documents. Any bytes.
//!
//! The same bytes are read as each of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use talaria_protocol::claims::Claims;
use talaria_protocol::keys::{Algorithm, Document, Key, KeyId, MinRsaBits, PublicKey, Template};
use talaria_protocol::strict_json;
use talaria_protocol::token::{self, Leeway, Requirements, Token};

use crate::allocation;
use crate::cost::Cost;

static TOKEN: Cost = Cost::measured("token", 25);
static CLAIMS: Cost = Cost::measured("claims", 50);
static DOCUMENT: Cost = Cost::measured("document", 50);
static TEMPLATE: Cost = Cost::measured("template", 70);

/// The labels of PEM that are known, and one that is not.
const LABELS: [&str; 7] = [
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "CERTIFICATE",
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "SECRET",
];

/// The signature that is good here, as a token ends with it: base64url of `good`.
const GOOD_SIGNATURE: &str = ".Z29vZA";

/// One input.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        token(text);
        template(text);
    }
    claims(data);
    for content_type in ["application/json", "application/jwk-set+json; x", "application/x-pem-file"] {
        document(content_type, data);
    }
    // As DER, so that the fuzzer need not find its way through base64.
    if let [label, der @ ..] = data {
        let label = LABELS[usize::from(*label) % LABELS.len()];
        let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
        document("application/x-pem-file", pem.as_bytes());
    }
}

fn token(text: &str) {
    let Ok(token) = TOKEN.hold(text.len(), || Token::parse(text)) else { return };
    assert!(text.len() <= token::LONGEST);
    assert_eq!(Algorithm::from_name(token.algorithm().name()), Some(token.algorithm()));
    asks_for_a_key_of_the_server(token.key_id());
    let key = PublicKey::ed25519(&[1; 32]).expect("a key");
    let is_good = text.ends_with(GOOD_SIGNATURE) && token.algorithm() == Algorithm::EdDsa;
    let claims = TOKEN.hold(text.len(), || token.verified_by(&key));
    assert_eq!(claims.is_some(), is_good, "the claims are read if, and only if, the signature is good");
    if let Some(Ok(claims)) = claims {
        reads_as_others_read_it(&claims);
    }
}

/// Whatever a token calls its key: the key is asked for at the configured server, below the configured path.
fn asks_for_a_key_of_the_server(id: &KeyId) {
    let template: Template = "https://keys.example/a/{keyID}/b".parse().expect("a template");
    let url: http::Uri = template.expand(id).parse().expect("a URL");
    assert_eq!(url.authority().map(|authority| authority.as_str()), Some("keys.example"));
    let below = url.path().strip_prefix("/a/").and_then(|rest| rest.strip_suffix("/b")).expect("the path");
    assert!(!below.is_empty() && !below.contains('/') && !matches!(below, "." | ".."));
    assert_eq!(url.query(), None);
}

fn claims(data: &[u8]) {
    let (claims, peak) = CLAIMS.hold(data.len(), || allocation::peak(|| strict_json::object(data)));
    // `0,` is two bytes of text and a value of 32 bytes in a list that grows by doubling.
    assert!(peak <= 128 * data.len() + 4096, "{peak} bytes for {} of JSON", data.len());
    let Ok(claims) = claims else { return };
    // Stricter than others, but never of another opinion.
    let read: Value = serde_json::from_slice(data).expect("JSON");
    assert_eq!(Value::Object(claims.clone()), read);
    reads_as_others_read_it(&claims);
}

fn reads_as_others_read_it(claims: &Map<String, Value>) {
    for now in [0, 1_800_000_000, i64::MAX] {
        let strict = token::check_claims(claims, &Requirements::default(), now);
        let leeway = Leeway { exp: DAY, nbf: DAY, iat: DAY };
        let lenient = token::check_claims(claims, &Requirements { leeway, ..Requirements::default() }, now);
        assert!(strict.is_err() || lenient.is_ok(), "leeway makes nothing stricter");
    }
    assert_eq!(Claims::new(claims).all(), *claims);
}

/// The URL of a key, whatever the operator writes there: a token's sender never chooses where it leads.
fn template(text: &str) {
    let Ok(template) = TEMPLATE.hold(text.len(), || text.parse::<Template>()) else { return };
    let host = |id: &str| {
        let id = KeyId::new(id).expect("a key id");
        let url: http::Uri = template.expand(&id).parse().ok()?;
        url.authority().map(|authority| authority.to_string())
    };
    assert_eq!(host("a"), host("@b.example:1/?#\u{e9}%2f"));
    let shown = template.to_string();
    let authority = shown.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    assert!(!authority.contains('@') && !shown.contains('?'), "a password or a query is shown");
}

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

fn document(content_type: &str, body: &[u8]) {
    let (keys, peak) = DOCUMENT.hold(body.len(), || {
        allocation::peak(|| {
            Document::read(content_type, body, MinRsaBits::default())?.keys_of(&KeyId::current())
        })
    });
    // As for claims; and the library's own structures for a key.
    assert!(peak <= 128 * body.len() + 65_536, "{peak} bytes for {} of keys", body.len());
    let Ok(keys) = keys else { return };
    assert!(!keys.is_empty());
    for Key { public, only } in keys.iter() {
        assert!(only.is_none_or(|only| public.fits(only)));
        for algorithm in Algorithm::ALL {
            assert!(!public.verifies(algorithm, b"message", b"no signature"));
        }
    }
}
