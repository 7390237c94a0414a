//! TLS to event receivers.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::sync::OnceCell;

use crate::event::config::Http2Offer;
use crate::trust;

/// The names of the protocols (RFC 9113 §3.1, RFC 7301 §6).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The settings of all connections of a lane.
pub(super) struct Tls {
    http2: Http2Offer,
    /// Made for the first `https` URL, because reading the system's certificates takes tens of milliseconds.
    system: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(http2: Http2Offer) -> Self {
        Self { http2, system: OnceCell::new() }
    }

    /// What a new connection begins with.
    ///
    /// # Errors
    /// The system has no usable certificates.
    pub(super) async fn config(&self) -> io::Result<Arc<ClientConfig>> {
        let http2 = self.http2;
        let load =
            async || tokio::task::spawn_blocking(move || system(http2)).await.map_err(io::Error::other)?;
        self.system.get_or_try_init(load).await.cloned()
    }
}

/// Trusts the system's authorities.
fn system(http2: Http2Offer) -> io::Result<Arc<ClientConfig>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be used for event receivers");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = trust::server_verifier(found.certs, Arc::clone(&provider)).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = match http2 {
        Http2Offer::Offered => vec![HTTP2.to_vec(), HTTP1.to_vec()],
        Http2Offer::Withheld => Vec::new(),
    };
    Ok(Arc::new(config))
}
