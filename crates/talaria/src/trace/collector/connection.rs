//! The connection to the collector: HTTP/1.1 for OTLP over HTTP, HTTP/2 for gRPC.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::export_error::ExportError;
use crate::client_tls::Tls;
use crate::trace::config::{Collector, Endpoint, Protocol};

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;

/// Makes connections to one collector, and keeps one.
pub(super) struct Connections {
    protocol: Protocol,
    endpoint: Endpoint,
    tls: Option<Tls>,
    kept: Option<Connection>,
}

/// A connection that is driven by a task of its own, which ends with this.
pub(super) struct Connection {
    sender: Sender,
    task: AbortHandle,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A whole answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Connections {
    pub(super) fn new(collector: &Collector) -> Self {
        let Collector { protocol, endpoint, tls, .. } = collector;
        Self { protocol: *protocol, endpoint: endpoint.clone(), tls: tls.clone().map(Tls::new), kept: None }
    }

    /// A connection, and whether it has been used before.
    pub(super) async fn get(&mut self) -> Result<(Connection, bool), ExportError> {
        match self.kept.take().filter(|kept| !kept.is_closed()) {
            Some(kept) => Ok((kept, true)),
            None => Ok((self.open().await?, false)),
        }
    }

    pub(super) fn put(&mut self, connection: Connection) {
        self.kept = Some(connection);
    }

    pub(super) fn close(&mut self) {
        self.kept = None;
    }

    async fn open(&self) -> Result<Connection, ExportError> {
        let Endpoint { host, port, .. } = &self.endpoint;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(ExportError::Connect)?;
        // An error only means that small writes may wait.
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(self.encrypted(tls, stream).await.map_err(ExportError::Tls)?),
        };
        let io = TokioIo::new(stream);
        // A connection that fails is noticed by its request.
        match self.protocol {
            Protocol::Http => {
                let (sender, driver) = http1::handshake(io).await?;
                let task = tokio::spawn(async move { drop(driver.await) }).abort_handle();
                Ok(Connection { sender: Sender::Http1(sender), task })
            }
            Protocol::Grpc => {
                let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
                let task = tokio::spawn(async move { drop(driver.await) }).abort_handle();
                Ok(Connection { sender: Sender::Http2(sender), task })
            }
        }
    }

    async fn encrypted(&self, tls: &Tls, stream: TcpStream) -> io::Result<impl Stream + use<>> {
        let host = &self.endpoint.host;
        let name = ServerName::try_from(tls.server_name(host).to_owned()).map_err(io::Error::other)?;
        let mut config = Arc::unwrap_or_clone(tls.config().await?);
        let protocol: &[u8] = match self.protocol {
            Protocol::Http => b"http/1.1",
            Protocol::Grpc => b"h2",
        };
        config.alpn_protocols = vec![protocol.to_owned()];
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

impl Connection {
    /// Sends a request and reads the whole answer.
    pub(super) async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, ExportError> {
        let answer: Response<Incoming> = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|_| ExportError::Body)?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes(), trailers })
    }

    fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
