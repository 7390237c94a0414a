//! One device's WebSocket session as a state machine: bytes and decisions go in, steps come out.
//!
//! [`Session::next`] turns the device's bytes into [`Step`]s; the owner of the socket asks what it owes the device in
//! return ([`Session::take_pong`], [`Session::take_ping`], [`Session::take_close_frame`]) and writes it.
//!
//! Deliberately absent: the socket, the queue of outgoing messages, timers (the owner says when a ping is due or the
//! device was silent for too long), and the content of messages, which is [`inbound`](crate::inbound)'s.

mod close_reason;
mod protocol_error;

use crate::ws::{CloseCode, Decoder, FrameError, Input, Item, Limits, Payload};

pub use close_reason::{CloseReason, Reason};
pub use protocol_error::ProtocolError;

/// What a client's bytes amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// All bytes are used up.
    NeedMore,
    /// A binary message, expected to be WRP.
    Message(&'a [u8]),
    /// A text message of this many bytes, which is ignored.
    Text(usize),
    /// The device sent a ping; the pong goes out with the next write.
    Ping,
    /// The device sent a pong.
    Pong,
    /// The session has ended; see [`Session::ending`].
    Ended,
}

/// The state of a session: what the device has begun to send, and what it is owed.
#[derive(Debug)]
pub struct Session {
    decoder: Decoder,
    /// The ping to be answered: only the last, as RFC 6455 §5.5.3 allows, so that no flood of them can pile up.
    pong: Option<Box<[u8]>>,
    /// Whether a ping of our own is due.
    ping: bool,
    ending: Option<Box<Ending>>,
}

/// How a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: CloseReason,
    /// The close frame that the device is sent; none if it cannot receive one any more.
    pub close_frame: Option<CloseFrame>,
    /// How the device broke the protocol, if it did.
    pub protocol_error: Option<ProtocolError>,
}

/// A close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Its code; none if it answers a close frame without a code.
    pub code: Option<CloseCode>,
    /// Its reason, for a human reader.
    pub text: String,
}

impl Session {
    /// A session at its beginning.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { decoder: Decoder::new(limits), pong: None, ping: false, ending: None }
    }

    /// The next step; call it until it returns [`Step::NeedMore`] or [`Step::Ended`].
    pub fn next<'a>(&'a mut self, input: &'a mut Input<'_>) -> Step<'a> {
        if self.ending.is_some() {
            return Step::Ended;
        }
        let ending = match self.decoder.next(input) {
            Ok(None) => return Step::NeedMore,
            Ok(Some(Item::Binary(message))) => return Step::Message(message),
            Ok(Some(Item::Text(length))) => return Step::Text(length),
            Ok(Some(Item::Pong(_))) => return Step::Pong,
            Ok(Some(Item::Ping(payload))) => {
                self.pong = Some(payload.into());
                return Step::Ping;
            }
            Ok(Some(Item::Close(code))) => Ending::by_device(code),
            Err(error) => Ending::from(&error),
        };
        self.ending = Some(Box::new(ending));
        Step::Ended
    }

    /// The bytes of the [`Step::Message`] that [`next`](Session::next) has just returned, if the session holds them, as it
    /// does with a message that arrived in several pieces: to be handled elsewhere, without a copy.
    pub fn take_message(&mut self) -> Option<Payload> {
        self.decoder.take_payload()
    }

    /// A ping of our own is due. If the last one has not been written yet, only one is.
    pub fn ping(&mut self) {
        self.ping = true;
    }

    /// Whether the device has begun a message that is not complete yet.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.ending.is_none() && self.decoder.is_unfinished()
    }

    /// Frees what is kept of an unfinished message, once the session has ended.
    pub fn discard_unfinished(&mut self) {
        if self.ending.is_some() {
            self.decoder.discard();
        }
    }

    /// Ends the session. Of several endings the first one counts.
    pub fn end(&mut self, ending: Ending) {
        if self.ending.is_none() {
            self.ending = Some(Box::new(ending));
        }
    }

    /// The payload of the pong that the device is owed.
    #[must_use]
    pub fn take_pong(&mut self) -> Option<Box<[u8]>> {
        self.pong.take()
    }

    /// Whether a ping is to be written now; never once the session has ended.
    #[must_use]
    pub fn take_ping(&mut self) -> bool {
        std::mem::take(&mut self.ping) && self.ending.is_none()
    }

    /// The close frame that the device is owed: the last frame of the session.
    #[must_use]
    pub fn take_close_frame(&mut self) -> Option<CloseFrame> {
        self.ending.as_mut()?.close_frame.take()
    }

    /// How the session ended, if it has.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_deref()
    }

    /// The bytes kept for frames and messages that have not arrived completely.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.decoder.kept()
    }
}

impl Ending {
    /// The gateway ends the session.
    #[must_use]
    pub fn by_gateway(reason: CloseReason) -> Self {
        let close_frame = CloseFrame {
            code: Some(reason.reason().close_code()),
            text: reason.reason().as_str().to_owned(),
        };
        Self { reason, close_frame: Some(close_frame), protocol_error: None }
    }

    /// The device closed. Every code means the same (contract §14.17); the answer repeats it.
    #[must_use]
    pub fn by_device(code: Option<CloseCode>) -> Self {
        Self {
            reason: Reason::ReadError.into(),
            close_frame: Some(CloseFrame { code, text: String::new() }),
            protocol_error: None,
        }
    }

    /// The unfinished messages of all devices together are over their limit in bytes, and this device's is the largest.
    #[must_use]
    pub fn out_of_memory(limit: usize) -> Self {
        let error = format!("unfinished messages over {limit} bytes");
        Self {
            reason: CloseReason::with_error(Reason::ReadError, &error),
            close_frame: Some(CloseFrame { code: Some(CloseCode::TRY_AGAIN_LATER), text: error }),
            protocol_error: Some(ProtocolError::NoRoom),
        }
    }

    /// The messages that wait for all devices together are over their limit in bytes, and this device has most of them and
    /// does not read.
    #[must_use]
    pub fn unread(limit: usize) -> Self {
        let error = format!("unread messages over {limit} bytes");
        Self {
            protocol_error: Some(ProtocolError::Unread),
            ..Self::unreachable(CloseReason::with_error(Reason::WriteError, &error))
        }
    }

    /// The device has exceeded its rate for this time, given as text.
    #[must_use]
    pub fn flooding(time: &str) -> Self {
        Self::against_policy(ProtocolError::Flooding, format!("rate exceeded for {time}"))
    }

    /// A message did not arrive completely within this time, given as text.
    #[must_use]
    pub fn slow_message(timeout: &str) -> Self {
        Self::against_policy(ProtocolError::SlowMessage, format!("message not complete within {timeout}"))
    }

    fn against_policy(protocol_error: ProtocolError, error: String) -> Self {
        Self {
            reason: CloseReason::with_error(Reason::ReadError, &error),
            close_frame: Some(CloseFrame { code: Some(CloseCode::POLICY_VIOLATION), text: error }),
            protocol_error: Some(protocol_error),
        }
    }

    /// The device cannot be reached any more.
    #[must_use]
    pub fn unreachable(reason: CloseReason) -> Self {
        Self { reason, close_frame: None, protocol_error: None }
    }
}

impl From<&FrameError> for Ending {
    fn from(error: &FrameError) -> Self {
        Self {
            reason: CloseReason::with_error(Reason::ReadError, error),
            close_frame: Some(CloseFrame { code: Some(error.close_code()), text: error.to_string() }),
            protocol_error: Some(error.into()),
        }
    }
}
