//! The text of a token (RFC 7515 §7.1, compact serialization).
//!
//! Its header is read before its signature is checked, so as little as possible is read: which algorithm, and which key.
//! Headers that point to a key of the sender's choice (`jku`, `jwk`, `x5u`, `x5c`) are ignored. The claims are read only
//! by [`Token::verified_by`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::keys::{Algorithm, KeyId, KeyIdError, PublicKey};
use crate::strict_json::{self, StrictJsonError};

/// The longest token, in bytes.
pub const LONGEST: usize = 16 * 1024;

/// A well-formed token, not verified.
#[derive(Debug)]
pub struct Token<'a> {
    algorithm: Algorithm,
    key_id: KeyId,
    signed: &'a [u8],
    payload: &'a str,
    signature: Vec<u8>,
}

/// The text is not a token that could be good, whatever its key.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
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
    Json(#[from] StrictJsonError),
    /// `none`, HMAC, an unknown algorithm, or no text.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// The header demands extensions; there are none here (RFC 7515 §4.1.11).
    #[error("the token has critical extensions")]
    Critical,
    /// The key's name is no text, or no name that is asked for.
    #[error(transparent)]
    KeyId(#[from] KeyIdError),
}

impl<'a> Token<'a> {
    /// Splits a token into its parts and reads its header.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn parse(text: &'a str) -> Result<Self, FormatError> {
        if text.len() > LONGEST {
            return Err(FormatError::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(FormatError::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(FormatError::Parts)?;
        if payload.contains('.') || [header, payload, signature].contains(&"") {
            return Err(FormatError::Parts);
        }
        let header = strict_json::object(&decode(header)?)?;
        if header.contains_key("crit") {
            return Err(FormatError::Critical);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
        let key_id = match header.get("kid") {
            None => KeyId::current(),
            Some(Value::String(kid)) => KeyId::new(kid)?,
            Some(_) => return Err(KeyIdError.into()),
        };
        Ok(Self {
            algorithm: algorithm.ok_or(FormatError::Algorithm)?,
            key_id,
            signed: signed.as_bytes(),
            payload,
            signature: decode(signature)?,
        })
    }

    /// The algorithm in its header.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key in its header.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The claims, if the signature was made by this key; `None` if not.
    ///
    /// # Errors
    /// [`FormatError`] if they were signed but cannot be read.
    #[must_use]
    pub fn verified_by(&self, key: &PublicKey) -> Option<Result<Map<String, Value>, FormatError>> {
        if !key.verifies(self.algorithm, self.signed, &self.signature) {
            return None;
        }
        Some(decode(self.payload).and_then(|payload| Ok(strict_json::object(&payload)?)))
    }
}

fn decode(part: &str) -> Result<Vec<u8>, FormatError> {
    // This engine also refuses padding and bits after the last byte: one value, one spelling.
    URL_SAFE_NO_PAD.decode(part).map_err(|_| FormatError::Base64)
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
            assert!(matches!(Token::parse(&text), Err(FormatError::Algorithm)), "{alg}");
        }
        for header in ["{}", r#"{"alg":null}"#, r#"{"alg":["ES256"]}"#] {
            assert!(matches!(Token::parse(&token(header)), Err(FormatError::Algorithm)), "{header}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let header = r#"{"alg":"none","alg":"ES256"}"#;
        assert!(matches!(Token::parse(&token(header)), Err(FormatError::Json(_))));
        let good = token(r#"{"alg":"ES256"}"#);
        // `c2ln` is "sig": with the padding of another alphabet, a line break, or stray bits, it is not.
        for bad in [
            format!("{good}="),
            format!("{good}\n"),
            good.replace("c2ln", "c2k"),
            good.replace("c2ln", "c+/n"),
        ] {
            let parsed = Token::parse(&bad);
            assert_eq!(
                matches!(parsed, Err(FormatError::Base64)),
                !bad.ends_with("c2k"),
                "{bad}: {parsed:?}"
            );
        }
        assert!(matches!(Token::parse(&good.replace("c2ln", "c2l")), Err(FormatError::Base64)), "stray bits");
    }

    #[test]
    fn other_numbers_of_parts_and_oversize_are_refused() {
        let good = token(r#"{"alg":"ES256"}"#);
        for text in ["", ".", "..", "a.b", &format!("{good}."), &format!("{good}.x.y"), &format!(".{good}")] {
            assert!(matches!(Token::parse(text), Err(FormatError::Parts)), "{text}");
        }
        let long = good.replace("e30", &"a".repeat(LONGEST));
        assert!(matches!(Token::parse(&long), Err(FormatError::TooLong)));
        let dots = ".".repeat(LONGEST);
        assert!(matches!(Token::parse(&dots), Err(FormatError::Parts)));
    }

    #[test]
    fn critical_extensions_and_a_key_name_that_is_none_are_refused() {
        for header in [r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, r#"{"alg":"ES256","crit":[]}"#] {
            assert!(matches!(Token::parse(&token(header)), Err(FormatError::Critical)), "{header}");
        }
        for header in [r#"{"alg":"ES256","kid":1}"#, r#"{"alg":"ES256","kid":"../x"}"#] {
            assert!(matches!(Token::parse(&token(header)), Err(FormatError::KeyId(_))), "{header}");
        }
    }
}
