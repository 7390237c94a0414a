//! Answers of event receivers by HTTP/1.1 (RFC 9112), as the client that posted an event reads them.
//!
//! Only what the gateway needs of an answer is kept: its status, `Location`, `Retry-After`, and whether the connection can carry
//! another request. The body is read to its end and dropped. Everything that a receiver sends has a bound: [`MAX_HEAD`],
//! [`MAX_HEADERS`], [`MAX_BODY`]. A head that was read is valid although its body is too long, broken or cut off; the
//! connection is closed then.
//!
//! Deliberately absent: sockets, time limits, and what a status means for the event. `httparse` reads the head. Start reading at
//! [`AnswerReader::read`].

mod body;
mod head;

pub use self::body::MAX_BODY;
use self::body::{Body, Read};
pub use self::head::{AnswerError, AnswerHead, MAX_HEAD, MAX_HEADERS, Method};
use self::head::{Head, Parsed};

/// So much of a torn head is parsed again with each read. A longer one is parsed when it has doubled or ended, so that a
/// receiver that sends byte by byte costs no more than a multiple of its bytes.
const PARSED_EACH_TIME: usize = 1024;

/// Reads the answer to one request, in pieces as they arrive.
#[derive(Debug)]
pub struct AnswerReader {
    method: Method,
    state: State,
}

/// How far an answer has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is to come.
    Incomplete,
    /// It has ended.
    Complete {
        /// Its head.
        head: AnswerHead,
        /// How many of the bytes that were passed last belong to it.
        used: usize,
        /// What becomes of the connection.
        connection: Connection,
    },
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It can carry another request.
    Kept,
    /// It can carry another request, but only one at a time: the receiver speaks HTTP/1.0.
    KeptForOne,
    /// It has to be closed.
    Closed,
}

#[derive(Debug)]
enum State {
    Head(TornHead),
    Body { head: AnswerHead, body: Body, connection: Connection },
}

/// The beginning of a head, and what was read before it.
#[derive(Debug, Default)]
struct TornHead {
    bytes: Vec<u8>,
    /// How long it was when it was parsed last.
    parsed: usize,
    /// The bytes of interim answers and empty lines before it.
    before: usize,
}

impl AnswerReader {
    /// A reader of the answers to requests with this method.
    #[must_use]
    pub const fn new(method: Method) -> Self {
        Self { method, state: State::START }
    }

    /// Reads the next bytes. After [`Progress::Complete`] it reads the next answer.
    ///
    /// # Errors
    /// What makes this no answer of HTTP/1.1. Nothing more can be read from the connection then.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Progress, AnswerError> {
        let mut used = 0;
        loop {
            match &mut self.state {
                State::Head(torn) => match torn.read(&bytes[used..])? {
                    None => return Ok(Progress::Incomplete),
                    Some((head, length)) => {
                        used += length;
                        self.begin(head)?;
                    }
                },
                State::Body { body, .. } => {
                    let (read, length) = body.read(&bytes[used..]);
                    used += length;
                    if read == Read::Incomplete {
                        return Ok(Progress::Incomplete);
                    }
                    if let State::Body { head, connection, .. } =
                        std::mem::replace(&mut self.state, State::START)
                    {
                        let is_unusable = read == Read::Unusable;
                        let connection = if is_unusable { Connection::Closed } else { connection };
                        return Ok(Progress::Complete { head, used, connection });
                    }
                }
            }
        }
    }

    /// The receiver has closed the connection. Returns the head if it was read and the body was cut off.
    pub fn end(&mut self) -> Option<AnswerHead> {
        match std::mem::replace(&mut self.state, State::START) {
            State::Head(_) => None,
            State::Body { head, .. } => Some(head),
        }
    }

    fn begin(&mut self, head: Head) -> Result<(), AnswerError> {
        if head.is_interim() {
            return Ok(());
        }
        let body = head.body(self.method)?;
        let connection = head.connection();
        self.state = State::Body { head: head.into_answer(), body, connection };
        Ok(())
    }
}

impl State {
    const START: Self = Self::Head(TornHead { bytes: Vec::new(), parsed: 0, before: 0 });
}

impl TornHead {
    /// Reads on. Returns the head if it has ended, and how many of these bytes belong to it.
    fn read(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, AnswerError> {
        if !self.bytes.is_empty() {
            return self.read_on(bytes);
        }
        // Lines before the status line (RFC 9112 §2.2) are not kept.
        let empty = empty_lines(bytes);
        self.before += empty;
        self.check(0)?;
        let bytes = &bytes[empty..];
        if bytes.is_empty() {
            return Ok(None);
        }
        Ok(match Head::parse(bytes)? {
            Parsed::Complete(head, length) => {
                self.ended(length)?;
                Some((head, empty + length))
            }
            Parsed::Partial => {
                self.check(bytes.len())?;
                self.parsed = bytes.len();
                self.bytes.extend_from_slice(bytes);
                None
            }
        })
    }

    fn read_on(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, AnswerError> {
        let known = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let length = self.bytes.len();
        if length <= PARSED_EACH_TIME || length >= 2 * self.parsed || has_ended(&self.bytes, known) {
            self.parsed = length;
            if let Parsed::Complete(head, length) = Head::parse(&self.bytes)? {
                self.bytes = Vec::new();
                self.ended(length)?;
                return Ok(Some((head, length.saturating_sub(known))));
            }
        }
        self.check(length)?;
        Ok(None)
    }

    fn ended(&mut self, length: usize) -> Result<(), AnswerError> {
        self.check(length)?;
        self.before += length;
        Ok(())
    }

    fn check(&self, length: usize) -> Result<(), AnswerError> {
        if self.before + length > MAX_HEAD { Err(AnswerError::TooLong) } else { Ok(()) }
    }
}

/// How many bytes of empty lines are in front.
fn empty_lines(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len())
}

/// Whether an empty line ends behind the bytes that were known before.
fn has_ended(bytes: &[u8], known: usize) -> bool {
    let tail = &bytes[known.saturating_sub(2)..];
    tail.windows(2).any(|pair| pair == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n")
}

#[cfg(test)]
mod tests;
