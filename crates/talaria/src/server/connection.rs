//! One connection: its TLS handshake, then HTTP/1.1 until the client leaves, upgrades or is cut off.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use talaria_protocol::web_page::WebPageError;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::accept::stop_requested;
use super::incoming::Arrival;
use super::metrics::Connections;
use super::request_checks::{self, CheckError};
use super::stream::{Answering, Stream};
use super::tls::{self, HandshakeError, Tls};
use super::transport::Transport;
use super::{
    Body, ClientCertificate, Config, ConnectionFailure, Handler, Identity, Peer, Permit, raw_response,
};
use crate::telemetry::throttle::Throttle;

/// hyper does not accept smaller buffers.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// The shortest time between two log lines about requests of web pages.
const WEB_PAGE_LOG_PERIOD: Duration = Duration::from_secs(60);

/// What all connections of one server share.
pub(super) struct ServerContext<H> {
    name: &'static str,
    config: Config,
    identity: Arc<Identity>,
    connections: Arc<Connections>,
    tls: Option<Arc<Tls>>,
    handler: H,
    http: http1::Builder,
    web_pages: Throttle,
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
    let first_header_by = server.config.read_header_timeout.map(|timeout| Instant::now() + timeout);
    // In a box of its own, which is freed before requests are served.
    let handshake = Box::pin(server.negotiate(socket, peer, first_header_by));
    let negotiated = tokio::select! {
        negotiated = handshake => negotiated,
        () = stop_requested(&mut stop) => None,
    };
    let Some(transport) = negotiated else { return };
    let certificate = transport.client_certificate().map(|der| ClientCertificate(der.into()));
    let identity = Arc::clone(&server.identity);
    let stream = Stream::new(transport, permit, &server.config, identity, first_header_by);
    let state = stream.state();
    let service = {
        let server = Arc::clone(&server);
        service_fn(move |mut request: Request<Incoming>| {
            if let Some(certificate) = &certificate {
                request.extensions_mut().insert(certificate.clone());
            }
            let server = Arc::clone(&server);
            let answering = state.request_arrived();
            async move { Ok::<_, Infallible>(server.answer(request, Peer(peer), answering).await) }
        })
    };
    let connection = server.http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop_requested(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        server.count(&error);
        tracing::debug!(%peer, %error, "connection ended with an error");
    }
}

impl<H: Handler> ServerContext<H> {
    pub(super) fn new(
        name: &'static str,
        config: Config,
        identity: Identity,
        connections: Arc<Connections>,
        tls: Option<Arc<Tls>>,
        handler: H,
    ) -> Self {
        let mut http = http1::Builder::new();
        // The stream has the deadlines. Header names are written as Go writes them, for clients that compare case.
        http.header_read_timeout(None)
            .keep_alive(!config.disable_keep_alives)
            .max_header_size(config.max_header_bytes)
            .max_buf_size(config.max_header_bytes.max(SMALLEST_BUFFER))
            .title_case_headers(true)
            .auto_date_header(false);
        Self {
            name,
            config,
            identity: Arc::new(identity),
            connections,
            tls,
            handler,
            http,
            web_pages: Throttle::every(WEB_PAGE_LOG_PERIOD),
        }
    }

    /// Negotiates TLS where it is configured. A handshake that fails is counted and gives nothing.
    async fn negotiate(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        deadline: Option<Instant>,
    ) -> Option<Transport> {
        let Some(tls) = &self.tls else { return Some(Transport::Plain(socket)) };
        let handshake = tls::accept(socket, tls.current());
        let outcome = match deadline {
            Some(deadline) => timeout_at(deadline, handshake).await,
            None => Ok(handshake.await),
        };
        let failure = match outcome {
            Ok(Ok(socket)) => return Some(Transport::Tls(Box::new(socket))),
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

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: Peer,
        answering: Answering,
    ) -> Response<Body> {
        request.extensions_mut().insert(peer);
        let deadline = self.config.read_timeout.map(|timeout| Instant::now() + timeout);
        request.extensions_mut().insert(Arrival { deadline, connections: Arc::clone(&self.connections) });
        let mut response = match request_checks::check(&request, &self.config, answering.is_ambiguous()) {
            Ok(()) => self.handler.handle(request).await,
            Err(error) => {
                self.connections.count_failure(error.failure());
                if let CheckError::WebPage(error) = &error {
                    self.log_web_page(peer, *error);
                }
                error.into_response()
            }
        };
        self.identity.sign(&mut response);
        response.body_mut().keep(answering);
        response
    }

    fn log_web_page(&self, Peer(peer): Peer, error: WebPageError) {
        if let Some(suppressed) = self.web_pages.admit() {
            let server = self.name;
            tracing::warn!(server, %peer, %error, suppressed, "request rejected that a web page may have made");
        }
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
