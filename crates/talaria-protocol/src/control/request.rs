//! The parameters and the body of a request to the control server.
//!
//! Reading the body from the connection, and its limit in bytes, are the gateway's matter.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::answer::COMPRESSED;
use crate::go::percent;

/// A request's parameters and its body.
#[derive(Debug, Default)]
pub struct Input {
    /// Those of a form in the body, then those of the query, as Go orders them.
    pub parameters: Parameters,
    /// The body, unless it was a form; empty if there was none.
    pub body: Bytes,
}

/// Names and values, decoded, in the order in which they count.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

/// A request is not one that the control server understands. The text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Its body is compressed.
    #[error("{COMPRESSED}")]
    Compressed,
    /// Something is missing, misspelt or malformed.
    #[error("{0}")]
    Invalid(String),
}

impl Input {
    /// Checks a request before its body is read.
    ///
    /// # Errors
    /// [`ControlError::Compressed`]
    pub fn check(headers: &HeaderMap) -> Result<(), ControlError> {
        if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(ControlError::Compressed);
        }
        Ok(())
    }

    /// Reads the parameters of a request that passed [`check`](Input::check).
    ///
    /// # Errors
    /// [`ControlError::Invalid`]
    pub fn read(headers: &HeaderMap, query: Option<&str>, body: Bytes) -> Result<Self, ControlError> {
        let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let mut input = Self::default();
        // curl calls every body a form; one that begins like JSON is not.
        let is_form = content_type.starts_with(b"application/x-www-form-urlencoded")
            && !body.trim_ascii_start().starts_with(b"{");
        if is_form {
            input.parameters.add(&body)?;
        } else {
            input.body = body;
        }
        input.parameters.add(query.unwrap_or_default().as_bytes())?;
        Ok(input)
    }
}

impl Parameters {
    /// The first value of this name. Those of a form come before those of the query.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The names, each once, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let earlier = |at: usize, name: &str| self.0[..at].iter().any(|(other, _)| other == name);
        self.0
            .iter()
            .enumerate()
            .filter(move |(at, (name, _))| !earlier(*at, name))
            .map(|(_, (name, _))| name.as_str())
    }

    /// All values of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn add(&mut self, text: &[u8]) -> Result<(), ControlError> {
        for pair in text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            let decoded = |text| {
                decode(text).ok_or_else(|| ControlError::new("a parameter is not text in URL encoding"))
            };
            self.0.push((decoded(&pair[..at])?, decoded(pair.get(at + 1..).unwrap_or_default())?));
        }
        Ok(())
    }
}

impl ControlError {
    pub(super) fn new(problem: impl fmt::Display) -> Self {
        Self::Invalid(problem.to_string())
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// A body that has to be a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, ControlError> {
    if body.trim_ascii().is_empty() {
        return Err(ControlError::new("unexpected end of JSON input"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ControlError::new("the body is no JSON object")),
        Err(error) if error.is_eof() => Err(ControlError::new("unexpected end of JSON input")),
        Err(error) => Err(ControlError::new(format!("the body is no JSON: {error}"))),
    }
}

/// A name or a value without its escapes; `None` if an escape is broken or the result is not UTF-8.
fn decode(text: &[u8]) -> Option<String> {
    String::from_utf8(percent::decode_query(text).ok()?).ok()
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
