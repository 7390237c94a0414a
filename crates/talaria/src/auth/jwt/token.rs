//! A token's text taken apart (RFC 7515 §7.1, compact serialization), without I/O and without keys.
//!
//! What it says of itself is read before its signature is checked, so that is as little as possible: which algorithm, and
//! which key. No header that points to a key of the sender's choice (`jku`, `jwk`, `x5u`, `x5c`) is looked at. The claims
//! are read only by [`Token::verified_by`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::json::{self, NotStrict};
use super::key_id::{InvalidKeyId, KeyId};
use super::public_key::PublicKey;

/// The longest token, in bytes.
pub const LONGEST: usize = 16 * 1024;

/// A token that could be a good one.
#[derive(Debug)]
pub struct Token<'a> {
    algorithm: Algorithm,
    key_id: KeyId,
    signed: &'a [u8],
    payload: &'a str,
    signature: Vec<u8>,
}

/// Why a text is no token that could be good, whatever its key.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Longer than [`LONGEST`].
    #[error("the token is longer than {LONGEST} bytes")]
    TooLong,
    /// Not three parts, or one of them empty.
    #[error("a token has three parts")]
    Parts,
    /// A part is not unpadded URL-safe base64 in its only spelling.
    #[error("a part of the token is not base64url")]
    Base64,
    /// The header or the claims are no JSON object, or one that can be read in two ways.
    #[error(transparent)]
    Json(#[from] NotStrict),
    /// `none`, HMAC, an unknown algorithm, or no text.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// The header demands extensions; there are none here (RFC 7515 §4.1.11).
    #[error("the token has critical extensions")]
    Critical,
    /// The key's name is no text, or no name that is asked for.
    #[error(transparent)]
    KeyId(#[from] InvalidKeyId),
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        if text.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Malformed::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(Malformed::Parts)?;
        if payload.contains('.') || [header, payload, signature].contains(&"") {
            return Err(Malformed::Parts);
        }
        let header = json::object(&decode(header)?)?;
        if header.contains_key("crit") {
            return Err(Malformed::Critical);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
        let key_id = match header.get("kid") {
            None => KeyId::current(),
            Some(Value::String(kid)) => KeyId::new(kid)?,
            Some(_) => return Err(InvalidKeyId.into()),
        };
        Ok(Self {
            algorithm: algorithm.ok_or(Malformed::Algorithm)?,
            key_id,
            signed: signed.as_bytes(),
            payload,
            signature: decode(signature)?,
        })
    }

    /// What it says it is signed with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key it says it is signed with.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The claims, if this key made the signature; `None` if not.
    ///
    /// # Errors
    /// [`Malformed`] if they were signed but cannot be read.
    pub fn verified_by(&self, key: &PublicKey) -> Option<Result<Map<String, Value>, Malformed>> {
        if !key.verifies(self.algorithm, self.signed, &self.signature) {
            return None;
        }
        Some(decode(self.payload).and_then(|payload| Ok(json::object(&payload)?)))
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Malformed> {
    // This engine also refuses padding and bits after the last byte: one value, one spelling.
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn a_token_names_its_algorithm_and_its_key() {
        for algorithm in Algorithm::ALL {
            let text = token(&format!(r#"{{"typ":"JWT","alg":"{algorithm}","kid":"k1"}}"#));
            let token = Token::parse(&text).unwrap();
            assert_eq!((token.algorithm(), token.key_id().as_str()), (algorithm, "k1"));
        }
        assert_eq!(Token::parse(&token(r#"{"alg":"ES256"}"#)).unwrap().key_id(), &KeyId::current());
        assert_eq!(Token::parse(&token(r#"{"alg":"ES256","kid":""}"#)).unwrap().key_id(), &KeyId::current());
    }

    #[test]
    fn no_symmetric_algorithm_and_no_unknown_one_is_taken() {
        for alg in ["none", "None", "NONE", "HS256", "HS384", "HS512", "ES256K", "rs256", "RS1", "dir", ""] {
            let text = token(&format!(r#"{{"alg":"{alg}"}}"#));
            assert!(matches!(Token::parse(&text), Err(Malformed::Algorithm)), "{alg}");
        }
        for header in ["{}", r#"{"alg":null}"#, r#"{"alg":["ES256"]}"#] {
            assert!(matches!(Token::parse(&token(header)), Err(Malformed::Algorithm)), "{header}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let header = r#"{"alg":"none","alg":"ES256"}"#;
        assert!(matches!(Token::parse(&token(header)), Err(Malformed::Json(_))));
        let good = token(r#"{"alg":"ES256"}"#);
        // `c2ln` is "sig": with the padding of another alphabet, a line break, or stray bits, it is not.
        for bad in [
            format!("{good}="),
            format!("{good}\n"),
            good.replace("c2ln", "c2k"),
            good.replace("c2ln", "c+/n"),
        ] {
            let parsed = Token::parse(&bad);
            assert_eq!(matches!(parsed, Err(Malformed::Base64)), !bad.ends_with("c2k"), "{bad}: {parsed:?}");
        }
        assert!(matches!(Token::parse(&good.replace("c2ln", "c2l")), Err(Malformed::Base64)), "stray bits");
    }

    #[test]
    fn other_numbers_of_parts_and_oversize_are_refused() {
        let good = token(r#"{"alg":"ES256"}"#);
        for text in ["", ".", "..", "a.b", &format!("{good}."), &format!("{good}.x.y"), &format!(".{good}")] {
            assert!(matches!(Token::parse(text), Err(Malformed::Parts)), "{text}");
        }
        let long = good.replace("e30", &"a".repeat(LONGEST));
        assert!(matches!(Token::parse(&long), Err(Malformed::TooLong)));
        let dots = ".".repeat(LONGEST);
        assert!(matches!(Token::parse(&dots), Err(Malformed::Parts)));
    }

    #[test]
    fn critical_extensions_and_a_key_name_that_is_none_are_refused() {
        for header in [r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, r#"{"alg":"ES256","crit":[]}"#] {
            assert!(matches!(Token::parse(&token(header)), Err(Malformed::Critical)), "{header}");
        }
        for header in [r#"{"alg":"ES256","kid":1}"#, r#"{"alg":"ES256","kid":"../x"}"#] {
            assert!(matches!(Token::parse(&token(header)), Err(Malformed::KeyId(_))), "{header}");
        }
    }
}
