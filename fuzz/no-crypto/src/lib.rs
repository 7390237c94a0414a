//! Stands in for the cryptographic library where the parsers around it are fuzzed: no signature is ever good, and any
//! bytes are a key. The library itself is 300,000 lines of C that others fuzz, and would take CI minutes to build.

pub mod signature {
    //! As much of `aws_lc_rs::signature` as the gateway uses.

    use std::marker::PhantomData;

    /// What the library calls `Unspecified`.
    #[derive(Debug)]
    pub struct Refused;

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
    pub static RSA_PKCS1_2048_8192_SHA256: Algorithm = Algorithm;
    pub static RSA_PKCS1_2048_8192_SHA384: Algorithm = Algorithm;
    pub static RSA_PKCS1_2048_8192_SHA512: Algorithm = Algorithm;
    pub static RSA_PSS_2048_8192_SHA256: Algorithm = Algorithm;
    pub static RSA_PSS_2048_8192_SHA384: Algorithm = Algorithm;
    pub static RSA_PSS_2048_8192_SHA512: Algorithm = Algorithm;
    pub static ECDSA_P256_SHA256_FIXED_SIGNING: Algorithm = Algorithm;
    pub static ECDSA_P384_SHA384_FIXED_SIGNING: Algorithm = Algorithm;
    pub static ECDSA_P521_SHA512_FIXED_SIGNING: Algorithm = Algorithm;

    pub struct ParsedPublicKey;
    impl ParsedPublicKey {
        pub fn new(_: &'static dyn VerificationAlgorithm, bytes: impl AsRef<[u8]>) -> Result<Self, Refused> {
            if bytes.as_ref().is_empty() { Err(Refused) } else { Ok(Self) }
        }
    }

    pub struct UnparsedPublicKey<B>(PhantomData<B>);
    impl<B: AsRef<[u8]>> UnparsedPublicKey<B> {
        pub fn new(_: &'static dyn VerificationAlgorithm, _: B) -> Self {
            Self(PhantomData)
        }
        pub fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), Refused> {
            Err(Refused)
        }
    }

    pub struct RsaPublicKeyComponents<B> {
        pub n: B,
        pub e: B,
    }
    impl<B: AsRef<[u8]>> RsaPublicKeyComponents<B> {
        pub fn verify(&self, _: &'static RsaParameters, _: &[u8], _: &[u8]) -> Result<(), Refused> {
            Err(Refused)
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
        pub fn from_private_key_der(_: &'static Algorithm, der: &[u8]) -> Result<Self, Refused> {
            Self::from_pkcs8_maybe_unchecked(der)
        }
        pub fn from_pkcs8(_: &'static Algorithm, der: &[u8]) -> Result<Self, Refused> {
            Self::from_pkcs8_maybe_unchecked(der)
        }
        pub fn from_pkcs8_maybe_unchecked(der: &[u8]) -> Result<Self, Refused> {
            der.last_chunk::<32>().map(|end| Self(Public(end.to_vec()))).ok_or(Refused)
        }
    }
    impl KeyPair for Pair {
        fn public_key(&self) -> &Public {
            &self.0
        }
    }
}
