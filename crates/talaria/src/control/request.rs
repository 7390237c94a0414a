//! What requests to the control server carry: parameters in the query or a form, and JSON bodies.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value};

use crate::server::incoming::{self, ReadError};
use crate::server::{Body, reply};

/// The longest body: a long list of device ids.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// A request's parameters and its body.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Those of a form in the body, then those of the query, as Go orders them.
    pub(super) parameters: Parameters,
    /// The body, unless it was a form; empty if there was none.
    pub(super) body: Bytes,
}

/// Names and values, decoded, in the order in which they count.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

/// Why a request was not carried out; the operator is told.
#[derive(Debug)]
pub enum Rejected {
    /// It could not be read.
    Unread(ReadError),
    /// Its body is compressed.
    Compressed,
    /// It does not say what it should.
    Bad(String),
    /// It cannot be done now.
    Conflict(String),
}

impl Input {
    /// Reads the whole request.
    pub(super) async fn read(request: Request<Incoming>) -> Result<Self, Rejected> {
        if request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Rejected::Compressed);
        }
        let (head, body) = incoming::read(request, MAX_BODY).await.map_err(Rejected::Unread)?;
        let content_type = head.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let mut input = Self::default();
        // curl calls every body a form; what begins like JSON is none.
        let is_form = content_type.starts_with(b"application/x-www-form-urlencoded")
            && !body.trim_ascii_start().starts_with(b"{");
        if is_form {
            input.parameters.add(&body)?;
        } else {
            input.body = body;
        }
        input.parameters.add(head.uri.query().unwrap_or_default().as_bytes())?;
        Ok(input)
    }
}

impl Parameters {
    /// The first value of this name: that of a form counts before that of the query.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The names, each once, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let earlier = |at: usize, name: &str| self.0[..at].iter().any(|(other, _)| other == name);
        self.0
            .iter()
            .enumerate()
            .filter(move |(at, (name, _))| !earlier(*at, name))
            .map(|(_, (name, _))| name.as_str())
    }

    /// All values of this name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn add(&mut self, text: &[u8]) -> Result<(), Rejected> {
        for pair in text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            let decoded =
                |text| decode(text).ok_or_else(|| Rejected::bad("a parameter is not text in URL encoding"));
            self.0.push((decoded(&pair[..at])?, decoded(pair.get(at + 1..).unwrap_or_default())?));
        }
        Ok(())
    }
}

impl Rejected {
    pub(super) fn bad(problem: impl fmt::Display) -> Self {
        Self::Bad(problem.to_string())
    }

    /// The answer: 400, 409, 413, 415 and the like, with the reason in its body.
    pub fn into_response(self) -> Response<Body> {
        match self {
            Self::Unread(error) => error.into_response(),
            Self::Compressed => {
                reply::json_error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "compressed bodies are not supported")
            }
            Self::Bad(problem) => reply::json_error(StatusCode::BAD_REQUEST, &problem),
            Self::Conflict(problem) => reply::json_error(StatusCode::CONFLICT, &problem),
        }
    }
}

/// A body that has to be a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Rejected> {
    if body.trim_ascii().is_empty() {
        return Err(Rejected::bad("unexpected end of JSON input"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Rejected::bad("the body is no JSON object")),
        Err(error) if error.is_eof() => Err(Rejected::bad("unexpected end of JSON input")),
        Err(error) => Err(Rejected::bad(format!("the body is no JSON: {error}"))),
    }
}

/// What Go's `strconv.ParseBool` takes.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `+` and `%20` as blanks; `None` if an escape is broken or the result is not UTF-8.
fn decode(text: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_keep_their_order() {
        let mut parameters = Parameters::default();
        parameters.add(b"a=1&b=x%20y+z&a=2&c&&d=%3D").unwrap();
        assert_eq!(parameters.first("a"), Some("1"));
        assert_eq!(parameters.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(parameters.first("b"), Some("x y z"));
        assert_eq!(parameters.first("c"), Some(""));
        assert_eq!(parameters.first("d"), Some("="));
        assert_eq!(parameters.names().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_broken_escape_is_rejected() {
        for text in ["a=%zz", "a=%2", "%ff=1"] {
            assert!(Parameters::default().add(text.as_bytes()).is_err(), "{text}");
        }
    }
}
