//! One attempt to post an event: a request, and its redirects if the URL was configured.
//!
//! A URL that a device names gets neither credentials nor a second request, and little time (contract §5.8). Start reading
//! at [`Client::post`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
    USER_AGENT,
};
use ::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use jiff::Timestamp;
use talaria_protocol::retry_after;
use talaria_protocol::url::{Address, Origin, Target};
use wrp::Format;

use super::connection::{Body, Connection, ExchangeError};
use super::connections::Connections;
use super::dial::{Dial, Lookup};
use super::post_error::PostError;
use crate::event::config::{AuthKey, Config, DnsConfig};

/// As many redirects as Go follows.
const MAX_REDIRECTS: usize = 10;

/// Makes requests over kept connections.
pub(super) struct Client {
    pub(super) connections: Arc<Connections>,
    method: Method,
    trust: Trust,
}

/// The last answer to a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// How long the receiver asks to wait.
    pub(super) retry_after: Option<Duration>,
}

/// What the receivers of a client are trusted with.
enum Trust {
    /// The operator configured them: they get the credentials, and may redirect to URLs of these schemes.
    Configured { auth_key: Option<AuthKey>, schemes: Box<[String]> },
    /// Devices name them.
    Named { answer_timeout: Duration },
}

/// Whether the credentials may be sent to a URL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credentials {
    Sent,
    Withheld,
}

impl Client {
    /// A client for the URLs of `eventEndpoints`.
    pub(super) fn for_endpoints(config: &Config, dial: Arc<dyn Dial>) -> Self {
        let schemes = config.allowed_schemes.as_slice().into();
        Self {
            connections: Connections::new(&config.transport, config.connect_timeout, dial),
            method: config.method.clone(),
            trust: Trust::Configured { auth_key: config.auth_key.clone(), schemes },
        }
    }

    /// A client for the URLs that devices name.
    pub(super) fn for_named_hosts(config: &Config, dial: Arc<dyn Dial>) -> Self {
        let DnsConfig { connect_timeout, answer_timeout, transport, .. } = &config.dns;
        Self {
            connections: Connections::new(transport, *connect_timeout, dial),
            method: config.method.clone(),
            trust: Trust::Named { answer_timeout: *answer_timeout },
        }
    }

    /// Posts a body to a URL and returns the last answer.
    ///
    /// # Errors
    /// Why there was none.
    pub(super) async fn post(
        &self,
        target: &Arc<Target>,
        body: &Bytes,
        lookup: &Lookup,
    ) -> Result<Answer, PostError> {
        let (mut target, mut credentials) = (Arc::clone(target), self.credentials());
        for _ in 0..=MAX_REDIRECTS {
            let address = target.address()?;
            let answer = self.send(address, body, credentials, lookup).await?;
            let Some(next) = self.redirection(&target, &answer)? else {
                return Ok(Answer::new(&answer));
            };
            if next.address()?.origin != address.origin {
                credentials = Credentials::Withheld;
            }
            target = Arc::new(next);
        }
        Err(PostError::TooManyRedirects(MAX_REDIRECTS))
    }

    /// Makes one request. If the receiver has closed a kept connection before anything was sent, the request is made on
    /// another one.
    async fn send(
        &self,
        address: &Address,
        body: &Bytes,
        credentials: Credentials,
        lookup: &Lookup,
    ) -> Result<Response<()>, PostError> {
        loop {
            let mut connection = self.connect(&address.origin, lookup).await?;
            let request = self.request(address, body.clone(), credentials);
            match self.exchange(&mut connection, request).await {
                Ok(answer) => {
                    self.connections.put(&address.origin, connection);
                    return Ok(answer);
                }
                // This can only be a kept connection. There are not many of them, and it is gone now.
                Err(ExchangeError::NotSent) => {}
                Err(ExchangeError::Failed(error)) => return Err(error),
            }
        }
    }

    async fn connect(&self, origin: &Origin, lookup: &Lookup) -> Result<Box<Connection>, PostError> {
        match &self.trust {
            // No worker waits for a resolution that was given up: the configuration bounds the number of hosts.
            Trust::Configured { .. } => self.connections.get(origin, &Lookup::new()).await,
            Trust::Named { .. } => self.connections.get(origin, lookup).await,
        }
    }

    async fn exchange(
        &self,
        connection: &mut Connection,
        request: Request<Body>,
    ) -> Result<Response<()>, ExchangeError> {
        match &self.trust {
            Trust::Configured { .. } => connection.exchange(request).await,
            Trust::Named { answer_timeout, .. } => within(*answer_timeout, connection.exchange(request))
                .await
                .unwrap_or(Err(ExchangeError::Failed(PostError::AnswerTimeout))),
        }
    }

    const fn credentials(&self) -> Credentials {
        match self.trust {
            Trust::Configured { .. } => Credentials::Sent,
            Trust::Named { .. } => Credentials::Withheld,
        }
    }

    /// A request with the headers of Go's client (contract §5.4). hyper adds the `Content-Length`.
    fn request(&self, address: &Address, body: Bytes, credentials: Credentials) -> Request<Body> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(HOST, address.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static("Go-http-client/1.1"));
        if let Some(authorization) = self.authorization(address, credentials) {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Format::Msgpack.mime()));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = address.path.clone();
        *request.headers_mut() = headers;
        request
    }

    /// The configured credentials, or else those in the URL. A URL that a redirect gives has only its own.
    fn authorization<'a>(
        &'a self,
        address: &'a Address,
        credentials: Credentials,
    ) -> Option<&'a HeaderValue> {
        let Trust::Configured { auth_key, .. } = &self.trust else {
            return None;
        };
        let configured = auth_key.as_ref().filter(|_| credentials == Credentials::Sent).map(AuthKey::header);
        configured.or(address.credentials.as_ref())
    }

    /// Where an answer redirects the request, if that redirect is followed. 301, 302 and 303 would change the request into
    /// one without the event, so that their 202 would not be a delivery (contract §5.7).
    fn redirection(&self, from: &Target, answer: &Response<()>) -> Result<Option<Target>, PostError> {
        let Trust::Configured { schemes, .. } = &self.trust else {
            return Ok(None);
        };
        if !matches!(answer.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
            return Ok(None);
        }
        let Some(location) = answer.headers().get(LOCATION) else {
            return Ok(None);
        };
        let location = location.to_str().map_err(|_| PostError::BadRedirect)?;
        let to = from.redirected(location).map_err(|_| PostError::BadRedirect)?;
        let is_allowed =
            to.url().split_once(':').is_some_and(|(scheme, _)| schemes.iter().any(|there| there == scheme));
        Ok(is_allowed.then_some(to))
    }
}

impl Answer {
    fn new(answer: &Response<()>) -> Self {
        let wait = |value: &HeaderValue| retry_after::wait(value.as_bytes(), Timestamp::now());
        Self { status: answer.status(), retry_after: answer.headers().get(RETRY_AFTER).and_then(wait) }
    }
}

async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(time, future).await.ok()
}
