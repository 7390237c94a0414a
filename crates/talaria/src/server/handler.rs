//! What answers the requests of a server.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;

use super::body::Body;

/// The client's address; every request carries it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The certificate that the client presented, DER, verified by the server; the requests of a client that has one carry it
/// as an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate(pub Arc<[u8]>);

/// The connection has waited for its TLS handshake, so that its next one goes first; the requests of such a connection carry
/// this as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AfterTls;

/// A check of requests before they reach their handler.
pub trait Guard: fmt::Debug + Send + Sync {
    /// Checks the headers of a request.
    ///
    /// # Errors
    /// The response to a request that does not pass.
    fn check(&self, headers: &HeaderMap) -> Result<(), Box<Response<Body>>>;
}

/// Answers the requests of one server.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The future is dropped if the client leaves before it is finished.
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// Several servers may share a handler.
impl<H: Handler> Handler for Arc<H> {
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send {
        H::handle(self, request)
    }
}
