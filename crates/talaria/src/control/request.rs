//! Requests to the control server: their bodies are read here, what they say is [`talaria_protocol::control`]'s.

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use talaria_protocol::control::{self, Input};

use crate::server::incoming::{self, ReadError};
use crate::server::{Body, reply};

/// The longest body: a long list of device ids.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// A request was not carried out. The text is the operator's answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It could not be read.
    #[error(transparent)]
    Unread(#[from] ReadError),
    /// It is not understood.
    #[error(transparent)]
    Request(#[from] control::ControlError),
    /// It cannot be carried out now.
    #[error("{0}")]
    Conflict(String),
}

/// Reads a whole request.
pub(super) async fn read(request: Request<Incoming>) -> Result<Input, ControlError> {
    Input::check(request.headers())?;
    let (head, body) = incoming::read(request, MAX_BODY).await?;
    Ok(Input::read(&head.headers, head.uri.query(), body)?)
}

impl ControlError {
    /// The answer: 400, 409, 413, 415 and the like, with the reason in its body.
    pub fn into_response(self) -> Response<Body> {
        match self {
            Self::Unread(error) => error.into_response(),
            Self::Request(error) => reply::json_error(error.status(), &error.to_string()),
            Self::Conflict(problem) => reply::json_error(StatusCode::CONFLICT, &problem),
        }
    }
}
