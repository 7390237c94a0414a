//! The keys that tokens are signed with: what a key server's answer means, and which keys are known.
//!
//! - [`Document`] reads an answer of a key server: a JWK, a JWK set or PEM. [`PublicKey`] is a key, and the only place
//!   that checks a signature.
//! - [`Template`] makes the URL of a key from its [`KeyId`].
//! - [`Cache`] remembers keys and failures, and says when a key has to be fetched.
//!
//! A key id is a stranger's choice, so everything that it could make grow has a bound.
//!
//! Deliberately absent: requests to key servers, waiting for them, and the clock. What a token is, is
//! [`token`](crate::token)'s matter.

mod algorithm;
mod cache;
mod der;
mod document;
mod key_id;
mod public_key;
mod template;

use std::sync::Arc;
use std::time::Instant;

pub use algorithm::Algorithm;
pub use cache::{Answer, Cache};
pub use document::{Document, DocumentError, Key, LONGEST_DOCUMENT};
pub use key_id::{KeyId, KeyIdError};
pub use public_key::{Curve, MinRsaBits, MinRsaBitsError, PublicKey, PublicKeyError, RsaKey};
pub use template::{Template, TemplateError};

/// Keys as they were fetched.
#[derive(Clone, Debug)]
pub struct Known {
    /// The keys of one id, seldom more than one.
    pub keys: Arc<[Key]>,
    /// When they were fetched.
    pub fetched: Instant,
}

/// There is no key of an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No source has it, and there is no template.
    #[error("no source has the key")]
    Unknown,
    /// Too many other keys are being fetched.
    #[error("too many keys are being fetched")]
    Busy,
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The fetched document does not contain it.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It was fetched only a moment ago and is not fetched again yet.
    #[error("the key was fetched only just")]
    Fresh,
}

/// A document was not fetched. The URL is not shown, because it may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It took too long.
    #[error("the key server did not answer in time")]
    Timeout,
    /// The server was not reached, or did not speak HTTP.
    #[error("the key server was not reached: {0}")]
    Unreachable(Arc<str>),
    /// The server did not answer with 200.
    #[error("the key server answered {0}")]
    Status(u16),
    /// The document is too long.
    #[error("the document is longer than {LONGEST_DOCUMENT} bytes")]
    TooLong,
}

impl KeyError {
    /// Whether the key server has said that there is no such key: one that it had before is revoked.
    fn is_final(&self) -> bool {
        matches!(self, Self::Document(DocumentError::Absent) | Self::Fetch(FetchError::Status(404 | 410)))
    }
}
