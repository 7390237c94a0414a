//! What the outcome of a request tells about its receiver.

use std::fmt;
use std::time::Duration;

use ::http::StatusCode;
use tokio::time::Instant;

use super::exchange::Answer;
use super::post_error::PostError;
use crate::event::reason::DropReason;

/// What a request tells about its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It answered, be it that it did not want this event.
    Works,
    /// It answered that it has no time: 429, 503 and the like.
    Refuses,
    /// It answered that it has failed, which may be the event's fault: 500.
    Fails,
    /// It could not be connected to, or closed the connection.
    Unreachable,
    /// It did not answer in time.
    Silent,
    /// No request was made, or one that tells nothing.
    Unknown,
}

/// A request that has ended, as its receiver's queue has to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) health: Health,
    pub(super) cause: Cause,
    /// When it ended, and how long it took.
    pub(super) at: Instant,
    pub(super) took: Duration,
    pub(super) retry_after: Option<Duration>,
}

/// Why a request failed, for a log line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    Status(StatusCode),
    Error(DropReason),
    /// No request was answered for a while.
    Stalled,
}

impl Report {
    pub(super) fn new(posted: &Result<Answer, PostError>, start: Instant, took: Duration) -> Self {
        let (health, cause, retry_after) = match posted {
            Ok(answer) => (of_status(answer.status), Cause::Status(answer.status), answer.retry_after),
            Err(error) => (of_error(error), Cause::Error(error.reason()), None),
        };
        Self { health, cause, at: start + took, took, retry_after }
    }

    /// Nothing was sent.
    pub(super) fn unknown() -> Self {
        Self {
            health: Health::Unknown,
            cause: Cause::Error(DropReason::NoError),
            at: Instant::now(),
            took: Duration::ZERO,
            retry_after: None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::Error(reason) => reason.fmt(f),
            Self::Stalled => f.write_str("no answers"),
        }
    }
}

const fn of_status(status: StatusCode) -> Health {
    match status {
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Health::Refuses,
        StatusCode::INTERNAL_SERVER_ERROR => Health::Fails,
        _ => Health::Works,
    }
}

const fn of_error(error: &PostError) -> Health {
    match error {
        PostError::DeadlineExceeded | PostError::AnswerTimeout | PostError::AttemptTimeout => Health::Silent,
        PostError::ConnectTimeout
        | PostError::Lookup(_)
        | PostError::Connect(_)
        | PostError::Tls(_)
        | PostError::Closed
        | PostError::Broken(_)
        | PostError::NotHttp(_)
        | PostError::Unexpected
        | PostError::Exchange(_) => Health::Unreachable,
        // A kept connection that is closed tells of the connection only.
        PostError::KeptClosed(_)
        | PostError::Cancelled
        | PostError::Credentials(_)
        | PostError::Unusable(_)
        | PostError::NotPublic(_)
        | PostError::TooManyRedirects(_)
        | PostError::BadRedirect => Health::Unknown,
    }
}
