//! New connections to event receivers: name resolution, TCP, and TLS for `https`.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use talaria_protocol::url::Origin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::post_error::PostError;
use crate::trust;

/// A byte stream to a receiver.
pub(in crate::event) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The result of [`Dial::dial`]. Boxed, because there is one for each connection, not for each event.
pub(in crate::event) type Dialing<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, PostError>> + Send + 'a>>;

/// Makes connections. It is a trait so that tests need no network.
pub(in crate::event) trait Dial: Send + Sync {
    /// Connects to a receiver.
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a>;
}

/// Connects over the network.
#[derive(Default)]
pub(super) struct Network {
    /// Made for the first `https` URL, because reading the system's certificates takes tens of milliseconds.
    tls: OnceCell<TlsConnector>,
}

impl Dial for Network {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        Box::pin(self.connect(origin))
    }
}

impl Network {
    async fn connect(&self, origin: &Origin) -> Result<Box<dyn Stream>, PostError> {
        let stream = connect_tcp(origin).await?;
        if !origin.tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(origin.host.to_string())
            .map_err(|error| PostError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let connector = self.tls.get_or_try_init(tls_connector).await?;
        Ok(Box::new(connector.connect(name, stream).await.map_err(PostError::Tls)?))
    }
}

/// Tries the host's addresses one after the other.
async fn connect_tcp(origin: &Origin) -> Result<TcpStream, PostError> {
    let addresses = tokio::net::lookup_host((&*origin.host, origin.port)).await.map_err(PostError::Lookup)?;
    let mut last = PostError::Lookup(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A request is sent in one write, so waiting for more data to send would only cost time.
                stream.set_nodelay(true).map_err(PostError::Connect)?;
                return Ok(stream);
            }
            Err(error) => last = PostError::Connect(error),
        }
    }
    Err(last)
}

async fn tls_connector() -> Result<TlsConnector, PostError> {
    let config = tokio::task::spawn_blocking(tls_config).await.map_err(io::Error::other);
    Ok(TlsConnector::from(config.and_then(|config| config).map_err(PostError::Tls)?))
}

fn tls_config() -> io::Result<Arc<ClientConfig>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be used for event receivers");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = trust::server_verifier(found.certs, Arc::clone(&provider)).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
