//! What a key server answers: a JWK, a JWK set (RFC 7517) or PEM, told apart by the Content-Type (contract §6.4).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::der;
use super::key_id::KeyId;
use super::public_key::{Curve, MinRsaBits, PublicKey, PublicKeyError};
use crate::strict_json;

/// The longest document that a key server may answer with, in bytes.
pub const LONGEST_DOCUMENT: usize = 512 * 1024;

/// The most keys that a document may hold.
const MOST_KEYS: usize = 256;

/// A key that tokens may be checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key itself.
    pub public: PublicKey,
    /// The only algorithm that it is for, if it says so.
    pub only: Option<Algorithm>,
}

/// The keys of one document.
#[derive(Debug)]
pub struct Document {
    /// All keys that can be used, each with its `kid`.
    keys: Vec<(Option<Box<str>>, Key)>,
    /// How many keys there were, usable or not.
    count: usize,
    has_private_key: bool,
}

/// A document gives no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Keys do not come in this Content-Type.
    #[error("the content type is not one of application/json, jwk+json, jwk-set+json, x-pem-file")]
    ContentType,
    /// It is not what its Content-Type says.
    #[error("the document cannot be read")]
    Unreadable,
    /// It holds too many keys.
    #[error("the document holds more than {MOST_KEYS} keys")]
    TooMany,
    /// Its only key cannot be used.
    #[error(transparent)]
    Unusable(#[from] PublicKeyError),
    /// It holds several keys, or none, and none of the right name.
    #[error("the document does not hold the key")]
    Absent,
}

impl Document {
    /// Reads a document of this Content-Type. Of several keys, those that cannot be used are left out.
    ///
    /// # Errors
    /// [`DocumentError`]
    pub fn read(content_type: &str, body: &[u8], least: MinRsaBits) -> Result<Self, DocumentError> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        let keys = if is("application/json") || is("application/jwk+json") || is("application/jwk-set+json") {
            from_json(body)?
        } else if is("application/x-pem-file") {
            from_pem(body)?
        } else {
            return Err(DocumentError::ContentType);
        };
        let keys: Vec<_> = keys.into_iter().map(|read| read.of_size(least)).collect();
        let count = keys.len();
        if let [Read { key: Err(error), .. }] = keys[..] {
            return Err(error.into());
        }
        let has_private_key = keys.iter().any(|read| read.is_private);
        let keys = keys.into_iter().filter_map(|read| Some((read.kid, read.key.ok()?))).collect();
        Ok(Self { keys, count, has_private_key })
    }

    /// The keys that a token of this key id may be signed with. A document's only key is used whatever its name; of
    /// several, the name must be the one that was asked for.
    ///
    /// # Errors
    /// [`DocumentError::Absent`]
    pub fn keys_of(self, id: &KeyId) -> Result<Arc<[Key]>, DocumentError> {
        let is_only = self.count == 1;
        let named = |kid: Option<Box<str>>| is_only || kid.as_deref() == Some(id.as_str());
        let keys: Arc<[Key]> =
            self.keys.into_iter().filter_map(|(kid, key)| named(kid).then_some(key)).collect();
        if keys.is_empty() { Err(DocumentError::Absent) } else { Ok(keys) }
    }

    /// How many keys can be used.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The size in bits of the weakest RSA key among them, if one is weak.
    #[must_use]
    pub fn weak_rsa_bits(&self) -> Option<usize> {
        self.keys.iter().filter_map(|(_, key)| key.public.weak_rsa_bits()).min()
    }

    /// Whether a private key is among them: all who can fetch the document can sign tokens.
    #[must_use]
    pub fn has_private_key(&self) -> bool {
        self.has_private_key
    }

    /// The keys that have a name, with it.
    pub fn named(self) -> impl Iterator<Item = (KeyId, Key)> {
        self.keys.into_iter().filter_map(|(kid, key)| Some((KeyId::new(&kid?).ok()?, key)))
    }
}

/// One key of a document, usable or not.
struct Read {
    kid: Option<Box<str>>,
    key: Result<Key, PublicKeyError>,
    is_private: bool,
}

impl Read {
    /// A key that is usable only if it is of this size.
    fn of_size(self, least: MinRsaBits) -> Self {
        let key = self.key.and_then(|key| Ok(Key { public: least.check(key.public)?, ..key }));
        Self { key, ..self }
    }
}

fn from_json(body: &[u8]) -> Result<Vec<Read>, DocumentError> {
    let object = strict_json::object(body).map_err(|_| DocumentError::Unreadable)?;
    match object.get("keys") {
        Some(Value::Array(keys)) if keys.len() > MOST_KEYS => Err(DocumentError::TooMany),
        Some(Value::Array(keys)) => {
            let keys = keys.iter().map(|key| key.as_object().map(from_jwk));
            keys.collect::<Option<_>>().ok_or(DocumentError::Unreadable)
        }
        Some(_) => Err(DocumentError::Unreadable),
        None => Ok(vec![from_jwk(&object)]),
    }
}

/// One JWK. Symmetric keys (`kty: oct`) are not accepted.
fn from_jwk(jwk: &Map<String, Value>) -> Read {
    let kid = jwk.get("kid").and_then(Value::as_str).filter(|kid| !kid.is_empty()).map(Box::from);
    let text = |name| jwk.get(name).and_then(Value::as_str);
    let bytes = |name| {
        let decoded = text(name).and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
        decoded.ok_or(PublicKeyError::Unreadable)
    };
    let public = || match (text("kty"), text("crv")) {
        (Some("RSA"), _) => PublicKey::rsa(&bytes("n")?, &bytes("e")?),
        (Some("EC"), Some(name)) => {
            let curve = curve(name).ok_or(PublicKeyError::Kind)?;
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != y.len() {
                return Err(PublicKeyError::Point);
            }
            PublicKey::ec(curve, &[&[4][..], &x, &y].concat())
        }
        (Some("OKP"), Some("Ed25519")) => PublicKey::ed25519(&bytes("x")?),
        _ => Err(PublicKeyError::Kind),
    };
    let key = public().and_then(|public| {
        let only = purpose(jwk, &public)?;
        Ok(Key { public, only })
    });
    Read { kid, is_private: key.is_ok() && jwk.contains_key("d"), key }
}

/// What the key says it is for (RFC 7517 §4.2 to §4.4): signatures, and perhaps of one algorithm only.
fn purpose(jwk: &Map<String, Value>, public: &PublicKey) -> Result<Option<Algorithm>, PublicKeyError> {
    let is_for_signatures = jwk.get("use").is_none_or(|purpose| purpose == "sig");
    let verifies = jwk.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"))
    });
    if !is_for_signatures || !verifies {
        return Err(PublicKeyError::Purpose);
    }
    let Some(alg) = jwk.get("alg") else { return Ok(None) };
    let only = alg.as_str().and_then(Algorithm::from_name).filter(|only| public.fits(*only));
    only.map(Some).ok_or(PublicKeyError::Purpose)
}

fn curve(name: &str) -> Option<Curve> {
    match name {
        "P-256" => Some(Curve::P256),
        "P-384" => Some(Curve::P384),
        "P-521" => Some(Curve::P521),
        _ => None,
    }
}

/// Every PEM block (RFC 7468). Text between the blocks is ignored.
fn from_pem(body: &[u8]) -> Result<Vec<Read>, DocumentError> {
    let text = std::str::from_utf8(body).map_err(|_| DocumentError::Unreadable)?;
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, begun) = begun.split_once("-----").ok_or(DocumentError::Unreadable)?;
        let end = format!("-----END {label}-----");
        let (content, after) = begun.split_once(&end).ok_or(DocumentError::Unreadable)?;
        rest = after;
        if keys.len() == MOST_KEYS {
            return Err(DocumentError::TooMany);
        }
        let base64: String = content.split_ascii_whitespace().collect();
        let der = STANDARD.decode(base64).map_err(|_| DocumentError::Unreadable)?;
        let key = from_der(label, &der).map(|public| Key { public, only: None });
        keys.push(Read { kid: None, key, is_private: label.ends_with("PRIVATE KEY") });
    }
    if keys.is_empty() { Err(DocumentError::Unreadable) } else { Ok(keys) }
}

fn from_der(label: &str, der: &[u8]) -> Result<PublicKey, PublicKeyError> {
    match label {
        "PUBLIC KEY" => der::public_key(der),
        "RSA PUBLIC KEY" => der::rsa_public_key(der),
        "CERTIFICATE" => der::certificate(der),
        "PRIVATE KEY" => der::private_key(der),
        "RSA PRIVATE KEY" => der::rsa_private_key(der),
        "EC PRIVATE KEY" => der::ec_private_key(der),
        _ => Err(PublicKeyError::Kind),
    }
}

#[cfg(test)]
mod tests;
