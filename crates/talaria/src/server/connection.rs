//! HTTP/1.1 on one connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::accept::told_to_stop;
use super::incoming::Arrival;
use super::metrics::Connections;
use super::stream::{Answering, Stream};
use super::tls::{self, HandshakeError, Tls};
use super::transport::Transport;
use super::{Body, Config, Failure, Handler, Identity, Peer, Permit, refusal, request_checks};

/// hyper's buffers are not smaller than this.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// What all connections of one server share.
pub(super) struct Door<H> {
    config: Config,
    identity: Arc<Identity>,
    connections: Arc<Connections>,
    tls: Option<Arc<Tls>>,
    handler: H,
    http: http1::Builder,
}

impl<H: Handler> Door<H> {
    pub(super) fn new(
        config: Config,
        identity: Identity,
        connections: Arc<Connections>,
        tls: Option<Arc<Tls>>,
        handler: H,
    ) -> Self {
        let mut http = http1::Builder::new();
        // The deadlines are the stream's. The header names go out as Go writes them, in case somebody compares.
        http.header_read_timeout(None)
            .keep_alive(!config.disable_keep_alives)
            .max_header_size(config.max_header_bytes)
            .max_buf_size(config.max_header_bytes.max(SMALLEST_BUFFER))
            .title_case_headers(true)
            .auto_date_header(false);
        Self { config, identity: Arc::new(identity), connections, tls, handler, http }
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
                self.connections.failed(error.failure());
                error.response()
            }
        };
        self.identity.sign(&mut response);
        response.body_mut().keep(answering);
        response
    }

    /// Negotiates TLS where it is configured; `None` if nothing comes of it, which is then counted.
    async fn open(&self, socket: TcpStream, peer: SocketAddr, by: Option<Instant>) -> Option<Transport> {
        let Some(tls) = &self.tls else { return Some(Transport::Plain(socket)) };
        let shaking = tls::accept(socket, tls.current());
        let shaken = match by {
            Some(by) => timeout_at(by, shaking).await,
            None => Ok(shaking.await),
        };
        let failure = match shaken {
            Ok(Ok(socket)) => return Some(Transport::Tls(Box::new(socket))),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "TLS handshake failed");
                let failure = error.failure();
                if let HandshakeError::NotTls { http: Some(socket) } = error {
                    self.ask_for_tls(&socket);
                }
                failure
            }
            Err(_) => Failure::HandshakeTimeout,
        };
        self.connections.failed(failure);
        None
    }

    /// Tells somebody who speaks HTTP in clear what is wrong, as Go's server does. A fresh socket has room for that.
    fn ask_for_tls(&self, socket: &TcpStream) {
        let status = StatusCode::BAD_REQUEST;
        let text = "Client sent an HTTP request to an HTTPS server.\n";
        let _ = socket.try_write(&refusal::response(status, text, &self.identity));
        // What it has sent is taken, so that the answer is not overtaken by a reset.
        let _ = socket.try_read(&mut [0; 4096]);
    }

    fn count(&self, error: &hyper::Error) {
        if error.is_parse_too_large() {
            self.connections.failed(Failure::HeaderTooLarge);
        } else if error.is_parse() {
            self.connections.failed(Failure::Malformed);
        }
    }
}

/// Serves requests until the client leaves, upgrades or is cut, or the server stops.
///
/// A broken connection is the client's business: nobody is left to tell, and nothing is lost.
pub(super) async fn serve<H: Handler>(
    socket: TcpStream,
    peer: SocketAddr,
    permit: Permit,
    door: Arc<Door<H>>,
    mut stop: watch::Receiver<bool>,
) {
    let first_header_by = door.config.read_header_timeout.map(|timeout| Instant::now() + timeout);
    // In a box of its own, which is gone when requests are served.
    let opening = Box::pin(door.open(socket, peer, first_header_by));
    let opened = tokio::select! {
        opened = opening => opened,
        () = told_to_stop(&mut stop) => None,
    };
    let Some(transport) = opened else { return };
    let stream = Stream::new(transport, permit, &door.config, Arc::clone(&door.identity), first_header_by);
    let phase = stream.phase();
    let service = {
        let door = Arc::clone(&door);
        service_fn(move |request| {
            let door = Arc::clone(&door);
            let answering = phase.answering();
            async move { Ok::<_, Infallible>(door.answer(request, Peer(peer), answering).await) }
        })
    };
    let connection = door.http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told_to_stop(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        door.count(&error);
        tracing::debug!(%peer, %error, "connection ended early");
    }
}
