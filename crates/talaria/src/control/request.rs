//! Reads the requests to the control server. What they mean is in [`talaria_protocol::control`].

use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use talaria_protocol::control::{self, Input};

use crate::server::incoming::{self, ReadError};
use crate::server::{Body, reply};

/// The longest body, in bytes: a long list of device ids.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// Why a request was not carried out. The operator is sent the text.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It could not be read.
    #[error(transparent)]
    Unread(#[from] ReadError),
    /// It is malformed.
    #[error(transparent)]
    Request(#[from] control::ControlError),
    /// It is malformed.
    #[error("{0}")]
    Malformed(String),
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

/// Reads a whole request whose body is a text.
pub(super) async fn read_text(request: Request<Incoming>) -> Result<(Parts, String), ControlError> {
    Input::check(request.headers())?;
    let (head, body) = incoming::read(request, MAX_BODY).await?;
    let text = String::from_utf8(body.into());
    let text = text.map_err(|_| ControlError::Malformed("the body is not UTF-8".to_owned()))?;
    Ok((head, text))
}

impl ControlError {
    /// The response: 400, 409, 413, 415 and the like, with the reason in its body.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        match self {
            Self::Unread(error) => error.into_response(),
            Self::Request(error) => reply::json_error(error.status(), &error.to_string()),
            Self::Malformed(problem) => reply::json_error(StatusCode::BAD_REQUEST, &problem),
            Self::Conflict(problem) => reply::json_error(StatusCode::CONFLICT, &problem),
        }
    }
}
