//! Public keys, and the only place where a signature is checked.
//!
//! How keys are written (JWK, PEM) is read elsewhere: here come numbers and points.

use std::fmt;
use std::ops::RangeInclusive;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA384, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

use super::algorithm::Algorithm;

/// The sizes of an RSA modulus that are accepted at all, in bits (contract §14.28).
const RSA_BITS: RangeInclusive<usize> = 1024..=8192;

/// The size of an RSA modulus below which a key is weak, in bits (NIST SP 800-131A).
const STRONG_RSA_BITS: usize = 2048;

/// A checked public key: of a known kind, of a size that is not slow, and on its curve.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// For PKCS #1 v1.5 and PSS.
    Rsa(RsaKey),
    /// A point as `4 ‖ x ‖ y`.
    Ec(Curve, Box<[u8]>),
    /// The 32 bytes of RFC 8032.
    Ed25519(Box<[u8]>),
}

/// Modulus and exponent, big-endian without leading zeros.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaKey {
    n: Box<[u8]>,
    e: Box<[u8]>,
}

/// The least size of an RSA key that is accepted, in bits (`jwtValidator.Config.MinRSABits`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRsaBits(usize);

/// The number is not a size of RSA keys that can be required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of bits from {} to {}", RSA_BITS.start(), RSA_BITS.end())]
pub struct MinRsaBitsError;

/// A curve of ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

/// A key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// An RSA modulus that can be factored, or is too slow to check with.
    #[error("an RSA key of {0} bits, expected {least} to {most}", least = RSA_BITS.start(), most = RSA_BITS.end())]
    RsaSize(usize),
    /// An RSA modulus below the configured size.
    #[error("an RSA key of {0} bits, expected at least the configured {1}")]
    RsaBelowMinimum(usize, usize),
    /// An RSA exponent that is even, 1, or larger than 32 bits.
    #[error("an RSA key with an exponent that is not taken")]
    RsaExponent,
    /// A point that is not on its curve, or of the wrong length.
    #[error("a point that is not on its curve")]
    Point,
    /// Another kind of key, or another curve; symmetric keys are such.
    #[error("a kind of key that is not taken")]
    Kind,
    /// It is meant for another purpose than signatures (`use`, `key_ops`, `alg`).
    #[error("a key that is not meant for these signatures")]
    Purpose,
    /// It cannot be read.
    #[error("a key that cannot be read")]
    Unreadable,
}

impl PublicKey {
    /// An RSA key; both numbers big-endian.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, PublicKeyError> {
        let (n, e) = (significant(modulus), significant(exponent));
        let bits = bit_length(n);
        if !RSA_BITS.contains(&bits) {
            return Err(PublicKeyError::RsaSize(bits));
        }
        let is_odd = e.last().is_some_and(|last| last % 2 == 1);
        if !is_odd || e == [1] || e.len() > 4 {
            return Err(PublicKeyError::RsaExponent);
        }
        Ok(Self::Rsa(RsaKey { n: n.into(), e: e.into() }))
    }

    /// A point of a curve, as `4 ‖ x ‖ y`.
    ///
    /// # Errors
    /// [`PublicKeyError::Point`].
    pub fn ec(curve: Curve, point: &[u8]) -> Result<Self, PublicKeyError> {
        let is_uncompressed = point.len() == 1 + 2 * curve.coordinate_bytes() && point[0] == 4;
        if !is_uncompressed || ParsedPublicKey::new(curve.verification(), point).is_err() {
            return Err(PublicKeyError::Point);
        }
        Ok(Self::Ec(curve, point.into()))
    }

    /// An Ed25519 key.
    ///
    /// # Errors
    /// [`PublicKeyError::Point`].
    pub fn ed25519(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        if bytes.len() != 32 || ParsedPublicKey::new(&ED25519, bytes).is_err() {
            return Err(PublicKeyError::Point);
        }
        Ok(Self::Ed25519(bytes.into()))
    }

    /// Whether this key made that signature of the message by the algorithm. A key knows only the algorithms of its own
    /// kind and curve.
    #[must_use]
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (self, algorithm) {
            (Self::Rsa(key), Algorithm::Rs256) => {
                key.verifies(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, message, signature)
            }
            (Self::Rsa(key), Algorithm::Rs384) => {
                key.verifies(&RSA_PKCS1_2048_8192_SHA384, message, signature)
            }
            (Self::Rsa(key), Algorithm::Rs512) => {
                key.verifies(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, message, signature)
            }
            (Self::Rsa(key), Algorithm::Ps256) => key.verifies(&RSA_PSS_2048_8192_SHA256, message, signature),
            (Self::Rsa(key), Algorithm::Ps384) => key.verifies(&RSA_PSS_2048_8192_SHA384, message, signature),
            (Self::Rsa(key), Algorithm::Ps512) => key.verifies(&RSA_PSS_2048_8192_SHA512, message, signature),
            (Self::Ec(curve, point), Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512)
                if curve.algorithm() == algorithm =>
            {
                UnparsedPublicKey::new(curve.verification(), point).verify(message, signature).is_ok()
            }
            (Self::Ed25519(bytes), Algorithm::EdDsa) => {
                UnparsedPublicKey::new(&ED25519, bytes).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }

    /// The size of the modulus in bits, of a weak RSA key only.
    #[must_use]
    pub fn weak_rsa_bits(&self) -> Option<usize> {
        match self {
            Self::Rsa(key) => Some(key.bits()).filter(|bits| *bits < STRONG_RSA_BITS),
            Self::Ec(..) | Self::Ed25519(_) => None,
        }
    }

    /// Whether signatures of this algorithm can be checked with it. Those of a weak RSA key are checked only where
    /// aws-lc can: RS256 and RS512.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match (self, algorithm) {
            (Self::Rsa(_), Rs256 | Rs512) | (Self::Ed25519(_), EdDsa) => true,
            (Self::Rsa(key), Rs384 | Ps256 | Ps384 | Ps512) => key.bits() >= STRONG_RSA_BITS,
            (Self::Ec(curve, _), Es256 | Es384 | Es512) => curve.algorithm() == algorithm,
            _ => false,
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(key) => write!(f, "Rsa({} bits)", key.bits()),
            Self::Ec(curve, _) => write!(f, "Ec({curve:?})"),
            Self::Ed25519(_) => f.write_str("Ed25519"),
        }
    }
}

impl Curve {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The length of a coordinate.
    #[must_use]
    pub fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The only algorithm that is used with it (RFC 7518 §3.4).
    #[must_use]
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::P521 => Algorithm::Es512,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
            Self::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }
}

impl MinRsaBits {
    /// A least size.
    ///
    /// # Errors
    /// [`MinRsaBitsError`], outside of what can be checked.
    pub fn new(bits: usize) -> Result<Self, MinRsaBitsError> {
        if RSA_BITS.contains(&bits) { Ok(Self(bits)) } else { Err(MinRsaBitsError) }
    }

    /// The key, unless it is an RSA key that is too small.
    pub(super) fn check(self, key: PublicKey) -> Result<PublicKey, PublicKeyError> {
        match &key {
            PublicKey::Rsa(rsa) if rsa.bits() < self.0 => {
                Err(PublicKeyError::RsaBelowMinimum(rsa.bits(), self.0))
            }
            _ => Ok(key),
        }
    }
}

impl Default for MinRsaBits {
    /// 1024 bits, as themis' sample configuration makes them.
    fn default() -> Self {
        Self(*RSA_BITS.start())
    }
}

impl RsaKey {
    fn bits(&self) -> usize {
        bit_length(&self.n)
    }

    fn verifies(&self, parameters: &'static RsaParameters, message: &[u8], signature: &[u8]) -> bool {
        RsaPublicKeyComponents { n: &self.n, e: &self.e }.verify(parameters, message, signature).is_ok()
    }
}

/// The length of a big-endian number without leading zeros.
fn bit_length(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

    use super::*;

    /// A number of so many bits.
    fn number(bits: usize) -> Vec<u8> {
        let mut number = vec![0xff; bits.div_ceil(8)];
        if let Some(first) = number.first_mut() {
            *first >>= bits.div_ceil(8) * 8 - bits;
        }
        number
    }

    /// contract §14.28
    #[test]
    fn tiny_huge_and_odd_rsa_keys_are_not_used() {
        for bits in [0, 512, 1023, 8193, 16384] {
            assert_eq!(PublicKey::rsa(&number(bits), &[1, 0, 1]), Err(PublicKeyError::RsaSize(bits)));
        }
        for (bits, weak) in [(1024, Some(1024)), (2047, Some(2047)), (2048, None), (4096, None), (8192, None)]
        {
            let key = PublicKey::rsa(&number(bits), &[0, 1, 0, 1]).unwrap();
            assert_eq!(key.weak_rsa_bits(), weak);
        }
        for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0, 0, 1]] {
            assert_eq!(
                PublicKey::rsa(&number(2048), exponent),
                Err(PublicKeyError::RsaExponent),
                "{exponent:?}"
            );
        }
    }

    #[test]
    fn a_configured_minimum_applies_to_rsa_keys_only() {
        for bits in [0, 1023, 8193] {
            assert_eq!(MinRsaBits::new(bits), Err(MinRsaBitsError));
        }
        let least = MinRsaBits::new(2048).unwrap();
        let key = |bits| PublicKey::rsa(&number(bits), &[1, 0, 1]).unwrap();
        assert_eq!(least.check(key(2047)), Err(PublicKeyError::RsaBelowMinimum(2047, 2048)));
        assert_eq!(least.check(key(2048)), Ok(key(2048)));
        let pair = Ed25519KeyPair::generate().unwrap();
        let ed = PublicKey::ed25519(pair.public_key().as_ref()).unwrap();
        assert_eq!(least.check(ed.clone()), Ok(ed));
    }

    #[test]
    fn a_weak_rsa_key_knows_the_algorithms_that_can_be_checked_with_it() {
        let key = PublicKey::rsa(&number(1024), &[1, 0, 1]).unwrap();
        let fitting: Vec<_> = Algorithm::ALL.into_iter().filter(|algorithm| key.fits(*algorithm)).collect();
        assert_eq!(fitting, [Algorithm::Rs256, Algorithm::Rs512]);
    }

    #[test]
    fn points_beside_their_curve_are_not_used() {
        for curve in Curve::ALL {
            let length = 1 + 2 * curve.coordinate_bytes();
            for bytes in [vec![4; length], vec![0; length], vec![4; length - 1], vec![], vec![0]] {
                assert_eq!(PublicKey::ec(curve, &bytes), Err(PublicKeyError::Point), "{curve:?}");
            }
        }
        assert_eq!(PublicKey::ed25519(&[1; 31]), Err(PublicKeyError::Point));
    }

    #[test]
    fn a_key_knows_only_the_algorithms_of_its_kind() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = PublicKey::ec(Curve::P256, pair.public_key().as_ref()).unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"text").unwrap();
        for algorithm in Algorithm::ALL {
            let expected = algorithm == Algorithm::Es256;
            assert_eq!(key.verifies(algorithm, b"text", signature.as_ref()), expected, "{algorithm}");
            assert_eq!(key.fits(algorithm), expected, "{algorithm}");
        }
        assert!(!key.verifies(Algorithm::Es256, b"texT", signature.as_ref()));
    }
}
