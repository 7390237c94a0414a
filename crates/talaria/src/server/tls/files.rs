//! The files of a server's TLS, and what can be wrong with them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

use crate::trust;

/// The files, in PEM, of a certificate chain and of its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The key of a server's section that names a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `certificateFile`
    Certificate,
    /// `keyFile`
    PrivateKey,
    /// `clientCACertFile`
    ClientCa,
    /// `clientCRLFile`
    ClientCrl,
}

/// A file that cannot be used. The text has its path, never its content.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", .path.display())]
pub struct TlsError {
    /// The key that names the file.
    pub key: Key,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: FileError,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It does not exist or may not be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is not PEM, or does not have what is expected.
    #[error("expected {0}, PEM")]
    NotFound(&'static str),
    /// Its content cannot be used.
    #[error("cannot be used: {0}")]
    Unusable(rustls::Error),
    /// The private key belongs to another certificate.
    #[error("is not the private key of the certificate in {}", .0.display())]
    Mismatch(PathBuf),
    /// The authorities cannot be used to check clients.
    #[error("cannot be used: {0}")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
}

impl Key {
    /// Its name in a server's section.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificateFile",
            Self::PrivateKey => "keyFile",
            Self::ClientCa => "clientCACertFile",
            Self::ClientCrl => "clientCRLFile",
        }
    }
}

/// The certificates in a file; at least one.
pub(super) fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    trust::certificates_in(&fs::read(path)?).ok_or(FileError::NotFound("a certificate"))
}

/// The revocation lists in a file: one as DER, or at least one as PEM.
pub(super) fn revocation_lists_in(
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, FileError> {
    /// The first byte of DER: a sequence.
    const SEQUENCE: u8 = 0x30;
    let content = fs::read(path)?;
    if content.first() == Some(&SEQUENCE) {
        return Ok(vec![content.into()]);
    }
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&content).collect();
    lists.ok().filter(|lists| !lists.is_empty()).ok_or(FileError::NotFound("a certificate revocation list"))
}
