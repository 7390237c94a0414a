//! New connections to event receivers: name resolution, TCP, and TLS for `https`.
//!
//! A host that a device names is resolved once, each of its addresses is checked, and one of those that passed is connected
//! to. A second resolution could give another address (contract §5.8). Start reading at [`Network`].

mod allowed;
mod happy_eyeballs;
mod instances;
mod lookup;
mod tls;

use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::SockRef;
use talaria_protocol::url::Origin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) use self::allowed::Addresses;
pub use self::instances::ReceiverInstances;
pub(in crate::event) use self::lookup::Lookup;
use self::lookup::{AnswerOrigin, Resolved, Resolver};
use self::tls::Tls;
pub(super) use self::tls::check as check_tls;
use super::post_error::PostError;
use crate::event::config::{CredentialsConfig, Transport};

/// How long a connection to an instance that discovery has found may take before another one is tried.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(2);

/// A byte stream to a receiver.
pub(in crate::event) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Whether bytes have arrived that were not read, or the end has. Asked of the system, because tokio learns of it only
    /// when its reactor has had a turn.
    fn has_input(&self) -> bool {
        false
    }

    /// What the receiver speaks.
    fn protocol(&self) -> Protocol {
        Protocol::Http1
    }
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::event) enum Protocol {
    Http1,
    Http2,
}

impl Stream for TcpStream {
    fn has_input(&self) -> bool {
        let peeked = SockRef::from(self).peek(&mut [MaybeUninit::uninit()]);
        !matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Stream for TlsStream<TcpStream> {
    fn has_input(&self) -> bool {
        self.get_ref().0.has_input()
    }

    fn protocol(&self) -> Protocol {
        match self.get_ref().1.alpn_protocol() {
            Some(tls::HTTP2) => Protocol::Http2,
            _ => Protocol::Http1,
        }
    }
}

/// The result of [`Dial::dial`]. It goes on in a task of its own when its event no longer needs it.
pub(in crate::event) type Dialing = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, PostError>> + Send>>;

/// Makes connections. It is a trait so that tests need no network.
pub(in crate::event) trait Dial: Send + Sync {
    /// Connects to a receiver.
    fn dial(&self, origin: &Origin, lookup: &Lookup) -> Dialing;
}

/// Connects over the network. Cheap to clone.
#[derive(Clone)]
pub(super) struct Network {
    addresses: Addresses,
    resolver: Arc<Resolver>,
    tls: Arc<Tls>,
    /// The instances that connections go to in place of the host of the URL.
    instances: Option<Arc<ReceiverInstances>>,
}

/// Addresses that no connection was made with yet. Unless one is, they are given up, so that the resolver is asked again.
struct Untried<'a> {
    resolver: &'a Resolver,
    host: &'a str,
    addresses: Option<Arc<[IpAddr]>>,
}

impl Dial for Network {
    fn dial(&self, origin: &Origin, lookup: &Lookup) -> Dialing {
        let (network, origin, lookup) = (self.clone(), origin.clone(), lookup.clone());
        Box::pin(async move { network.connect(&origin, &lookup).await })
    }
}

impl Network {
    /// `credentials` are those of single receivers.
    pub(super) fn new(
        addresses: Addresses,
        transport: &Transport,
        credentials: &[CredentialsConfig],
    ) -> Self {
        Self {
            addresses,
            resolver: Resolver::new(transport.lookup_max_age),
            tls: Arc::new(Tls::new(transport.http2, credentials)),
            instances: None,
        }
    }

    /// Connects to these instances in turn. Without instances, or if they do not answer, it connects to the host of the URL.
    pub(super) fn with_instances(self, instances: Arc<ReceiverInstances>) -> Self {
        Self { instances: Some(instances), ..self }
    }

    async fn connect(&self, origin: &Origin, lookup: &Lookup) -> Result<Box<dyn Stream>, PostError> {
        for instance in self.instances.iter().flat_map(|instances| instances.in_turn()) {
            let connecting = self.connect_at(origin, &instance.host, instance.port, lookup);
            // Why it does not answer is discovery's matter: the next one is tried.
            if let Ok(Ok(stream)) = timeout(INSTANCE_TIMEOUT, connecting).await {
                return Ok(stream);
            }
        }
        self.connect_at(origin, &origin.host, origin.port, lookup).await
    }

    /// Connects at a host that is that of the origin, or of one of its instances.
    async fn connect_at(
        &self,
        origin: &Origin,
        host: &str,
        port: u16,
        lookup: &Lookup,
    ) -> Result<Box<dyn Stream>, PostError> {
        let resolved = self.resolve(host, lookup).await?;
        match self.connect_to(origin, host, port, &resolved).await {
            // The host may have moved.
            Err(error) if resolved.origin == AnswerOrigin::Kept => {
                let now = self.resolve(host, lookup).await?;
                if now.addresses == resolved.addresses {
                    return Err(error);
                }
                self.connect_to(origin, host, port, &now).await
            }
            connected => connected,
        }
    }

    async fn resolve(&self, host: &str, lookup: &Lookup) -> Result<Resolved, PostError> {
        self.resolver.resolve(host, lookup).await.map_err(PostError::Lookup)
    }

    async fn connect_to(
        &self,
        origin: &Origin,
        host: &str,
        port: u16,
        resolved: &Resolved,
    ) -> Result<Box<dyn Stream>, PostError> {
        let mut untried =
            Untried { resolver: &self.resolver, host, addresses: Some(Arc::clone(&resolved.addresses)) };
        let allowed = self.addresses.allowed(&resolved.addresses)?;
        let stream = happy_eyeballs::connect(&allowed, port, TcpStream::connect);
        let stream = stream.await.map_err(PostError::Connect)?;
        // A request is sent in one write, so waiting for more data to send would only cost time.
        stream.set_nodelay(true).map_err(PostError::Connect)?;
        let stream = self.encrypted(origin, stream).await?;
        untried.addresses = None;
        Ok(stream)
    }

    async fn encrypted(&self, origin: &Origin, stream: TcpStream) -> Result<Box<dyn Stream>, PostError> {
        if !origin.tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(origin.host.to_string())
            .map_err(|error| PostError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let connector = TlsConnector::from(self.tls.config(origin).await.map_err(PostError::Tls)?);
        Ok(Box::new(connector.connect(name, stream).await.map_err(PostError::Tls)?))
    }
}

impl Drop for Untried<'_> {
    fn drop(&mut self) {
        if let Some(addresses) = self.addresses.take() {
            self.resolver.forget(self.host, &addresses);
        }
    }
}

#[cfg(test)]
mod tests;
