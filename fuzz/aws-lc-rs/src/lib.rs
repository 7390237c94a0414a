//! Replaces the cryptographic library while the parsers around it are fuzzed: any bytes are a key, and the signature
//! [`GOOD`](signature::GOOD) is good for every message and every key.
//!
//! What a token claims is read only behind a good signature. No fuzzer finds one by chance, so with the real library the
//! code behind the check would never run; with a signature that can be written down it does. That a token without a good
//! signature is not read is still checked. The real library is 300,000 lines of C that others fuzz, and CI would need
//! minutes to build it with the fuzzer's flags.

pub mod signature {
    //! As much of `aws_lc_rs::signature` as the gateway uses.

    use std::marker::PhantomData;

    /// The signature that is good.
    pub const GOOD: &[u8] = b"good";

    /// What the library calls `Unspecified`.
    #[derive(Debug)]
    pub struct Unspecified;

    fn check(signature: &[u8]) -> Result<(), Unspecified> {
        if signature == GOOD { Ok(()) } else { Err(Unspecified) }
    }

    pub trait VerificationAlgorithm: Sync {}
    pub trait KeyPair {
        fn public_key(&self) -> &Public;
    }

    pub struct Algorithm;
    impl VerificationAlgorithm for Algorithm {}
    pub type RsaParameters = Algorithm;
    pub type EcdsaSigningAlgorithm = Algorithm;

    pub static ECDSA_P256_SHA256_FIXED: Algorithm = Algorithm;
    pub static ECDSA_P384_SHA384_FIXED: Algorithm = Algorithm;
    pub static ECDSA_P521_SHA512_FIXED: Algorithm = Algorithm;
    pub static ED25519: Algorithm = Algorithm;
    pub static RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY: Algorithm = Algorithm;
    pub static RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY: Algorithm = Algorithm;
    pub static RSA_PKCS1_2048_8192_SHA384: Algorithm = Algorithm;
    pub static RSA_PSS_2048_8192_SHA256: Algorithm = Algorithm;
    pub static RSA_PSS_2048_8192_SHA384: Algorithm = Algorithm;
    pub static RSA_PSS_2048_8192_SHA512: Algorithm = Algorithm;
    pub static ECDSA_P256_SHA256_FIXED_SIGNING: Algorithm = Algorithm;
    pub static ECDSA_P384_SHA384_FIXED_SIGNING: Algorithm = Algorithm;
    pub static ECDSA_P521_SHA512_FIXED_SIGNING: Algorithm = Algorithm;

    pub struct ParsedPublicKey;
    impl ParsedPublicKey {
        pub fn new(_: &'static dyn VerificationAlgorithm, bytes: impl AsRef<[u8]>) -> Result<Self, Unspecified> {
            if bytes.as_ref().is_empty() { Err(Unspecified) } else { Ok(Self) }
        }
    }

    pub struct UnparsedPublicKey<B>(PhantomData<B>);
    impl<B: AsRef<[u8]>> UnparsedPublicKey<B> {
        pub fn new(_: &'static dyn VerificationAlgorithm, _: B) -> Self {
            Self(PhantomData)
        }
        pub fn verify(&self, _: &[u8], signature: &[u8]) -> Result<(), Unspecified> {
            check(signature)
        }
    }

    pub struct RsaPublicKeyComponents<B> {
        pub n: B,
        pub e: B,
    }
    impl<B: AsRef<[u8]>> RsaPublicKeyComponents<B> {
        pub fn verify(&self, _: &'static RsaParameters, _: &[u8], signature: &[u8]) -> Result<(), Unspecified> {
            check(signature)
        }
    }

    /// A pair whose public half is the end of what it is read from.
    pub struct Pair(Public);
    pub struct Public(Vec<u8>);
    impl AsRef<[u8]> for Public {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    pub type EcdsaKeyPair = Pair;
    pub type Ed25519KeyPair = Pair;
    impl Pair {
        pub fn from_private_key_der(_: &'static Algorithm, der: &[u8]) -> Result<Self, Unspecified> {
            Self::from_pkcs8_maybe_unchecked(der)
        }
        pub fn from_pkcs8(_: &'static Algorithm, der: &[u8]) -> Result<Self, Unspecified> {
            Self::from_pkcs8_maybe_unchecked(der)
        }
        pub fn from_pkcs8_maybe_unchecked(der: &[u8]) -> Result<Self, Unspecified> {
            der.last_chunk::<32>().map(|end| Self(Public(end.to_vec()))).ok_or(Unspecified)
        }
    }
    impl KeyPair for Pair {
        fn public_key(&self) -> &Public {
            &self.0
        }
    }
}
