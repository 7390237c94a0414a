//! Finds the public key in the DER of a PEM block.
//!
//! Nothing is validated beyond that: no names, no dates, no signatures of certificates.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
};

use super::public_key::{Curve, PublicKey, PublicKeyError};
use crate::der::{BIT_STRING, Der, DerError, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, whole};
use crate::x509;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

/// `PUBLIC KEY`: a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
pub(super) fn public_key(der: &[u8]) -> Result<PublicKey, PublicKeyError> {
    spki(whole(der)?)
}

/// `RSA PUBLIC KEY`: an RSAPublicKey (RFC 8017 §A.1.1).
pub(super) fn rsa_public_key(der: &[u8]) -> Result<PublicKey, PublicKeyError> {
    let mut key = whole(der)?;
    PublicKey::rsa(key.take(INTEGER)?, key.take(INTEGER)?)
}

/// `CERTIFICATE` (RFC 5280 §4.1): its key. The server that it came from is trusted, so its signature is not checked.
pub(super) fn certificate(der: &[u8]) -> Result<PublicKey, PublicKeyError> {
    spki(Der::new(x509::subject_public_key_info(der)?))
}

/// `RSA PRIVATE KEY`: the public half of an RSAPrivateKey (RFC 8017 §A.1.2).
pub(super) fn rsa_private_key(der: &[u8]) -> Result<PublicKey, PublicKeyError> {
    let mut key = whole(der)?;
    key.take(INTEGER)?;
    PublicKey::rsa(key.take(INTEGER)?, key.take(INTEGER)?)
}

/// `EC PRIVATE KEY`: the public half of an ECPrivateKey (RFC 5915).
pub(super) fn ec_private_key(der: &[u8]) -> Result<PublicKey, PublicKeyError> {
    let pair = |curve| EcdsaKeyPair::from_private_key_der(signing(curve), der).ok().map(|pair| (curve, pair));
    let (curve, pair) = Curve::ALL.into_iter().find_map(pair).ok_or(PublicKeyError::Unreadable)?;
    PublicKey::ec(curve, pair.public_key().as_ref())
}

/// `PRIVATE KEY`: the public half of a PKCS #8 key (RFC 5958).
pub(super) fn private_key(der: &[u8]) -> Result<PublicKey, PublicKeyError> {
    let mut key = whole(der)?;
    key.take(INTEGER)?;
    let mut algorithm = Der::new(key.take(SEQUENCE)?);
    match algorithm.take(OBJECT_IDENTIFIER)? {
        RSA => rsa_private_key(key.take(OCTET_STRING)?),
        EC => {
            let curve = curve(algorithm.take(OBJECT_IDENTIFIER)?)?;
            let pair =
                EcdsaKeyPair::from_pkcs8(signing(curve), der).map_err(|_| PublicKeyError::Unreadable)?;
            PublicKey::ec(curve, pair.public_key().as_ref())
        }
        ED25519 => {
            let pair =
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| PublicKeyError::Unreadable)?;
            PublicKey::ed25519(pair.public_key().as_ref())
        }
        _ => Err(PublicKeyError::Kind),
    }
}

impl From<DerError> for PublicKeyError {
    fn from(_: DerError) -> Self {
        Self::Unreadable
    }
}

fn spki(mut info: Der<'_>) -> Result<PublicKey, PublicKeyError> {
    let mut algorithm = Der::new(info.take(SEQUENCE)?);
    // A bit string begins with the number of bits that its last byte lacks.
    let [0, key @ ..] = info.take(BIT_STRING)? else { return Err(PublicKeyError::Unreadable) };
    match algorithm.take(OBJECT_IDENTIFIER)? {
        RSA => rsa_public_key(key),
        EC => PublicKey::ec(curve(algorithm.take(OBJECT_IDENTIFIER)?)?, key),
        ED25519 => PublicKey::ed25519(key),
        _ => Err(PublicKeyError::Kind),
    }
}

fn curve(identifier: &[u8]) -> Result<Curve, PublicKeyError> {
    match identifier {
        P256 => Ok(Curve::P256),
        P384 => Ok(Curve::P384),
        P521 => Ok(Curve::P521),
        _ => Err(PublicKeyError::Kind),
    }
}

fn signing(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torn_and_overlong_values_are_refused_and_never_read_past_their_end() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(
            pair.public_key(),
        );
        let der = der.unwrap();
        let der = der.as_ref();
        assert!(public_key(der).is_ok());
        for end in 0..der.len() {
            assert!(public_key(&der[..end]).is_err(), "{end}");
        }
        assert!(public_key(&[der, &[0]].concat()).is_err());
        for bytes in [&[0x30, 0x80][..], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x83, 0xff], &[0x30]]
        {
            for read in
                [public_key, rsa_public_key, certificate, rsa_private_key, ec_private_key, private_key]
            {
                assert!(read(bytes).is_err(), "{bytes:?}");
            }
        }
    }
}
