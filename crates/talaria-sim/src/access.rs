//! The options for TLS and authentication of devices: which servers they trust, which certificate and token they present.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::tls::{Tickets, Tls, TlsError, Trust};

/// Options of a client for TLS (`wss://`, `https://`) and authentication.
#[derive(Debug, Clone, Default, Args)]
pub struct Access {
    /// Trust servers whose certificate an authority in this PEM file has signed
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,

    /// Trust any server
    #[arg(long)]
    insecure: bool,

    /// Certificate chain, PEM, to present to servers that request one
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// Private key of --cert, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Keep the tickets of TLS sessions, and resume a session when a device connects
    #[arg(long)]
    pub(crate) resume: bool,

    /// Send the token in this file when a device connects: `Authorization: Bearer …`
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
}

/// Why the options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// TLS is needed, but no option says which servers to trust.
    #[error("for TLS, give --ca with the server's authority, or --insecure")]
    NoTrust,
    /// The certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The token cannot be read.
    #[error("cannot read the token in {path}: {source}", path = .path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Access {
    /// The TLS configuration; `None` if it is not `needed`.
    ///
    /// # Errors
    /// If TLS is needed and the options do not make a configuration.
    pub fn tls(&self, needed: bool) -> Result<Option<Tls>, AccessError> {
        if !needed {
            return Ok(None);
        }
        let trust = match &self.ca {
            Some(path) => Trust::Authorities(path),
            None if self.insecure => Trust::AnyServer,
            None => return Err(AccessError::NoTrust),
        };
        let client = self.cert.as_deref().zip(self.key.as_deref());
        Ok(Some(Tls::new(trust, client, self.tickets())?))
    }

    /// Whether devices keep tickets.
    pub(crate) fn tickets(&self) -> Tickets {
        if self.resume { Tickets::Kept } else { Tickets::Ignored }
    }

    /// The headers that authenticate a device when it connects.
    ///
    /// # Errors
    /// If the file of the token cannot be read.
    pub fn headers(&self) -> Result<Vec<(String, String)>, AccessError> {
        let Some(path) = &self.token else { return Ok(vec![]) };
        let token =
            fs::read_to_string(path).map_err(|source| AccessError::Token { path: path.clone(), source })?;
        Ok(vec![("Authorization".to_owned(), format!("Bearer {}", token.trim()))])
    }
}
