//! Reading a request's body, within a size and a time.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

use super::metrics::Connections;
use super::{Body, ConnectionFailure, reply};

/// An extension of each request: until when its body has to arrive.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// When the whole request has to have arrived (`readTimeout`).
    pub(super) deadline: Option<Instant>,
    /// Counts a body that fails.
    pub(super) connections: Arc<Connections>,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is longer than allowed.
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
    /// It took too long.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The client stopped sending, or the body is malformed.
    #[error("the body could not be read")]
    Broken,
}

/// Reads the whole body.
///
/// # Errors
/// If it is longer than `limit` bytes, or later than the server allows, or broken.
pub async fn read(request: Request<Incoming>, limit: usize) -> Result<(Parts, Bytes), ReadError> {
    let (head, body) = request.into_parts();
    let arrival = head.extensions.get::<Arrival>();
    let read = collect(body, limit, arrival.and_then(|arrival| arrival.deadline)).await;
    if let (Err(error), Some(arrival)) = (&read, arrival) {
        arrival.connections.count_failure(error.failure());
    }
    Ok((head, read?))
}

async fn collect(body: Incoming, limit: usize, deadline: Option<Instant>) -> Result<Bytes, ReadError> {
    // A body that is announced as too long is not read, so no `100 Continue` invites the client to send it.
    if body.size_hint().lower() > limit as u64 {
        return Err(ReadError::TooLarge(limit));
    }
    let collecting = Limited::new(body, limit).collect();
    let collected = match deadline {
        Some(deadline) => timeout_at(deadline, collecting).await.map_err(|_| ReadError::TimedOut)?,
        None => collecting.await,
    };
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ReadError::TooLarge(limit)),
        Err(_) => Err(ReadError::Broken),
    }
}

impl ReadError {
    fn failure(self) -> ConnectionFailure {
        match self {
            Self::TooLarge(_) => ConnectionFailure::BodyTooLarge,
            Self::TimedOut => ConnectionFailure::SlowBody,
            Self::Broken => ConnectionFailure::BrokenBody,
        }
    }

    /// The response. The rest of the body may still arrive, so the connection is closed after it.
    pub fn into_response(self) -> Response<Body> {
        let status = match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        };
        let mut response = reply::text(status, self.to_string());
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
