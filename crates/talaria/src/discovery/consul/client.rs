//! Requests to Consul's HTTP API.
//!
//! They are few and most of them wait, so each has a connection of its own, which ends with it; a request is cancelled by
//! dropping its future.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use talaria_protocol::discovery::consul::{AnswerError, IndexError, StatusClass};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::config::{ClientConfig, Token};
use crate::client_tls::Tls;
use crate::discovery::report::Finality;

/// The time limit of name resolution, connection and TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit of a request that does not wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// How much of the text of an error is kept.
const LONGEST_TEXT: usize = 256;

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
const INDEX: &str = "x-consul-index";

/// A client of one Consul agent.
#[derive(Debug)]
pub(super) struct Client {
    config: ClientConfig,
    tls: Option<Tls>,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) method: Method,
    /// From `/v1` on, its parts escaped.
    pub(super) path: String,
    /// Names and values, which are escaped here.
    pub(super) parameters: Vec<(&'a str, String)>,
    pub(super) body: Option<Bytes>,
    /// In place of the client's.
    pub(super) token: Option<&'a Token>,
    pub(super) cache_control: Option<&'a str>,
    /// How long Consul may wait before it answers.
    pub(super) waits: Duration,
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) index: Option<u64>,
    pub(super) body: Bytes,
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConsulError {
    #[error("cannot connect to {0}: {1}")]
    Connect(String, io::Error),
    #[error("no TLS with {0}: {1}")]
    Tls(String, io::Error),
    #[error("cannot read the token: {0}")]
    Token(io::Error),
    #[error("the request to Consul failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
    #[error("no answer in time")]
    TimedOut,
    #[error("the answer is longer than {LONGEST_ANSWER} bytes, or broke off")]
    Body,
    /// The text is the reference's.
    #[error("Unexpected response code: {} ({text})", .status.as_u16())]
    Status { status: StatusCode, text: String },
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl ConsulError {
    /// What it means for what Consul said before.
    pub(super) fn finality(&self) -> Finality {
        match self {
            Self::Status { status, .. } if StatusClass::of(status.as_u16()) == StatusClass::Refusal => {
                Finality::Final
            }
            _ => Finality::Passing,
        }
    }

    /// Whether Consul does not know what the path names.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::NOT_FOUND, .. })
    }
}

impl<'a> Query<'a> {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            parameters: Vec::new(),
            body: None,
            token: None,
            cache_control: None,
            waits: Duration::ZERO,
        }
    }

    pub(super) fn with(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.parameters.push((name, value.into()));
        self
    }
}

impl Client {
    pub(super) fn new(config: ClientConfig) -> Self {
        let tls = config.tls.clone().map(Tls::new);
        Self { config, tls }
    }

    /// How long a blocking query waits that has no wait of its own.
    pub(super) fn wait_time(&self) -> Duration {
        self.config.wait_time
    }

    /// Sends a request and reads the answer.
    pub(super) async fn send(&self, query: Query<'_>) -> Result<Answer, ConsulError> {
        let limit = ANSWER_TIMEOUT + query.waits;
        // Boxed, so that the tasks of watches and registrations stay small.
        let exchange = Box::pin(self.exchange(query));
        timeout(CONNECT_TIMEOUT + limit, exchange).await.map_err(|_| ConsulError::TimedOut)?
    }

    async fn exchange(&self, query: Query<'_>) -> Result<Answer, ConsulError> {
        let request = self.request(query).await?;
        let (host, port) = (self.config.host.as_str(), self.config.port);
        let origin = || format!("{host}:{port}");
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await;
        let stream = connecting
            .unwrap_or_else(|elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)))
            .map_err(|error| ConsulError::Connect(origin(), error))?;
        let Some(tls) = &self.tls else { return Box::pin(talk(stream, request)).await };
        let shaking = async {
            let name = ServerName::try_from(tls.server_name(host).to_owned()).map_err(io::Error::other)?;
            TlsConnector::from(tls.config().await?).connect(name, stream).await
        };
        let stream = timeout(CONNECT_TIMEOUT, shaking)
            .await
            .unwrap_or_else(|elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)))
            .map_err(|error| ConsulError::Tls(origin(), error))?;
        Box::pin(talk(stream, request)).await
    }

    async fn request(&self, query: Query<'_>) -> Result<Request<Full<Bytes>>, ConsulError> {
        let config = &self.config;
        let mut parameters: Vec<(&str, &str)> =
            query.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for (name, value) in
            [("dc", &config.datacenter), ("ns", &config.namespace), ("partition", &config.partition)]
        {
            if !value.is_empty() && !parameters.iter().any(|(given, _)| *given == name) {
                parameters.push((name, value));
            }
        }
        let mut target = format!("{}{}", config.path_prefix, query.path);
        for (at, (name, value)) in parameters.iter().enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(name);
            if !value.is_empty() {
                target.push('=');
                target.push_str(&escaped(value));
            }
        }
        let mut request = Request::builder().method(query.method).uri(target);
        let headers: Option<&mut HeaderMap> = request.headers_mut();
        if let Some(headers) = headers {
            let host = format!("{}:{}", config.host, config.port);
            headers.insert(HOST, HeaderValue::from_str(&host).map_err(http::Error::from)?);
            headers.insert(USER_AGENT, HeaderValue::from_static("talaria"));
            if let Some(token) = query.token.or(config.token.as_ref()) {
                headers.insert(TOKEN, secret(&token.read().await?)?);
            }
            if let Some(auth) = &config.basic_auth {
                let credentials = STANDARD.encode(format!("{}:{}", auth.username, auth.password));
                headers.insert(AUTHORIZATION, secret(&format!("Basic {credentials}"))?);
            }
            if let Some(control) = query.cache_control.filter(|control| !control.is_empty()) {
                headers.insert(CACHE_CONTROL, HeaderValue::from_str(control).map_err(http::Error::from)?);
            }
            if query.body.is_some() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
        }
        Ok(request.body(Full::new(query.body.unwrap_or_default()))?)
    }
}

impl Token {
    async fn read(&self) -> Result<String, ConsulError> {
        match self {
            Self::Text(token) => Ok(token.clone()),
            Self::File(path) => {
                let path = path.clone();
                let reading = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
                let text = reading.await.map_err(io::Error::other).and_then(|read| read);
                Ok(text.map_err(ConsulError::Token)?.trim().to_owned())
            }
        }
    }
}

/// Sends the request over a connection and reads the answer.
async fn talk<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, ConsulError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ConsulError::Body
            } else {
                error.downcast().map_or(ConsulError::Body, |error| ConsulError::Http(*error))
            }
        })?;
        let body = body.to_bytes();
        if head.status != StatusCode::OK {
            let text = String::from_utf8_lossy(&body[..body.len().min(LONGEST_TEXT)]).trim().to_owned();
            return Err(ConsulError::Status { status: head.status, text });
        }
        let index = head.headers.get(INDEX).and_then(|index| index.to_str().ok()?.parse().ok());
        Ok(Answer { index, body })
    };
    // The connection is driven here, so that it ends with the exchange. It may end first, with what the exchange still reads.
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = connection => {
            ended?;
            exchange.await
        }
    }
}

fn secret(value: &str) -> Result<HeaderValue, ConsulError> {
    let mut value = HeaderValue::from_str(value).map_err(http::Error::from)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Escapes all but the unreserved characters (RFC 3986 §2.3).
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
