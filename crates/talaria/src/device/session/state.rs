//! What a session is and how it ends: a state machine that knows neither sockets nor queues.

use crate::device::{CloseReason, ProtocolError, Reason};
use crate::ws::{CloseCode, Decoder, Input, Item, Limits, Violation};

/// What a client's bytes amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// All bytes are used up.
    NeedMore,
    /// A binary message: WRP, one hopes.
    Message(&'a [u8]),
    /// A text message of so many bytes, which carries nothing.
    Text(usize),
    /// The device wants a pong, and will get it with the next write.
    Ping,
    /// The device is alive.
    Pong,
    /// The session has ended; see [`Session::ending`].
    Ended,
}

/// The state of a session: what the device began to send, and what the session owes it.
#[derive(Debug)]
pub struct Session {
    decoder: Decoder,
    /// The ping to be answered: only the last, as RFC 6455 §5.5.3 allows, so that no flood of them can pile up.
    pub(super) pong: Option<Box<[u8]>>,
    /// Whether a ping of our own is due.
    pub(super) ping: bool,
    pub(super) ending: Option<Box<Ending>>,
}

/// How a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: CloseReason,
    /// The close frame that the device gets, if there is anybody to get it.
    pub farewell: Option<Farewell>,
    /// What the device did, if it is the one to blame.
    pub abuse: Option<ProtocolError>,
}

/// A close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Its code; none when the device gave none either.
    pub code: Option<CloseCode>,
    /// Its reason, for people.
    pub text: String,
}

impl Session {
    /// A session at its beginning.
    #[must_use]
    pub fn new(limits: Limits) -> Session {
        Session { decoder: Decoder::new(limits), pong: None, ping: false, ending: None }
    }

    /// The next thing in `input`; to be called until it says [`Step::NeedMore`] or [`Step::Ended`].
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
            Err(violation) => Ending::from(&violation),
        };
        self.ending = Some(Box::new(ending));
        Step::Ended
    }

    /// A ping of our own is due. Those that the device was too slow to take are not made up for.
    pub fn ping(&mut self) {
        self.ping = true;
    }

    /// Ends the session; of several endings the first one counts.
    pub fn end(&mut self, ending: Ending) {
        if self.ending.is_none() {
            self.ending = Some(Box::new(ending));
        }
    }

    /// How the session ends, once it does.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_deref()
    }

    /// The bytes kept for frames and messages that are not whole yet.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.decoder.kept()
    }
}

impl Ending {
    /// The gateway ends the session, for a reason of its own.
    #[must_use]
    pub fn by_gateway(reason: CloseReason) -> Ending {
        let farewell =
            Farewell { code: Some(reason.reason().close_code()), text: reason.reason().as_str().to_owned() };
        Ending { reason, farewell: Some(farewell), abuse: None }
    }

    /// The device closed. Whatever code it gave, that is a plain close (contract §14.17), and gets the same code back.
    #[must_use]
    pub fn by_device(code: Option<CloseCode>) -> Ending {
        Ending {
            reason: Reason::ReadError.into(),
            farewell: Some(Farewell { code, text: String::new() }),
            abuse: None,
        }
    }

    /// All devices' unfinished messages together are over their limit in bytes, and this device's has just grown.
    #[must_use]
    pub fn out_of_memory(limit: usize) -> Ending {
        let error = format!("unfinished messages over {limit} bytes");
        Ending {
            reason: CloseReason::with_error(Reason::ReadError, &error),
            farewell: Some(Farewell { code: Some(CloseCode::TRY_AGAIN_LATER), text: error }),
            abuse: Some(ProtocolError::NoRoom),
        }
    }

    /// Nobody is there any more to hear of it.
    #[must_use]
    pub fn unheard(reason: CloseReason) -> Ending {
        Ending { reason, farewell: None, abuse: None }
    }
}

impl From<&Violation> for Ending {
    fn from(violation: &Violation) -> Self {
        Ending {
            reason: CloseReason::with_error(Reason::ReadError, violation),
            farewell: Some(Farewell { code: Some(violation.close_code()), text: violation.to_string() }),
            abuse: Some(violation.into()),
        }
    }
}
