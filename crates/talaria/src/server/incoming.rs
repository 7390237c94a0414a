//! Reading a request's body, within a size and a time.

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

use super::{Body, reply};

/// When a request has to have arrived in full: its server's `readTimeout`, as an extension of the request.
#[derive(Clone, Copy, Debug)]
pub struct ReadBy(pub Option<Instant>);

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is longer than allowed.
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
    /// It took too long.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The client stopped sending, or what it sent is no body.
    #[error("the body could not be read")]
    Broken,
}

/// Reads the whole body.
///
/// # Errors
/// If it is longer than `limit` bytes, or later than the server allows, or broken.
pub async fn read(request: Request<Incoming>, limit: usize) -> Result<(Parts, Bytes), ReadError> {
    let (head, body) = request.into_parts();
    // What is announced as too long is not even asked for (`Expect: 100-continue`).
    if body.size_hint().lower() > limit as u64 {
        return Err(ReadError::TooLarge(limit));
    }
    let collecting = Limited::new(body, limit).collect();
    let collected = match head.extensions.get::<ReadBy>() {
        Some(ReadBy(Some(deadline))) => {
            timeout_at(*deadline, collecting).await.map_err(|_| ReadError::TimedOut)?
        }
        _ => collecting.await,
    };
    match collected {
        Ok(body) => Ok((head, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(ReadError::TooLarge(limit)),
        Err(_) => Err(ReadError::Broken),
    }
}

impl ReadError {
    /// The answer; as the rest of the body is still to come, the connection ends with it.
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
