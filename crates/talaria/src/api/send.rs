//! `/device/send`: from the request's body to the device, and from the device's answer to the response.
//!
//! The checks come in the order of contract §3.4: content type, decoding, transaction, `Accept`, credentials of the request,
//! routing. The access check, if there is one, comes before the credentials. A long message is decoded and encoded where no
//! other connection waits for it.

use std::borrow::Cow;
use std::panic;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use talaria_protocol::answer::COMPRESSED;
use tokio::time::Instant;
use wrp::{ContentTypeError, DeviceId, Format, Limits, Message, MessageRef};

use super::access::{AccessControl, Verdict};
use super::spans::{Exchange, RequestTrace};
use crate::auth::{Caller, basic};
use crate::device::{Registry, SendError};
use crate::long_work::{LONG, LongWork};
use crate::server::incoming::{self, ReadError};
use crate::server::{Body, reply};

const MESSAGE_ERROR: HeaderName = HeaderName::from_static("x-xmidt-message-error");

/// The parts of the API that sending needs.
#[derive(Clone, Copy)]
pub(super) struct SendContext<'a> {
    pub(super) timeout: Duration,
    pub(super) max_body_bytes: usize,
    pub(super) access: Option<&'a Arc<AccessControl>>,
    pub(super) registry: &'a Registry,
    pub(super) long_work: &'a LongWork,
}

/// Why a message was not sent, or not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendRequestError {
    #[error("failed to determine format of Content-Type header: {0}")]
    ContentType(ContentTypeError),
    #[error("failed to determine format of Accept header: {0}")]
    Accept(ContentTypeError),
    #[error("{COMPRESSED}")]
    Compressed,
    #[error(transparent)]
    Unread(ReadError),
    #[error("failed to decode wrp: unexpected EOF")]
    Undecodable,
    /// A request without a transaction_uuid; its body is sent back.
    #[error("the message needs a transaction_uuid")]
    NoTransaction(Bytes),
    #[error("the access check failed: {}", .0.reason())]
    Access(Verdict),
    #[error("the request has no basic credentials")]
    NoCredentials,
    #[error("too many requests of this caller are under way")]
    TooManyRequests,
    #[error("Could not process device request: {0}")]
    Routing(SendError),
}

/// A checked message on its way to a device.
struct Delivery {
    dest: Result<DeviceId, SendError>,
    /// The transaction, if the device is to answer.
    transaction: Option<Box<str>>,
    /// The message as the device gets it: v3 msgpack.
    frame: Bytes,
    exchange: Exchange,
}

/// Sends the request's message to the device that it names.
pub(super) async fn send(
    context: SendContext<'_>,
    caller: Caller,
    request: Request<Incoming>,
    trace: &mut RequestTrace,
) -> Result<Response<Body>, SendRequestError> {
    let SendContext { timeout, max_body_bytes, access, registry, long_work } = context;
    let deadline = Instant::now() + timeout;
    let format = body_format(request.headers())?;
    let (head, body) = incoming::read(request, max_body_bytes).await.map_err(SendRequestError::Unread)?;
    let (text, answer_format, access) =
        (text_of(format, &body), answer_format(&head.headers), access.cloned());
    let mut its_trace = std::mem::take(trace);
    let checked = move || {
        let checked = check(format, &body, answer_format, access.as_deref(), &mut its_trace);
        Ok((checked, its_trace))
    };
    let (checked, its_trace) = work(long_work, text, checked).await?;
    *trace = its_trace;
    let (delivery, answer_format) = checked?;
    // The reference requires basic credentials here even if the API needs none. A checked token is accepted as well.
    let has_credentials = match caller {
        Caller::Basic | Caller::Bearer { .. } => true,
        Caller::Anonymous => basic::credentials(head.headers.get(AUTHORIZATION)).is_ok(),
    };
    if !has_credentials {
        return Err(SendRequestError::NoCredentials);
    }
    // From here on the queue of the device counts the message.
    drop(head);
    match delivery.deliver(registry, deadline).await.map_err(SendRequestError::Routing)? {
        Some(answer) => {
            let text = text_of(answer_format, &answer);
            work(long_work, text, move || response(answer, answer_format)).await
        }
        None => Ok(reply::empty(StatusCode::OK)),
    }
}

/// Decodes a request's message and checks it.
fn check(
    format: Format,
    body: &Bytes,
    answer_format: Result<Format, SendRequestError>,
    access: Option<&AccessControl>,
    trace: &mut RequestTrace,
) -> Result<(Delivery, Format), SendRequestError> {
    let decoded = Decoded::read(format, body)?;
    let message = decoded.message();
    trace.read(&message);
    let delivery = Delivery::new(&message, &decoded, body, trace)?;
    let answer_format = answer_format?;
    if let Some(access) = access {
        access.authorize(&message).map_err(SendRequestError::Access)?;
    }
    Ok((delivery, answer_format))
}

/// How many bytes are to be turned from JSON or into it. Msgpack is passed on as it is.
fn text_of(format: Format, message: &Bytes) -> usize {
    if format == Format::Json { message.len() } else { 0 }
}

/// Does work on so many bytes: here, or away from the connections if these are many.
async fn work<T: Send + 'static>(
    long_work: &LongWork,
    length: usize,
    work: impl FnOnce() -> Result<T, SendRequestError> + Send + 'static,
) -> Result<T, SendRequestError> {
    if length < LONG {
        return work();
    }
    let done = long_work.run(work).await;
    done.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => panic::resume_unwind(panic),
        // The process stops.
        Err(_) => Err(SendRequestError::Routing(SendError::Closed)),
    })
}

/// A request's message.
enum Decoded<'a> {
    Msgpack(MessageRef<'a>),
    Json(Message),
}

impl<'a> Decoded<'a> {
    /// A message over a limit is as good as undecodable: the bounds are those of devices' messages (contract §2.18).
    fn read(format: Format, body: &'a [u8]) -> Result<Self, SendRequestError> {
        let limits = Limits::default();
        let decoded = match format {
            Format::Msgpack => MessageRef::decode_v3_within(body, &limits).map(Self::Msgpack),
            Format::Json => wrp::json::decode_v3_within(body, &limits).map(Self::Json),
        };
        decoded.map_err(|_| SendRequestError::Undecodable)
    }

    fn message(&self) -> MessageRef<'_> {
        match self {
            Self::Msgpack(message) => message.clone(),
            Self::Json(message) => message.as_ref(),
        }
    }
}

impl Delivery {
    fn new(
        message: &MessageRef<'_>,
        decoded: &Decoded<'_>,
        body: &Bytes,
        trace: &RequestTrace,
    ) -> Result<Self, SendRequestError> {
        if message.msg_type.requires_transaction() && message.transaction_uuid.is_empty() {
            return Err(SendRequestError::NoTransaction(body.clone()));
        }
        let dest = message.dest.to_str().ok().and_then(|dest| dest.parse().ok());
        let transaction =
            message.is_transaction_part().then(|| message.transaction_uuid.to_str_lossy().into());
        let frame = match decoded {
            // The device gets the same bytes, including fields that this gateway does not know.
            Decoded::Msgpack(_) => body.clone(),
            Decoded::Json(_) => {
                let mut frame = Vec::with_capacity(body.len());
                message.encode_v3(&mut frame);
                frame.into()
            }
        };
        let (frame, exchange) = trace.exchange(message, frame);
        Ok(Self { dest: dest.ok_or(SendError::InvalidDeviceName), transaction, frame, exchange })
    }

    /// Sends the message. Returns the device's answer if there is to be one: v3 msgpack.
    async fn deliver(self, registry: &Registry, deadline: Instant) -> Result<Option<Bytes>, SendError> {
        let Self { dest, transaction, frame, exchange } = self;
        let delivered = match dest.and_then(|dest| registry.get(&dest).ok_or(SendError::NotConnected)) {
            Ok(device) => match transaction {
                Some(uuid) => device.request(&uuid, frame, deadline).await.map(Some),
                None => device.send(frame, deadline).await.map(|()| None),
            },
            Err(error) => Err(error),
        };
        exchange.end(delivered.as_ref());
        delivered
    }
}

impl SendRequestError {
    pub(super) fn into_response(self) -> Response<Body> {
        match self {
            Self::ContentType(_) | Self::Accept(_) | Self::Undecodable => {
                reply::text(StatusCode::BAD_REQUEST, self.to_string())
            }
            Self::Compressed => {
                let mut response = reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, self.to_string());
                // The encodings that are accepted (RFC 9110 §12.5.3).
                response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
                response
            }
            Self::Unread(error) => error.into_response(),
            Self::NoTransaction(body) => reply::text(StatusCode::BAD_REQUEST, body),
            Self::Access(verdict) => reply::empty(verdict.status()),
            Self::NoCredentials => reply::empty(StatusCode::FORBIDDEN),
            Self::TooManyRequests => {
                let response = reply::json_error(StatusCode::SERVICE_UNAVAILABLE, &self.to_string());
                with_retry_after(response)
            }
            Self::Routing(SendError::Busy) => {
                let mut response = reply::json_error(SendError::Busy.status(), &self.to_string());
                let label = HeaderValue::from_static(SendError::Busy.label());
                response.headers_mut().insert(MESSAGE_ERROR, label);
                with_retry_after(response)
            }
            Self::Routing(error) => {
                let mut response = reply::json_error(error.status(), &self.to_string());
                let label = HeaderValue::from_static(error.label());
                response.headers_mut().insert(MESSAGE_ERROR, label);
                response
            }
        }
    }
}

/// The caller may try again soon: what is full is emptied as fast as devices read.
fn with_retry_after(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The format of the body; without a `Content-Type` it is msgpack.
fn body_format(headers: &HeaderMap) -> Result<Format, SendRequestError> {
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(SendRequestError::Compressed);
    }
    Format::from_content_type(&text(headers, &CONTENT_TYPE)).map_err(SendRequestError::ContentType)
}

/// The format of the answer: the accepted one, whatever the format of the request. If all are accepted, msgpack.
fn answer_format(headers: &HeaderMap) -> Result<Format, SendRequestError> {
    let accept = text(headers, &ACCEPT);
    Format::from_content_type(&accept).or_else(|unknown| {
        let accepts_all = accept.contains("*/*") || accept.contains("application/*");
        if accepts_all { Ok(Format::default()) } else { Err(SendRequestError::Accept(unknown)) }
    })
}

/// The device's answer in this format.
fn response(answer: Bytes, format: Format) -> Result<Response<Body>, SendRequestError> {
    let content_type = HeaderValue::from_static(format.mime());
    let body = match format {
        Format::Msgpack => answer,
        Format::Json => {
            let message = MessageRef::decode_v3(&answer).map_err(|_| SendRequestError::Undecodable)?;
            let mut json = Vec::with_capacity(answer.len() * 2);
            wrp::json::encode_v3(&message, &mut json);
            json.into()
        }
    };
    Ok(reply::with_body(StatusCode::OK, content_type, body))
}

/// The first header with this name; empty if there is none.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Cow<'a, str> {
    headers.get(name).map_or(Cow::Borrowed(""), |value| String::from_utf8_lossy(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn only_long_messages_are_worked_on_away_from_the_connections() {
        let long_work = LongWork::default();
        let here = thread::current().id();
        let worker = || Ok(thread::current().id());
        assert_eq!(work(&long_work, LONG - 1, worker).await.unwrap(), here);
        assert_ne!(work(&long_work, LONG, worker).await.unwrap(), here);
        let message = Bytes::from(vec![0; LONG]);
        assert_eq!((text_of(Format::Json, &message), text_of(Format::Msgpack, &message)), (LONG, 0));
    }
}
