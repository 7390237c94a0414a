//! One attempt to post an event: a request, and its redirects if the URL was configured.
//!
//! A URL that a device names gets neither credentials nor a second request, and little time (contract §5.8). Start reading
//! at [`Client::post`]; the requests that go to a receiver in one packet are made by [`Client::prepare`].

mod prepared;

use std::borrow::Cow;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use ::http::uri::{Authority, Scheme};
use ::http::{Method, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;
use jiff::Timestamp;
use talaria_protocol::receiver_answer::{self, AnswerHead};
use talaria_protocol::retry_after;
use talaria_protocol::trace_context::TraceContext;
use talaria_protocol::url::{Address, AddressError, Origin, Target};
use tokio::time::Instant;
use wrp::Format;

pub(super) use self::prepared::Prepared;
use super::connection::{Body, Connection, ExchangeError, Written};
use super::connections::Connections;
use super::credentials::Credentials;
use super::dial::{Dial, Lookup};
use super::post_error::PostError;
use super::request_head::{self, RequestHeads};
use crate::event::config::{AuthKey, Config, CredentialsConfig, DnsConfig};
use crate::event::spans;

/// As many redirects as Go follows.
const MAX_REDIRECTS: usize = 10;

/// As often may a receiver refuse a stream within one attempt. One that refuses all of them would otherwise be asked for
/// ever.
const MAX_REFUSED: usize = 3;

/// Makes requests over kept connections.
pub(super) struct Client {
    connections: Arc<Connections>,
    method: Method,
    trust: Trust,
    heads: RequestHeads,
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
    Configured {
        auth_key: Option<AuthKey>,
        credentials: Option<Box<Credentials>>,
        schemes: Box<[String]>,
        identified: Box<[Origin]>,
    },
    /// Devices name them.
    Named { answer_timeout: Duration },
}

/// How far the requests of an attempt have come: where the next one goes.
pub(super) struct Posting {
    target: Arc<Target>,
    disclosure: Disclosure,
    /// How many requests were answered.
    answered: usize,
    /// Whether a request was repeated with another access token.
    is_repeated: bool,
}

/// Whether the credentials may be sent to a URL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disclosure {
    Sent,
    Withheld,
}

/// A request that is to be made.
struct Outgoing<'a> {
    target: &'a Arc<Target>,
    address: &'a Address,
    body: &'a Bytes,
    /// Of its event.
    deadline: Instant,
    disclosure: Disclosure,
    /// An access token for the receiver.
    bearer: Option<&'a HeaderValue>,
    /// The step of a trace that the request is.
    trace: Option<&'a TraceContext>,
}

impl Client {
    /// A client for the URLs of `eventEndpoints`.
    pub(super) fn for_endpoints(config: &Config, dial: Arc<dyn Dial>) -> Self {
        let schemes = config.allowed_schemes.as_slice().into();
        let identified = config.credentials.iter().filter(|entry| has_client_certificate(entry));
        let identified = identified.map(|entry| entry.at.origin().clone()).collect();
        let instance = RandomState::new().hash_one(0);
        let credentials = (!config.credentials.is_empty())
            .then(|| Box::new(Credentials::new(&config.credentials, instance)));
        let (auth_key, method) = (config.auth_key.clone(), config.method.clone());
        let trust = Trust::Configured { auth_key, credentials, schemes, identified };
        let targets = config.endpoints.iter().filter_map(|(_, target)| target.as_ref().ok());
        let heads =
            RequestHeads::new(targets, &method, |address| trust.authorization(address, Disclosure::Sent));
        let connections = Connections::new(&config.transport, config.connect_timeout, dial);
        Self { connections, method, heads, trust }
    }

    /// A client for the URLs that devices name.
    pub(super) fn for_named_hosts(config: &Config, dial: Arc<dyn Dial>) -> Self {
        let DnsConfig { connect_timeout, answer_timeout, transport, .. } = &config.dns;
        Self {
            connections: Connections::new(transport, *connect_timeout, dial),
            method: config.method.clone(),
            trust: Trust::Named { answer_timeout: *answer_timeout },
            heads: RequestHeads::default(),
        }
    }

    /// The method of the requests.
    pub(super) const fn method(&self) -> &Method {
        &self.method
    }

    /// Closes connections that are not needed any more, and reads the files of credentials when they change. Never ends.
    pub(super) async fn maintain(&self) {
        match &self.trust {
            Trust::Configured { credentials: Some(credentials), .. } => {
                tokio::join!(self.connections.sweep(), credentials.watch());
            }
            _ => self.connections.sweep().await,
        }
    }

    /// An attempt that begins with a request to this URL.
    pub(super) fn posting(&self, target: &Arc<Target>) -> Posting {
        let disclosure = match self.trust {
            Trust::Configured { .. } => Disclosure::Sent,
            Trust::Named { .. } => Disclosure::Withheld,
        };
        Posting { target: Arc::clone(target), disclosure, answered: 0, is_repeated: false }
    }

    /// Makes the requests of an attempt that are left, and returns the last answer. `deadline` is that of the event.
    ///
    /// # Errors
    /// Why there was none.
    pub(super) async fn post(
        &self,
        posting: &mut Posting,
        body: &Bytes,
        deadline: Instant,
        lookup: &Lookup,
        trace: Option<&TraceContext>,
    ) -> Result<Answer, PostError> {
        loop {
            let Posting { target, disclosure, .. } = &*posting;
            let address = target.address()?;
            let bearer = self.bearer(address, *disclosure).await?;
            let disclosure = *disclosure;
            let bearer = bearer.as_ref();
            let outgoing = Outgoing { target, address, body, deadline, disclosure, bearer, trace };
            let answer = self.send(&outgoing, lookup).await?;
            if let Some(answer) = self.answered(posting, bearer, &answer)? {
                return Ok(answer);
            }
        }
    }

    /// A request was answered. Returns the answer if it is the last one of the attempt.
    ///
    /// # Errors
    /// Why no further request can be made.
    pub(super) fn answered(
        &self,
        posting: &mut Posting,
        bearer: Option<&HeaderValue>,
        answer: &AnswerHead,
    ) -> Result<Option<Answer>, PostError> {
        let address = posting.target.address()?;
        posting.answered += 1;
        // The token was withdrawn. The receiver has not taken the event, which is sent once more with a new one.
        if !posting.is_repeated && self.is_outdated(address, bearer, answer) {
            posting.is_repeated = true;
        } else {
            let Some(next) = self.redirection(&posting.target, answer)? else {
                return Ok(Some(Answer::new(answer)));
            };
            if next.address()?.origin != address.origin {
                posting.disclosure = Disclosure::Withheld;
            }
            posting.target = Arc::new(next);
        }
        if posting.answered > MAX_REDIRECTS {
            return Err(PostError::TooManyRedirects(MAX_REDIRECTS));
        }
        Ok(None)
    }

    async fn bearer(
        &self,
        address: &Address,
        disclosure: Disclosure,
    ) -> Result<Option<HeaderValue>, PostError> {
        match &self.trust {
            Trust::Configured { credentials: Some(credentials), .. } if disclosure == Disclosure::Sent => {
                credentials.bearer(address).await
            }
            _ => Ok(None),
        }
    }

    /// Whether the receiver has refused an access token. The token is replaced, unless another event has had it replaced already.
    fn is_outdated(&self, address: &Address, bearer: Option<&HeaderValue>, answer: &AnswerHead) -> bool {
        match (&self.trust, bearer) {
            (Trust::Configured { credentials: Some(credentials), .. }, Some(bearer))
                if answer.status == StatusCode::UNAUTHORIZED =>
            {
                credentials.refused(address, bearer);
                true
            }
            _ => false,
        }
    }

    /// Makes one request. If the receiver has closed a kept connection before anything was sent, the request is made on
    /// another one.
    async fn send(&self, outgoing: &Outgoing<'_>, lookup: &Lookup) -> Result<AnswerHead, PostError> {
        let origin = &outgoing.address.origin;
        let mut refused = 0;
        loop {
            let mut connection = self.connect(origin, lookup).await?;
            let exchange = self.exchange(&mut connection, outgoing);
            let exchanged = match &self.trust {
                Trust::Configured { .. } => exchange.await,
                Trust::Named { answer_timeout, .. } => within(*answer_timeout, exchange)
                    .await
                    .unwrap_or(Err(ExchangeError::Failed(PostError::AnswerTimeout))),
            };
            match exchanged {
                Ok(answer) => {
                    self.connections.put(origin, connection);
                    return Ok(answer);
                }
                // By HTTP/1.1 this can only be a kept connection. There are not many of them, and it is gone now.
                Err(ExchangeError::NotSent(error)) => {
                    refused += usize::from(matches!(connection, Connection::Http2(_)));
                    if refused > MAX_REFUSED {
                        return Err(error);
                    }
                }
                Err(ExchangeError::Failed(error)) => return Err(error),
            }
        }
    }

    async fn connect(&self, origin: &Origin, lookup: &Lookup) -> Result<Connection, PostError> {
        match &self.trust {
            // No worker waits for a resolution that was given up: the configuration bounds the number of hosts.
            Trust::Configured { .. } => self.connections.get(origin, None).await,
            Trust::Named { .. } => self.connections.get(origin, Some(lookup)).await,
        }
    }

    async fn exchange(
        &self,
        connection: &mut Connection,
        outgoing: &Outgoing<'_>,
    ) -> Result<AnswerHead, ExchangeError> {
        let mut headers = HeaderMap::new();
        match connection {
            Connection::Http1(connection) => {
                self.add_headers(outgoing, &mut headers).map_err(ExchangeError::Failed)?;
                let (first, rest) = (self.head(outgoing), request_head::rest(&headers, outgoing.body.len()));
                let method = self.answers_to();
                connection.exchange(&Written { parts: [&first, &rest, outgoing.body], method }).await
            }
            Connection::Http2(connection) => {
                let request = self.request(outgoing, headers).map_err(ExchangeError::Failed)?;
                // Boxed, so that the future of an event by HTTP/1.1 does not carry its state.
                Box::pin(connection.exchange(request)).await
            }
        }
    }

    /// Which answers have a body.
    pub(super) fn answers_to(&self) -> receiver_answer::Method {
        if self.method == Method::HEAD {
            receiver_answer::Method::Head
        } else {
            receiver_answer::Method::Other
        }
    }

    /// The part of a head by HTTP/1.1 that is the same for all events of the URL.
    fn head(&self, outgoing: &Outgoing<'_>) -> Cow<'_, [u8]> {
        let is_usual = outgoing.disclosure == Disclosure::Sent && outgoing.bearer.is_none();
        is_usual.then(|| self.heads.get(outgoing.target)).flatten().unwrap_or_else(|| {
            let authorization = self.authorization(outgoing);
            request_head::first(&self.method, outgoing.address, authorization).into()
        })
    }

    /// A request by HTTP/2 with the headers of Go's client (contract §5.4). hyper adds the `Content-Length`.
    fn request(&self, outgoing: &Outgoing<'_>, mut headers: HeaderMap) -> Result<Request<Body>, PostError> {
        headers.insert(USER_AGENT, HeaderValue::from_static("Go-http-client/2.0"));
        if let Some(authorization) = self.authorization(outgoing) {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Format::Msgpack.mime()));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        self.add_headers(outgoing, &mut headers)?;
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = absolute(outgoing.address)?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Adds the headers that differ from event to event: those of its trace and of a signature.
    fn add_headers(&self, outgoing: &Outgoing<'_>, headers: &mut HeaderMap) -> Result<(), PostError> {
        if let Some(trace) = outgoing.trace {
            spans::set_headers(trace, headers);
        }
        match &self.trust {
            Trust::Configured { credentials: Some(credentials), .. }
                if outgoing.disclosure == Disclosure::Sent =>
            {
                credentials.headers(outgoing.address, outgoing.body, outgoing.deadline, headers)
            }
            _ => Ok(()),
        }
    }

    fn authorization<'a>(&'a self, outgoing: &Outgoing<'a>) -> Option<&'a HeaderValue> {
        outgoing.bearer.or_else(|| self.trust.authorization(outgoing.address, outgoing.disclosure))
    }

    /// Where an answer redirects the request, if that redirect is followed. 301, 302 and 303 would change the request into
    /// one without the event, so that their 202 would not be a delivery (contract §5.7).
    fn redirection(&self, from: &Target, answer: &AnswerHead) -> Result<Option<Target>, PostError> {
        let Trust::Configured { schemes, identified, .. } = &self.trust else {
            return Ok(None);
        };
        if !matches!(answer.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
            return Ok(None);
        }
        let Some(location) = &answer.location else {
            return Ok(None);
        };
        let location = location.to_str().map_err(|_| PostError::BadRedirect)?;
        let to = from.redirected(location).map_err(|_| PostError::BadRedirect)?;
        let is_allowed =
            to.url().split_once(':').is_some_and(|(scheme, _)| schemes.iter().any(|there| there == scheme));
        // A redirect must not make another receiver's requests with the gateway's certificate for it.
        let is_identified = match (to.address(), from.address()) {
            (Ok(to), Ok(from)) => to.origin != from.origin && identified.contains(&to.origin),
            _ => false,
        };
        Ok((is_allowed && !is_identified).then_some(to))
    }
}

impl Trust {
    /// The configured credentials, or else those in the URL. A URL that a redirect gives has only its own.
    fn authorization<'a>(&'a self, address: &'a Address, disclosure: Disclosure) -> Option<&'a HeaderValue> {
        let Self::Configured { auth_key, .. } = self else {
            return None;
        };
        let configured = auth_key.as_ref().filter(|_| disclosure == Disclosure::Sent).map(AuthKey::header);
        configured.or(address.credentials.as_ref())
    }
}

impl Answer {
    fn new(answer: &AnswerHead) -> Self {
        let wait = |value: &HeaderValue| retry_after::wait(value.as_bytes(), Timestamp::now());
        Self { status: answer.status, retry_after: answer.retry_after.as_ref().and_then(wait) }
    }
}

fn has_client_certificate(entry: &CredentialsConfig) -> bool {
    entry.tls.as_ref().is_some_and(|tls| tls.client.is_some())
}

/// The URI that HTTP/2 splits into its pseudo-headers (RFC 9113 §8.3.1).
fn absolute(address: &Address) -> Result<Uri, PostError> {
    let mut parts = address.path.clone().into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Authority::try_from(address.host.as_bytes()).ok();
    Uri::from_parts(parts).map_err(|_| AddressError::Host.into())
}

async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(time, future).await.ok()
}
