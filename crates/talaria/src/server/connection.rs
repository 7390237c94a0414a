//! One connection: the header of its proxy, its TLS handshake, then HTTP/1.1 until the client leaves, upgrades or is cut off.

mod service;

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::handshakes::{Handshake, HandshakeKind, RefusedError};
use super::live::Current;
use super::memory::ConnectionMemory;
use super::metrics::Connections;
use super::proxies::{self, ProxyHeaderError};
use super::rate::RateLimiter;
use super::stream::Stream;
use super::tls::{self, HandshakeError, Tls};
use super::transport::Transport;
use super::{ClientCertificate, Config, ConnectionFailure, Handler, Identity, Permit, raw_response};
use crate::telemetry::throttle::Throttle;
use service::ConnectionService;

/// hyper does not accept smaller buffers.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// The shortest time between two log lines about web pages, or about headers of proxies.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// What the connections of one server share that were accepted with the same settings.
pub(super) struct ServerContext<H> {
    name: &'static str,
    config: Config,
    identity: Arc<Identity>,
    connections: Arc<Connections>,
    tls: Option<Arc<Tls>>,
    handler: Arc<H>,
    http: http1::Builder,
    web_pages: Arc<Throttle>,
    /// How often each client may connect.
    limiter: Option<Arc<Mutex<RateLimiter>>>,
    /// The log of connections without a proxy's header.
    proxy_headers: Arc<Throttle>,
}

/// A connection that serves HTTP.
type HttpConnection<H> = UpgradeableConnection<TokioIo<Stream>, ConnectionService<H>>;

/// A connection before its first request.
struct Established {
    transport: Transport,
    /// The client's address, also if a proxy names it.
    client: SocketAddr,
    /// When the header of the first request must have arrived.
    first_header_by: Option<Instant>,
}

/// Serves one connection until it ends or the server stops.
///
/// A broken connection is logged at debug level only: the client is gone and nothing is lost.
pub(super) async fn serve<H: Handler>(
    socket: TcpStream,
    peer: SocketAddr,
    permit: Permit,
    server: Arc<ServerContext<H>>,
    mut stop: watch::Receiver<bool>,
) {
    let established = tokio::select! {
        established = server.establish(socket, peer) => established,
        () = stop_requested(&mut stop) => None,
    };
    let Some(established) = established else { return };
    let peer = established.client;
    let connection = pin!(server.serve_http(established, permit));
    if let Err(error) = run(connection, &mut stop).await {
        server.count(&error);
        tracing::debug!(%peer, %error, "connection ended with an error");
    }
}

/// Ready once the server is to stop, or if its owner is gone.
pub(super) async fn stop_requested(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Serves a connection until it ends; once the server stops, until its current response is written. The connection stays where it
/// is: moved into this future, it would take its room twice.
async fn run<H: Handler>(
    mut connection: Pin<&mut HttpConnection<H>>,
    stop: &mut watch::Receiver<bool>,
) -> hyper::Result<()> {
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop_requested(stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

impl<H: Handler> ServerContext<H> {
    /// Serves HTTP on an established connection. It is no `async fn`, so that nothing is kept of what the connection is made
    /// of.
    fn serve_http(self: &Arc<Self>, established: Established, permit: Permit) -> HttpConnection<H> {
        let Established { transport, client, first_header_by } = established;
        let certificate = transport.client_certificate().map(|der| ClientCertificate(der.into()));
        let memory = self.config.bodies.as_ref();
        let memory = memory.map(|budget| ConnectionMemory::new(budget, &self.connections, client));
        let identity = Arc::clone(&self.identity);
        let stream = Stream::new(transport, permit, &self.config, identity, first_header_by, memory.clone());
        let (server, state) = (Arc::clone(self), stream.state());
        let service = ConnectionService { server, client, certificate, state, memory };
        self.http.serve_connection(TokioIo::new(stream), service).with_upgrades()
    }

    pub(super) fn new(
        name: &'static str,
        current: &Current,
        identity: Identity,
        connections: Arc<Connections>,
        handler: H,
    ) -> Self {
        Self {
            name,
            config: current.config.clone(),
            identity: Arc::new(identity),
            connections,
            tls: current.tls.clone(),
            handler: Arc::new(handler),
            http: http_of(&current.config),
            limiter: limiter_of(&current.config),
            web_pages: Arc::new(Throttle::every(LOG_PERIOD)),
            proxy_headers: Arc::new(Throttle::every(LOG_PERIOD)),
        }
    }

    /// The same server with other settings, for the connections that come. What clients did counts on if their limit is the
    /// same.
    pub(super) fn with(&self, current: &Current) -> Self {
        let limiter = if current.config.rate == self.config.rate {
            self.limiter.clone()
        } else {
            limiter_of(&current.config)
        };
        Self {
            name: self.name,
            config: current.config.clone(),
            identity: Arc::clone(&self.identity),
            connections: Arc::clone(&self.connections),
            tls: current.tls.clone(),
            handler: Arc::clone(&self.handler),
            http: http_of(&current.config),
            limiter,
            web_pages: Arc::clone(&self.web_pages),
            proxy_headers: Arc::clone(&self.proxy_headers),
        }
    }

    /// Whether its TLS is this one.
    pub(super) fn has_tls(&self, tls: Option<&Arc<Tls>>) -> bool {
        match (&self.tls, tls) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// Whether connections of this peer begin with a header that names the client.
    pub(super) fn is_behind_proxy(&self, peer: SocketAddr) -> bool {
        self.config.proxies.require_header_of(peer.ip())
    }

    /// Whether this client may connect once more now. If not, it is counted.
    pub(super) fn is_within_rate(&self, client: SocketAddr) -> bool {
        let Some(limiter) = &self.limiter else { return true };
        let is_within = limiter.lock().allows(client.ip(), Instant::now());
        if !is_within {
            self.connections.count_failure(ConnectionFailure::RateLimited);
        }
        is_within
    }

    /// Does what comes before HTTP. The client has its time from the moment on when its TLS handshake may begin.
    async fn establish(&self, mut socket: TcpStream, peer: SocketAddr) -> Option<Established> {
        let handshake = match self.config.handshakes.as_ref().filter(|_| self.tls.is_some()) {
            Some(handshakes) => match handshakes.begin(HandshakeKind::Tls).await {
                Ok(handshake) => Some(handshake),
                Err(RefusedError { .. }) => {
                    self.connections.count_failure(ConnectionFailure::HandshakeRefused);
                    return None;
                }
            },
            None => None,
        };
        let deadline = self.config.read_header_timeout.map(|timeout| Instant::now() + timeout);
        let mut client = peer;
        if self.is_behind_proxy(peer) {
            client = Box::pin(self.read_proxy_header(&mut socket, peer, deadline)).await?;
            if !self.is_within_rate(client) {
                return None;
            }
        }
        let transport = match &self.tls {
            // In a box of its own, which is freed before requests are served.
            Some(tls) => Box::pin(self.negotiate(tls, socket, client, deadline, handshake)).await?,
            None => Transport::Plain(socket),
        };
        Some(Established { transport, client, first_header_by: deadline })
    }

    /// Reads the proxy's header and returns the client's address. A header that is missing is counted, logged once a minute,
    /// and gives nothing.
    async fn read_proxy_header(
        &self,
        socket: &mut TcpStream,
        peer: SocketAddr,
        deadline: Option<Instant>,
    ) -> Option<SocketAddr> {
        let reading = proxies::read_header(socket);
        let read = match deadline {
            Some(deadline) => timeout_at(deadline, reading).await.unwrap_or(Err(ProxyHeaderError::TimedOut)),
            None => reading.await,
        };
        match read {
            Ok(client) => Some(client.unwrap_or(peer)),
            Err(error) => {
                let failure = error.failure();
                self.connections.count_failure(failure);
                // Health checks of load balancers connect and close.
                if failure != ConnectionFailure::NoProxyHeader
                    && let Some(suppressed) = self.proxy_headers.admit()
                {
                    tracing::warn!(
                        server = self.name,
                        %peer,
                        %error,
                        suppressed,
                        "connection closed, it has no valid PROXY protocol header although proxyProtocol is on"
                    );
                }
                None
            }
        }
    }

    /// Negotiates TLS. A handshake that fails is counted and gives nothing.
    async fn negotiate(
        &self,
        tls: &Tls,
        socket: TcpStream,
        peer: SocketAddr,
        deadline: Option<Instant>,
        handshake: Option<Handshake<'_>>,
    ) -> Option<Transport> {
        let accepting = pin!(tls::accept(socket, tls.current()));
        let accepting = async {
            match handshake {
                Some(mut handshake) => handshake.run(accepting).await,
                None => accepting.await,
            }
        };
        let outcome = match deadline {
            Some(deadline) => timeout_at(deadline, accepting).await,
            None => Ok(accepting.await),
        };
        let failure = match outcome {
            Ok(Ok(socket)) => {
                self.connections.count_tls(socket.resumption());
                return Some(Transport::Tls(socket));
            }
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "TLS handshake failed");
                let failure = error.failure();
                if let HandshakeError::NotTls { http: Some(socket) } = error {
                    self.answer_plain_http(&socket);
                }
                failure
            }
            Err(_) => ConnectionFailure::HandshakeTimeout,
        };
        self.connections.count_failure(failure);
        None
    }

    /// Tells a client that speaks plain HTTP to a TLS port what is wrong, as Go's server does. The send buffer of a new
    /// socket has room for that.
    fn answer_plain_http(&self, socket: &TcpStream) {
        let status = StatusCode::BAD_REQUEST;
        let text = "Client sent an HTTP request to an HTTPS server.\n";
        let _ = socket.try_write(&raw_response::response(status, text, &self.identity));
        // Closing with unread bytes would reset the connection, and the reset could overtake the response.
        let _ = socket.try_read(&mut [0; 4096]);
    }

    fn count(&self, error: &hyper::Error) {
        if error.is_parse_too_large() {
            self.connections.count_failure(ConnectionFailure::HeaderTooLarge);
        } else if error.is_parse() {
            self.connections.count_failure(ConnectionFailure::Malformed);
        }
    }
}

fn http_of(config: &Config) -> http1::Builder {
    let mut http = http1::Builder::new();
    // The stream has the deadlines. Header names are written as Go writes them, for clients that compare case.
    http.header_read_timeout(None)
        .keep_alive(!config.disable_keep_alives)
        .max_header_size(config.max_header_bytes)
        .max_buf_size(config.max_header_bytes.max(SMALLEST_BUFFER))
        .title_case_headers(true)
        .auto_date_header(false);
    http
}

fn limiter_of(config: &Config) -> Option<Arc<Mutex<RateLimiter>>> {
    config.rate.map(RateLimiter::new).map(Mutex::new).map(Arc::new)
}
