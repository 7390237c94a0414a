//! What hyper calls with each request of a connection: the checks of every server, then its handler.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::time::Instant;

use super::ServerContext;
use crate::server::incoming::Arrival;
use crate::server::memory::ConnectionMemory;
use crate::server::request_checks::{self, CheckError};
use crate::server::stream::{Answering, SharedState};
use crate::server::{AfterTls, Body, ClientCertificate, Handler, Peer, reply};

/// The service of one connection.
pub(super) struct ConnectionService<H> {
    pub(super) server: Arc<ServerContext<H>>,
    /// The client's address, also if a proxy names it.
    pub(super) client: SocketAddr,
    pub(super) certificate: Option<ClientCertificate>,
    pub(super) state: Arc<SharedState>,
    pub(super) memory: Option<Arc<ConnectionMemory>>,
}

impl<H: Handler> Service<Request<Incoming>> for ConnectionService<H> {
    type Response = Response<Body>;
    type Error = Infallible;
    /// In a box, because hyper moves a future before it polls it, and moves all the bytes that it may ever need.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let answering = self.state.request_arrived();
        let (server, memory) = (Arc::clone(&self.server), self.memory.clone());
        let peer = Peer(server.config.proxies.client_of(self.client, request.headers()));
        self.extend(&mut request, peer);
        if let Err(error) = request_checks::check(&request, &server.config, answering.is_ambiguous()) {
            server.report_rejected(peer, &error);
            let response = server.complete(error.into_response(), answering, memory.as_ref());
            return Box::pin(ready(Ok(response)));
        }
        Box::pin(async move {
            let response = server.handler.handle(request).await;
            Ok(server.complete(response, answering, memory.as_ref()))
        })
    }
}

impl<H> ConnectionService<H> {
    /// Adds what is known of the connection.
    fn extend(&self, request: &mut Request<Incoming>, peer: Peer) {
        let config = &self.server.config;
        let deadline = config.read_timeout.map(|timeout| Instant::now() + timeout);
        let connections = Arc::clone(&self.server.connections);
        let extensions = request.extensions_mut();
        if let Some(certificate) = &self.certificate {
            extensions.insert(certificate.clone());
        }
        extensions.insert(peer);
        if self.server.tls.is_some() && config.handshakes.is_some() {
            extensions.insert(AfterTls);
        }
        extensions.insert(Arrival { deadline, connections, memory: self.memory.clone() });
    }
}

impl<H> ServerContext<H> {
    /// Counts and logs a request that does not pass the checks.
    fn report_rejected(&self, Peer(peer): Peer, error: &CheckError) {
        self.connections.count_failure(error.failure());
        if let CheckError::WebPage(error) = error
            && let Some(suppressed) = self.web_pages.admit()
        {
            let server = self.name;
            tracing::warn!(server, %peer, %error, suppressed, "request rejected that a web page may have made");
        }
    }

    /// A response with what every response has.
    fn complete(
        &self,
        mut response: Response<Body>,
        answering: Answering,
        memory: Option<&Arc<ConnectionMemory>>,
    ) -> Response<Body> {
        if let Some(memory) = memory {
            response = count(response, memory);
        }
        self.identity.sign(&mut response);
        response.body_mut().keep(answering);
        response
    }
}

/// Counts a response's body, or answers with 503 if there is no room for it.
fn count(mut response: Response<Body>, memory: &Arc<ConnectionMemory>) -> Response<Body> {
    if response.body_mut().count_in(memory).is_ok() {
        return response;
    }
    memory.report("response replaced by a 503, too many bytes of bodies wait in all");
    reply::text(StatusCode::SERVICE_UNAVAILABLE, "there is no room for the response now")
}
