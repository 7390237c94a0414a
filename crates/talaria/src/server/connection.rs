//! HTTP/1.1 on one connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::accept::told_to_stop;
use super::incoming::ReadBy;
use super::stream::{Answering, Stream};
use super::{Body, Config, Handler, Identity, Peer, Permit};

/// hyper's buffers are not smaller than this.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// What all connections of one server share.
pub(super) struct Door<H> {
    config: Config,
    identity: Identity,
    handler: H,
    http: http1::Builder,
}

impl<H: Handler> Door<H> {
    pub(super) fn new(config: Config, identity: Identity, handler: H) -> Self {
        let mut http = http1::Builder::new();
        // The deadlines are the stream's. The header names go out as Go writes them, in case somebody compares.
        http.header_read_timeout(None)
            .keep_alive(!config.disable_keep_alives)
            .max_header_size(config.max_header_bytes)
            .max_buf_size(config.max_header_bytes.max(SMALLEST_BUFFER))
            .title_case_headers(true)
            .auto_date_header(false);
        Self { config, identity, handler, http }
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: Peer,
        answering: Answering,
    ) -> Response<Body> {
        request.extensions_mut().insert(peer);
        let read_by = self.config.read_timeout.map(|timeout| Instant::now() + timeout);
        request.extensions_mut().insert(ReadBy(read_by));
        let mut response = self.handler.handle(request).await;
        self.identity.sign(&mut response);
        response.body_mut().keep(answering);
        response
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
    let stream = Stream::new(socket, permit, &door.config);
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
        tracing::debug!(%peer, %error, "connection ended early");
    }
}
