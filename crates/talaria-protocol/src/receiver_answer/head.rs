//! The head of an answer: what `httparse` reads, and what it says about the body and the connection.

use std::mem::MaybeUninit;

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Connection;
use super::body::{Body, MAX_BODY};

/// The longest head in bytes, with all interim answers before it.
pub const MAX_HEAD: usize = 64 * 1024;

/// As many headers may an answer have.
pub const MAX_HEADERS: usize = 100;

/// The head of an answer, as far as the gateway needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    /// The status.
    pub status: StatusCode,
    /// The first `Location`.
    pub location: Option<HeaderValue>,
    /// The first `Retry-After`.
    pub retry_after: Option<HeaderValue>,
}

/// What makes an answer unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not HTTP/1.x.
    #[error("the answer is not HTTP/1.1")]
    NotHttp,
    /// The head is longer than [`MAX_HEAD`].
    #[error("the head of the answer is longer than {MAX_HEAD} bytes")]
    TooLong,
    /// More than [`MAX_HEADERS`].
    #[error("the answer has more than {MAX_HEADERS} headers")]
    TooManyHeaders,
    /// Several different lengths, or one that is not a number.
    #[error("the answer has an invalid Content-Length")]
    Length,
    /// A transfer coding in an answer of HTTP/1.0, which has none.
    #[error("the answer of HTTP/1.0 has a Transfer-Encoding")]
    TransferEncoding,
}

/// Which answers have no body whatever their headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Those to HEAD.
    Head,
    /// Only those whose status has none.
    Other,
}

/// A parsed head.
pub(super) struct Head {
    answer: AnswerHead,
    version: Version,
    length: Length,
    coding: Coding,
    /// Whether `Connection` has `close`, and whether it has `keep-alive`.
    closes: bool,
    keeps_alive: bool,
}

/// What was read of a head.
pub(super) enum Parsed {
    Partial,
    /// A whole head, and its length.
    Complete(Head, usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// What `Content-Length` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Absent,
    Known(u64),
    Invalid,
}

/// What `Transfer-Encoding` says: its last coding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Absent,
    Chunked,
    Other,
}

impl AnswerHead {
    /// What the gateway needs of a head that was read by other means.
    #[must_use]
    pub fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let first = |name| headers.get(name).cloned();
        Self { status, location: first(header::LOCATION), retry_after: first(header::RETRY_AFTER) }
    }
}

impl Head {
    pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, AnswerError> {
        let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let end = match parser.parse_response_with_uninit_headers(&mut response, bytes, &mut fields) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
            Err(httparse::Error::TooManyHeaders) => return Err(AnswerError::TooManyHeaders),
            Err(_) => return Err(AnswerError::NotHttp),
        };
        let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
        let mut head = Self {
            answer: AnswerHead {
                status: status.ok_or(AnswerError::NotHttp)?,
                location: None,
                retry_after: None,
            },
            version: if response.version == Some(1) { Version::Http11 } else { Version::Http10 },
            length: Length::Absent,
            coding: Coding::Absent,
            closes: false,
            keeps_alive: false,
        };
        response.headers.iter().for_each(|field| head.take(field.name, field.value));
        Ok(Parsed::Complete(head, end))
    }

    /// An answer before the real one: 100 to 199 without 101, with which another protocol would begin.
    pub(super) fn is_interim(&self) -> bool {
        self.answer.status.is_informational() && self.answer.status != StatusCode::SWITCHING_PROTOCOLS
    }

    /// Where the body ends (RFC 9112 §6.3).
    pub(super) fn body(&self, method: Method) -> Result<Body, AnswerError> {
        if self.coding != Coding::Absent && self.version == Version::Http10 {
            return Err(AnswerError::TransferEncoding);
        }
        if self.coding == Coding::Absent && self.length == Length::Invalid {
            return Err(AnswerError::Length);
        }
        let has_none = matches!(
            self.answer.status,
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        if has_none || method == Method::Head {
            return Ok(Body::Length(0));
        }
        Ok(match (self.coding, self.length) {
            (Coding::Chunked, _) => Body::chunked(),
            (Coding::Absent, Length::Known(length)) => match usize::try_from(length) {
                Ok(length @ 0..=MAX_BODY) => Body::Length(length),
                _ => Body::Unread,
            },
            (Coding::Other, _) | (Coding::Absent, Length::Absent | Length::Invalid) => Body::Unread,
        })
    }

    /// Whether the connection can carry another request after the body (RFC 9112 §9.3).
    pub(super) fn connection(&self) -> Connection {
        // Another reader may have seen the end of the body elsewhere (RFC 9112 §6.1).
        let is_ambiguous = self.coding != Coding::Absent && self.length != Length::Absent;
        if self.closes || is_ambiguous || self.answer.status == StatusCode::SWITCHING_PROTOCOLS {
            return Connection::Closed;
        }
        match self.version {
            Version::Http11 => Connection::Kept,
            Version::Http10 if self.keeps_alive => Connection::KeptForOne,
            Version::Http10 => Connection::Closed,
        }
    }

    pub(super) fn into_answer(self) -> AnswerHead {
        self.answer
    }

    fn take(&mut self, name: &str, value: &[u8]) {
        let is = |wanted: header::HeaderName| name.eq_ignore_ascii_case(wanted.as_str());
        // The length is compared first, because nearly all headers differ in it.
        match name.len() {
            8 if is(header::LOCATION) => keep_first(&mut self.answer.location, value),
            10 if is(header::CONNECTION) => {
                self.closes |= has_token(value, b"close");
                self.keeps_alive |= has_token(value, b"keep-alive");
            }
            11 if is(header::RETRY_AFTER) => keep_first(&mut self.answer.retry_after, value),
            14 if is(header::CONTENT_LENGTH) => self.length = self.length.and(value),
            17 if is(header::TRANSFER_ENCODING) => self.coding = Coding::last(value),
            _ => {}
        }
    }
}

impl Length {
    /// With a further `Content-Length`. The same number may come several times (RFC 9112 §6.3).
    fn and(self, value: &[u8]) -> Self {
        tokens(value).fold(self, |length, text| match (length, number(text)) {
            (Self::Absent, Some(number)) => Self::Known(number),
            (Self::Known(known), Some(number)) if known == number => length,
            _ => Self::Invalid,
        })
    }
}

impl Coding {
    fn last(value: &[u8]) -> Self {
        let is_chunked = tokens(value).last().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
        if is_chunked { Self::Chunked } else { Self::Other }
    }
}

fn keep_first(header: &mut Option<HeaderValue>, value: &[u8]) {
    if header.is_none() {
        *header = HeaderValue::from_bytes(value).ok();
    }
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn has_token(value: &[u8], token: &[u8]) -> bool {
    tokens(value).any(|there| there.eq_ignore_ascii_case(token))
}

/// Digits only: a sign would be read as a number by `parse`.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
