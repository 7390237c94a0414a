//! Documents of key servers: which keys they give, and which not.

use serde_json::json;

use super::*;

/// A P-256 key: the base point of the curve, which is on it for sure.
fn jwk(kid: &str) -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "kid": kid,
        "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
        "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
    })
}

fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
    jwk[name] = value.into();
    jwk
}

fn find(document: &Value, id: &str) -> Result<usize, DocumentError> {
    let document = Document::read(
        "application/json; charset=utf-8",
        document.to_string().as_bytes(),
        MinRsaBits::default(),
    )?;
    Ok(document.keys_of(&KeyId::new(id).unwrap())?.len())
}

#[test]
fn an_only_key_is_used_whatever_its_name() {
    assert_eq!(find(&jwk("a"), "b"), Ok(1));
    assert_eq!(find(&json!({"keys": [jwk("a")]}), "b"), Ok(1));
    assert_eq!(find(&json!({"keys": [with(jwk("a"), "kid", Value::Null)]}), "b"), Ok(1));
}

#[test]
fn of_several_keys_the_one_of_the_right_name_is_used_and_no_other() {
    assert_eq!(find(&json!({"keys": [jwk("a"), jwk("b")]}), "b"), Ok(1));
    assert_eq!(find(&json!({"keys": [jwk("b"), jwk("b")]}), "b"), Ok(2));
    assert_eq!(find(&json!({"keys": [jwk("a"), jwk("b")]}), "c"), Err(DocumentError::Absent));
    // One that cannot be used counts: what is left is not an only key.
    let oct = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "b"});
    assert_eq!(find(&json!({"keys": [jwk("a"), oct]}), "b"), Err(DocumentError::Absent));
    assert_eq!(find(&json!({"keys": []}), "b"), Err(DocumentError::Absent));
}

#[test]
fn a_key_says_what_it_is_for() {
    let unusable = |key| find(&key, "a");
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(1)),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
        ("alg", json!("ES384")),
        ("alg", json!("RS256")),
        ("alg", json!("HS256")),
        ("alg", json!("none")),
        ("alg", json!(5)),
    ] {
        let expected = Err(PublicKeyError::Purpose.into());
        assert_eq!(unusable(with(jwk("a"), name, value.clone())), expected, "{name} {value}");
    }
    for (name, value) in [
        ("use", json!("sig")),
        ("key_ops", json!(["sign", "verify"])),
        ("alg", json!("ES256")),
        ("x5t", json!(1)),
    ] {
        assert_eq!(unusable(with(jwk("a"), name, value)), Ok(1), "{name}");
    }
}

#[test]
fn symmetric_unknown_and_broken_keys_are_not_used() {
    use PublicKeyError::{Kind, Point, RsaSize, Unreadable};
    let coordinate = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY";
    for (key, expected) in [
        (json!({"kty": "oct", "k": "c2VjcmV0"}), Kind),
        (json!({}), Kind),
        (json!({"kty": "OKP", "crv": "X25519", "x": coordinate}), Kind),
        (with(jwk("a"), "crv", "secp256k1"), Kind),
        (with(jwk("a"), "crv", "P-384"), Point),
        (with(jwk("a"), "y", coordinate), Point),
        (with(jwk("a"), "x", ""), Point),
        (with(jwk("a"), "x", "not base64!"), Unreadable),
        (with(jwk("a"), "x", Value::Null), Unreadable),
        (json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), RsaSize(17)),
        (json!({"kty": "RSA", "e": "AQAB"}), Unreadable),
    ] {
        assert_eq!(find(&key, "a"), Err(expected.into()), "{key}");
    }
}

#[test]
fn documents_that_lie_about_themselves_are_refused() {
    let text = jwk("a").to_string();
    for content_type in ["", "text/plain", "text/html", "application/jose", "application/x-pem-files"] {
        let read = Document::read(content_type, text.as_bytes(), MinRsaBits::default());
        assert_eq!(read.unwrap_err(), DocumentError::ContentType, "{content_type}");
    }
    for (content_type, body) in [
        ("application/json", "<html>"),
        ("application/json", "[]"),
        ("application/json", r#"{"keys": 1}"#),
        ("application/json", r#"{"keys": [1]}"#),
        ("application/json", r#"{"kty":"EC","kty":"oct"}"#),
        ("application/x-pem-file", text.as_str()),
        ("application/x-pem-file", "-----BEGIN PUBLIC KEY-----"),
        ("application/x-pem-file", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----"),
        ("application/x-pem-file", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----"),
    ] {
        let read = Document::read(content_type, body.as_bytes(), MinRsaBits::default());
        assert_eq!(read.unwrap_err(), DocumentError::Unreadable, "{body}");
    }
    let many = json!({"keys": vec![jwk("a"); MOST_KEYS + 1]});
    assert_eq!(find(&many, "a"), Err(DocumentError::TooMany));
}

#[test]
fn a_document_with_a_private_key_says_so() {
    let has_private_key = |jwk: Value| {
        let document =
            Document::read("application/json", jwk.to_string().as_bytes(), MinRsaBits::default()).unwrap();
        document.has_private_key()
    };
    assert!(!has_private_key(jwk("a")));
    assert!(has_private_key(with(jwk("a"), "d", "AAAA")));
    assert!(has_private_key(json!({"keys": [jwk("a"), with(jwk("b"), "d", "AAAA")]})));
}

/// Made by openssl: aws-lc makes no keys of this size.
const MODULUS_OF_1024_BITS: &str = "zTT5SVD7q2WR59TpYHUgPOnhvIeC3v9hWHkwOuGzuggUhPVIEHMDsXXpTulAPtI5jOqdRoEnLn_fuDpJgpXyEIzwUcTNMoAt4KAUJxK9djOTTVVsfyBu9RlXKfQTUaWxMBp8w_-YC3tk59GePy-mdYPtyW0M17UArALFdQBjAUc";
const SIGNED: &str = "eyJhbGciOiJSUzUxMiJ9.eyJzdWIiOiJ4In0";
const SIGNATURE: &str = "tmrBRXxfboauW4ZD2wB1-ls4eHqdO3RvYwwMtwwQ1SCdp4pY6t_txA3QxZ04FB8anS43UVkH6WGZeNr41y2VikxpfkOK0mYXNQPqlPuyhlU2MyoJRGazm1bK-H-sfRccJ5pe6k2Vrn9QlUrfSFdxqdB9s6Eq7fQ-mqGN2y_w3o8";

/// contract §14.28
#[test]
fn a_weak_rsa_key_is_used_and_reported_unless_the_configuration_excludes_it() {
    let jwk = json!({"kty": "RSA", "n": MODULUS_OF_1024_BITS, "e": "AQAB"}).to_string();
    let read = |least| Document::read("application/json", jwk.as_bytes(), least);
    let document = read(MinRsaBits::default()).unwrap();
    assert_eq!(document.weak_rsa_bits(), Some(1024));
    let keys = document.keys_of(&KeyId::new("any").unwrap()).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(SIGNATURE).unwrap();
    assert!(keys[0].public.verifies(Algorithm::Rs512, SIGNED.as_bytes(), &signature));
    assert!(!keys[0].public.verifies(Algorithm::Rs256, SIGNED.as_bytes(), &signature));

    let error = read(MinRsaBits::new(2048).unwrap()).unwrap_err();
    assert_eq!(error, PublicKeyError::RsaBelowMinimum(1024, 2048).into());
}
