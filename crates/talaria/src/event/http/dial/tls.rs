//! TLS to event receivers: with the system's authorities, or with what `device.outbound.credentials` names for a receiver.
//!
//! The files of a receiver are compared before each new connection, which is rare, and read again when they have changed.
//! Start reading at [`Tls::config`].

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use talaria_protocol::url::Origin;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::super::watched_files::{Fingerprint, read};
use crate::event::config::{CredentialsConfig, Http2Offer, ReceiverTls};
use crate::trust;

/// The names of the protocols (RFC 9113 §3.1, RFC 7301 §6).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The settings of all connections of a lane.
pub(super) struct Tls {
    http2: Http2Offer,
    /// Made for the first `https` URL, because reading the system's certificates takes tens of milliseconds.
    system: OnceCell<Arc<ClientConfig>>,
    receivers: HashMap<Origin, Arc<Receiver>>,
}

/// A receiver with files of its own.
struct Receiver {
    config: ReceiverTls,
    http2: Http2Offer,
    loaded: Mutex<Option<Loaded>>,
}

struct Loaded {
    config: Arc<ClientConfig>,
    files: Fingerprint,
}

/// A file that cannot be used. The text does not show its content.
#[derive(Debug, thiserror::Error)]
#[error("names {}, which {problem}", .path.display())]
pub(in crate::event) struct TlsFileError {
    /// The key below the entry.
    pub(in crate::event) key: &'static str,
    path: PathBuf,
    problem: FileContentError,
}

#[derive(Debug, thiserror::Error)]
enum FileContentError {
    #[error("was not read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is not as expected: {0}, PEM")]
    NotFound(&'static str),
    #[error("does not belong to the certificate, or is not valid: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("has no usable authority: {0}")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
}

impl Tls {
    pub(super) fn new(http2: Http2Offer, credentials: &[CredentialsConfig]) -> Self {
        let receivers = credentials.iter().filter_map(|entry| {
            let receiver = Receiver { config: entry.tls.clone()?, http2, loaded: Mutex::default() };
            Some((entry.at.origin().clone(), Arc::new(receiver)))
        });
        Self { http2, system: OnceCell::new(), receivers: receivers.collect() }
    }

    /// What a new connection begins with.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub(super) async fn config(&self, origin: &Origin) -> io::Result<Arc<ClientConfig>> {
        if let Some(receiver) = self.receivers.get(origin).cloned() {
            return spawn_blocking(move || receiver.current()).await.map_err(io::Error::other)?;
        }
        let http2 = self.http2;
        let load = async || {
            let loading = spawn_blocking(move || client_config(&ReceiverTls::default(), http2));
            loading.await.map_err(io::Error::other)?.map_err(io::Error::other)
        };
        self.system.get_or_try_init(load).await.cloned()
    }
}

impl Receiver {
    /// The settings by the files as they are now; if those cannot be used, as they were.
    fn current(&self) -> io::Result<Arc<ClientConfig>> {
        let mut loaded = self.loaded.lock();
        let files = Fingerprint::of(self.config.files());
        if let Some(loaded) = &*loaded
            && loaded.files == files
        {
            return Ok(Arc::clone(&loaded.config));
        }
        match (client_config(&self.config, self.http2), &mut *loaded) {
            (Ok(config), loaded) => {
                *loaded = Some(Loaded { config: Arc::clone(&config), files });
                Ok(config)
            }
            (Err(error), Some(loaded)) => {
                tracing::warn!(key = error.key, %error, "changed certificates for an event receiver cannot be used, the previous ones stay in use");
                loaded.files = files;
                Ok(Arc::clone(&loaded.config))
            }
            (Err(error), None) => Err(io::Error::other(error)),
        }
    }
}

/// Checks the files.
///
/// # Errors
/// The first that cannot be used.
pub(in crate::event) fn check(config: &ReceiverTls) -> Result<(), TlsFileError> {
    client_config(config, Http2Offer::Offered).map(drop)
}

fn client_config(files: &ReceiverTls, http2: Http2Offer) -> Result<Arc<ClientConfig>, TlsFileError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (ca_path, authorities) = match &files.ca_file {
        Some(path) => {
            (path.clone(), certificates_in(path).map_err(|problem| error("tls.caFile", path, problem))?)
        }
        None => (PathBuf::new(), system_authorities()),
    };
    let of_ca = |problem| TlsFileError { key: "tls.caFile", path: ca_path.clone(), problem };
    let verifier = trust::server_verifier(authorities, Arc::clone(&provider))
        .map_err(|problem| of_ca(FileContentError::from(problem)))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|problem| of_ca(FileContentError::from(problem)))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &files.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = certificates_in(&client.certificate_file)
                .map_err(|problem| error("tls.certificateFile", &client.certificate_file, problem))?;
            let of_key = |problem| error("tls.keyFile", &client.key_file, problem);
            let key = private_key_in(&client.key_file).map_err(of_key)?;
            builder.with_client_auth_cert(chain, key).map_err(|problem| of_key(problem.into()))?
        }
    };
    if http2 == Http2Offer::Offered {
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    }
    Ok(Arc::new(config))
}

fn system_authorities() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be used for event receivers");
    }
    found.certs
}

fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileContentError> {
    trust::certificates_in(&read(path)?).ok_or(FileContentError::NotFound("certificates"))
}

fn private_key_in(path: &Path) -> Result<PrivateKeyDer<'static>, FileContentError> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|_| FileContentError::NotFound("a private key without a password"))
}

fn error(key: &'static str, path: &Path, problem: FileContentError) -> TlsFileError {
    TlsFileError { key, path: path.to_owned(), problem }
}
