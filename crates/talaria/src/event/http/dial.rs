//! New connections to event receivers: name resolution, TCP, and TLS for `https`.
//!
//! A host that a device names is resolved once, each of its addresses is checked, and one of those that passed is connected
//! to. A second resolution could give another address (contract §5.8).

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use talaria_protocol::url::{Origin, public_address};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
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
    fn dial<'a>(&'a self, origin: &'a Origin, lookup: &'a Lookup) -> Dialing<'a>;
}

/// The name resolution of one worker. The system's resolver cannot be interrupted, so that a resolution may go on after its
/// worker has given it up; until then, the worker cannot begin another one.
#[derive(Clone)]
pub(in crate::event) struct Lookup(Arc<Semaphore>);

impl Lookup {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// Whether a resolution goes on that was given up.
    pub(super) fn is_running(&self) -> bool {
        self.0.available_permits() == 0
    }

    /// Waits until no resolution runs.
    pub(super) async fn ended(&self) {
        // The semaphore is never closed.
        drop(self.0.acquire().await);
    }

    /// Runs a resolution on a thread of its own.
    ///
    /// # Errors
    /// The thread could not run it to its end.
    pub(in crate::event) async fn run<T: Send + 'static>(
        &self,
        resolve: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
        let resolve = move || {
            let resolved = resolve();
            drop(permit);
            resolved
        };
        tokio::task::spawn_blocking(resolve).await.map_err(io::Error::other)
    }

    async fn addresses(&self, origin: &Origin) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = origin.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, origin.port)]);
        }
        let (host, port) = (origin.host.to_string(), origin.port);
        self.run(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect)).await?
    }
}

/// Connects over the network.
pub(super) struct Network {
    addresses: Addresses,
    /// Made for the first `https` URL, because reading the system's certificates takes tens of milliseconds.
    tls: Arc<OnceCell<TlsConnector>>,
}

/// The addresses that may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    All,
    Public,
}

impl Dial for Network {
    fn dial<'a>(&'a self, origin: &'a Origin, lookup: &'a Lookup) -> Dialing<'a> {
        Box::pin(self.connect(origin, lookup))
    }
}

impl Network {
    pub(super) fn new(addresses: Addresses, tls: Arc<OnceCell<TlsConnector>>) -> Self {
        Self { addresses, tls }
    }

    async fn connect(&self, origin: &Origin, lookup: &Lookup) -> Result<Box<dyn Stream>, PostError> {
        let addresses = lookup.addresses(origin).await.map_err(PostError::Lookup)?;
        let stream = connect_tcp(self.addresses.allowed(addresses)?).await?;
        if !origin.tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(origin.host.to_string())
            .map_err(|error| PostError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let connector = self.tls.get_or_try_init(tls_connector).await?;
        Ok(Box::new(connector.connect(name, stream).await.map_err(PostError::Tls)?))
    }
}

impl Addresses {
    /// Those of a host's addresses that may be connected to.
    ///
    /// # Errors
    /// [`PostError::NotPublic`] if the host has addresses, but none of these.
    fn allowed(self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, PostError> {
        if self == Self::All {
            return Ok(addresses);
        }
        let mut refused = None;
        let mut allowed = addresses;
        allowed.retain(|address| {
            public_address::check(address.ip()).map_err(|error| refused = Some(error)).is_ok()
        });
        match refused {
            Some(error) if allowed.is_empty() => Err(error.into()),
            _ => Ok(allowed),
        }
    }
}

/// Tries the addresses one after the other.
async fn connect_tcp(addresses: Vec<SocketAddr>) -> Result<TcpStream, PostError> {
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
