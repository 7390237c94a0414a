//! How devices and callers show who they are, as the command line says it.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::tls::{Tls, TlsError, Trust};

/// Whom devices believe (for `wss://` and `https://`), and how they show who they are.
#[derive(Debug, Clone, Default, Args)]
pub struct Access {
    /// Believe servers with a certificate of an authority in this PEM file
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,

    /// Believe any server
    #[arg(long)]
    insecure: bool,

    /// Show this certificate chain, PEM, to a server that asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// The private key of --cert, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Devices bring the token in this file: `Authorization: Bearer …`
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
}

/// Why there is no access.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// TLS, and nothing is known of whom to believe.
    #[error("for TLS, give --ca with the server's authority, or --insecure")]
    NoTrust,
    /// The certificates and keys are of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The token cannot be read.
    #[error("cannot read the token in {path}: {source}", path = .path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Access {
    /// TLS, if it is `wanted`.
    ///
    /// # Errors
    /// If it is, and cannot be had.
    pub fn tls(&self, wanted: bool) -> Result<Option<Tls>, AccessError> {
        if !wanted {
            return Ok(None);
        }
        let trust = match &self.ca {
            Some(path) => Trust::Authorities(path),
            None if self.insecure => Trust::Anybody,
            None => return Err(AccessError::NoTrust),
        };
        Ok(Some(Tls::new(trust, self.cert.as_deref().zip(self.key.as_deref()))?))
    }

    /// The headers of a handshake that say who the device is.
    ///
    /// # Errors
    /// If the token's file cannot be read.
    pub fn headers(&self) -> Result<Vec<(String, String)>, AccessError> {
        let Some(path) = &self.token else { return Ok(vec![]) };
        let token =
            fs::read_to_string(path).map_err(|source| AccessError::Token { path: path.clone(), source })?;
        Ok(vec![("Authorization".to_owned(), format!("Bearer {}", token.trim()))])
    }
}
