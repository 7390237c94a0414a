//! One attempt to post an event: a request, and the redirects it meets.

use std::sync::Arc;

use ::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION, USER_AGENT,
};
use ::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use talaria_protocol::url::{Address, Target};

use super::connection::{Body, Connection};
use super::dial::Dial;
use super::failure::Failure;
use super::pool::Pool;
use crate::event::config::{AuthKey, Config};

/// As many redirects are followed as Go follows.
const MAX_REDIRECTS: usize = 10;

/// Makes requests, over connections that it keeps.
pub(super) struct Client {
    pub(super) pool: Pool,
    dial: Box<dyn Dial>,
    method: Method,
    auth_key: Option<AuthKey>,
}

/// What is sent to one URL.
struct Hop {
    method: Method,
    body: Option<Bytes>,
    /// Whether the configured credentials are for this URL's host.
    with_credentials: bool,
}

impl Client {
    pub(super) fn new(config: &Config, dial: Box<dyn Dial>) -> Self {
        Self {
            pool: Pool::new(&config.transport),
            dial,
            method: config.method.clone(),
            auth_key: config.auth_key.clone(),
        }
    }

    /// Posts a body to a URL and gives the status of the last answer.
    ///
    /// # Errors
    /// Why there was none.
    pub(super) async fn post(&self, target: &Arc<Target>, body: &Bytes) -> Result<StatusCode, Failure> {
        let mut hop = Hop { method: self.method.clone(), body: Some(body.clone()), with_credentials: true };
        let mut target = Arc::clone(target);
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send(&target, &hop).await?;
            let Some(next) = redirection(&target, &answer, &mut hop)? else {
                return Ok(answer.status());
            };
            target = Arc::new(next);
        }
        Err(Failure::TooManyRedirects(MAX_REDIRECTS))
    }

    /// One request. A connection that the receiver closed while it was idle is as good as none: the request is made
    /// again on a new one.
    async fn send(&self, target: &Target, hop: &Hop) -> Result<Response<()>, Failure> {
        let address = target.address()?;
        let mut kept = self.pool.take(&address.origin);
        loop {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => Connection::open(self.dial.dial(&address.origin).await?).await?,
            };
            match connection.exchange(self.request(address, hop)).await {
                Ok(answer) => {
                    self.pool.put(&address.origin, connection);
                    return Ok(answer);
                }
                // Only ever said of a connection that was kept: the next one is new.
                Err(broken) if broken.was_idle_too_long => {}
                Err(broken) => return Err(broken.failure),
            }
        }
    }

    /// The headers are those of Go's client and no others (contract §5.4); hyper adds the `Content-Length`.
    fn request(&self, address: &Address, hop: &Hop) -> Request<Body> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(HOST, address.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static("Go-http-client/1.1"));
        let configured = self.auth_key.as_ref().filter(|_| hop.with_credentials).map(AuthKey::header);
        if let Some(credentials) = configured.or(address.credentials.as_ref()) {
            headers.insert(AUTHORIZATION, credentials.clone());
        }
        if hop.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/msgpack"));
        }
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut request = Request::new(Full::new(hop.body.clone().unwrap_or_default()));
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = address.path.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// Where an answer sends the request on to, and how it changes on the way (RFC 9110 §15.4, as browsers and Go do it).
fn redirection(from: &Target, answer: &Response<()>, hop: &mut Hop) -> Result<Option<Target>, Failure> {
    let keeps_method = match answer.status() {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(None),
    };
    let Some(location) = answer.headers().get(LOCATION) else {
        return Ok(None);
    };
    let location = location.to_str().map_err(|_| Failure::BadRedirect)?;
    let to = from.redirected(location).map_err(|_| Failure::BadRedirect)?;
    if !keeps_method {
        hop.method = Method::GET;
        hop.body = None;
    }
    hop.with_credentials &= from.address()?.origin.host == to.address()?.origin.host;
    Ok(Some(to))
}
