//! Where spans are sent: a collector by OTLP, or standard output.
//!
//! One request is under way at a time, over a connection that is kept. Start reading at [`Target::export`].

mod connection;
mod export_error;
mod grpc;

use std::io::{self, Write as _};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use tokio::task::{JoinHandle, spawn_blocking};

use super::config::{Collector, Protocol, Provider, read_headers};
use super::otlp;
use super::span_data::SpanData;
use connection::{Connections, Reply};

pub(super) use export_error::ExportError;

/// Where spans go.
pub(super) enum Target {
    /// Nowhere.
    Discard,
    /// One line for each batch, as OpenTelemetry's OTLP file exporter writes them.
    Stdout { writing: Option<JoinHandle<io::Result<()>>> },
    /// To a collector.
    Collector { client: Box<Client>, name: String },
}

/// A client of one collector.
pub(super) struct Client {
    collector: Collector,
    connections: Connections,
}

impl Target {
    pub(super) fn new(provider: &Provider) -> Self {
        match provider {
            Provider::Noop | Provider::Discard => Self::Discard,
            Provider::Stdout => Self::Stdout { writing: None },
            Provider::Otlp(collector) => {
                let name = collector.endpoint.authority();
                Self::Collector { client: Box::new(Client::new(collector.clone())), name }
            }
        }
    }

    /// Its name in the log.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Discard => "none",
            Self::Stdout { .. } => "stdout",
            Self::Collector { name, .. } => name,
        }
    }

    /// Sends spans. Returns how many of them were rejected.
    pub(super) async fn export(&mut self, spans: &[SpanData]) -> Result<u64, ExportError> {
        match self {
            Self::Discard => Ok(0),
            Self::Stdout { writing } => {
                // A reader that has stalled blocks one thread, not more.
                let task = match writing.take() {
                    Some(task) => writing.insert(task),
                    None => {
                        let line = otlp::to_json_line(spans);
                        writing.insert(spawn_blocking(move || {
                            let mut out = io::stdout().lock();
                            out.write_all(&line)?;
                            out.flush()
                        }))
                    }
                };
                let written = task.await;
                *writing = None;
                written.map_err(io::Error::other).flatten().map_err(ExportError::Write)?;
                Ok(0)
            }
            Self::Collector { client, .. } => client.export(otlp::to_protobuf(spans)).await,
        }
    }

    /// Gives up the connection.
    pub(super) fn disconnect(&mut self) {
        if let Self::Collector { client, .. } = self {
            client.connections.close();
        }
    }
}

impl Client {
    fn new(collector: Collector) -> Self {
        let connections = Connections::new(&collector);
        Self { collector, connections }
    }

    async fn export(&mut self, message: Bytes) -> Result<u64, ExportError> {
        let body = match self.collector.protocol {
            Protocol::Http => message,
            Protocol::Grpc => grpc::frame(&message),
        };
        let headers = self.headers().await?;
        loop {
            let (mut connection, is_kept) = self.connections.get().await?;
            let request = self.request(&headers, body.clone())?;
            match connection.exchange(request).await {
                Ok(reply) => {
                    let rejected = self.rejected(&reply)?;
                    self.connections.put(connection);
                    return Ok(rejected);
                }
                // It was closed meanwhile.
                Err(_) if is_kept => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn request(&self, headers: &HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, ExportError> {
        let Collector { protocol, endpoint, .. } = &self.collector;
        let path = if endpoint.path.is_empty() || *protocol == Protocol::Grpc {
            protocol.path()
        } else {
            &endpoint.path
        };
        let authority = endpoint.authority();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers.clone();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("talaria/", env!("CARGO_PKG_VERSION"))));
        match protocol {
            Protocol::Http => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                let host = HeaderValue::from_str(&authority).map_err(http::Error::from)?;
                headers.insert(http::header::HOST, host);
                *request.uri_mut() = path.parse().map_err(http::Error::from)?;
            }
            Protocol::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
                let scheme = if endpoint.is_tls { "https" } else { "http" };
                *request.uri_mut() =
                    format!("{scheme}://{authority}{path}").parse().map_err(http::Error::from)?;
            }
        }
        Ok(request)
    }

    /// How many spans an answer rejects.
    fn rejected(&self, reply: &Reply) -> Result<u64, ExportError> {
        if reply.status != StatusCode::OK {
            return Err(ExportError::Status(reply.status));
        }
        let message = match self.collector.protocol {
            Protocol::Http => &reply.body[..],
            Protocol::Grpc => grpc::answer(reply)?,
        };
        Ok(otlp::rejected(message))
    }

    /// The headers of the file, which is read for each request, so that a new secret counts at once.
    async fn headers(&self) -> Result<HeaderMap, ExportError> {
        let Some(path) = self.collector.headers_file.clone() else { return Ok(HeaderMap::new()) };
        let reading = spawn_blocking(move || read_headers(&path));
        reading.await.map_err(io::Error::other).flatten().map_err(ExportError::Headers)
    }
}
