//! One attempt to post an event: a request and its redirects.

use std::sync::Arc;

use ::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION, USER_AGENT,
};
use ::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use talaria_protocol::url::{Address, Target};
use wrp::Format;

use super::connection::{Body, Connection};
use super::dial::Dial;
use super::pool::Pool;
use super::post_error::PostError;
use crate::event::config::{AuthKey, Config};

/// As many redirects as Go follows.
const MAX_REDIRECTS: usize = 10;

/// Makes requests over kept connections.
pub(super) struct Client {
    pub(super) pool: Pool,
    dial: Box<dyn Dial>,
    method: Method,
    auth_key: Option<AuthKey>,
}

/// The request to one URL.
struct Hop {
    method: Method,
    body: Option<Bytes>,
    /// Whether the configured credentials may be sent to this URL's host.
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

    /// Posts a body to a URL and returns the status of the last answer.
    ///
    /// # Errors
    /// Why there was none.
    pub(super) async fn post(&self, target: &Arc<Target>, body: &Bytes) -> Result<StatusCode, PostError> {
        let mut hop = Hop { method: self.method.clone(), body: Some(body.clone()), with_credentials: true };
        let mut target = Arc::clone(target);
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send(&target, &hop).await?;
            let Some(next) = redirection(&target, &answer, &mut hop)? else {
                return Ok(answer.status());
            };
            target = Arc::new(next);
        }
        Err(PostError::TooManyRedirects(MAX_REDIRECTS))
    }

    /// Makes one request. If the receiver has closed a kept connection meanwhile, the request is made again on a new one.
    async fn send(&self, target: &Target, hop: &Hop) -> Result<Response<()>, PostError> {
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
                // This can only be a kept connection. The next one is new.
                Err(error) if error.was_idle_too_long => {}
                Err(error) => return Err(error.error),
            }
        }
    }

    /// A request with the headers of Go's client (contract §5.4). hyper adds the `Content-Length`.
    fn request(&self, address: &Address, hop: &Hop) -> Request<Body> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(HOST, address.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static("Go-http-client/1.1"));
        let configured = self.auth_key.as_ref().filter(|_| hop.with_credentials).map(AuthKey::header);
        if let Some(credentials) = configured.or(address.credentials.as_ref()) {
            headers.insert(AUTHORIZATION, credentials.clone());
        }
        if hop.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(Format::Msgpack.mime()));
        }
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut request = Request::new(Full::new(hop.body.clone().unwrap_or_default()));
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = address.path.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// Where an answer redirects the request. Changes the request accordingly (RFC 9110 §15.4, as browsers and Go do it).
fn redirection(from: &Target, answer: &Response<()>, hop: &mut Hop) -> Result<Option<Target>, PostError> {
    let keeps_method = match answer.status() {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(None),
    };
    let Some(location) = answer.headers().get(LOCATION) else {
        return Ok(None);
    };
    let location = location.to_str().map_err(|_| PostError::BadRedirect)?;
    let to = from.redirected(location).map_err(|_| PostError::BadRedirect)?;
    if !keeps_method {
        hop.method = Method::GET;
        hop.body = None;
    }
    hop.with_credentials &= from.address()?.origin.host == to.address()?.origin.host;
    Ok(Some(to))
}
