//! The decoder of a client's frames.
//!
//! A read usually holds whole frames: those are unmasked where they lie, in the caller's buffer, and borrowed from it.
//! Only a frame that a read cut off, and the fragments of an unfinished message, are kept, and only as long as they are
//! needed: an idle [`Decoder`] owns no memory. Limits are checked on a frame's header, before anything is kept. No
//! memory is allocated for bytes that a header announces but that have not arrived.
//!
//! What a message means, and what is answered, is [`session`](crate::session)'s matter.

use std::fmt;
use std::num::NonZeroU8;
use std::ops::{Deref, Range};

use super::frame::{CloseCode, FrameError, HeaderFault, MAX_CONTROL_PAYLOAD, Opcode};
use super::mask::unmask;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest message, and so the longest frame, in payload bytes.
    pub max_message: usize,
}

/// The bytes of one read, and how far the decoder got in them.
#[derive(Debug)]
pub struct Input<'b> {
    bytes: &'b mut [u8],
    at: usize,
}

impl<'b> Input<'b> {
    /// Bytes as they came from the client; the decoder unmasks them in place.
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Input { bytes, at: 0 }
    }

    /// The bytes that the decoder has not taken yet.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn take(&mut self, count: usize) -> Range<usize> {
        let from = self.at;
        self.at += count;
        from..self.at
    }
}

/// Something whole that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A binary message, unmasked and put together.
    Binary(&'a [u8]),
    /// A text message of so many payload bytes, whose content is not kept.
    Text(usize),
    /// A ping with its payload, which the pong repeats.
    Ping(&'a [u8]),
    /// A pong with its payload.
    Pong(&'a [u8]),
    /// The client closes, perhaps with a code.
    Close(Option<CloseCode>),
}

/// Finds frames in a client's bytes, however they are cut. It cannot be used after a [`FrameError`].
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// The beginning of one frame, header and payload, as far as it came. The payload is unmasked as it comes, so that
    /// the end of a long frame does not cost more than its beginning.
    partial: Vec<u8>,
    /// The finished fragments of a binary message.
    message: Vec<u8>,
    /// The payload bytes of all fragments so far, of a text message too.
    gathered: usize,
    /// The kind of the message whose fragments are coming in.
    open: Option<Opcode>,
    /// `partial` holds a whole frame that has been used, whose payload begins at this byte, and is freed before the next
    /// item.
    partial_used: Option<NonZeroU8>,
    /// `message` holds a whole message that has been used, and is freed before the next item.
    message_used: bool,
}

/// The payload of a message that was put together in memory of the decoder, which no longer holds it.
#[derive(Debug)]
pub struct Payload {
    bytes: Vec<u8>,
    start: usize,
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl Payload {
    /// The memory that it takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Where an item's payload lies.
#[derive(Debug)]
enum Place {
    /// In the caller's buffer, or nowhere.
    Input(Range<usize>),
    /// In `partial`, from this byte on.
    Partial(usize),
    /// In `message`.
    Message,
}

/// A frame's header.
#[derive(Clone, Copy)]
struct Header {
    opcode: Opcode,
    fin: bool,
    mask: [u8; 4],
    /// Bytes of the header itself.
    length: usize,
    /// Bytes of the payload.
    payload: usize,
}

/// What is wrong with a header.
#[derive(Default)]
struct Faults {
    first: Option<HeaderFault>,
    /// All of them, comma separated.
    text: String,
}

impl Faults {
    fn add(&mut self, fault: HeaderFault, text: impl fmt::Display) {
        let comma = if self.first.is_some() { ", " } else { "" };
        self.text += &format!("{comma}{text}");
        self.first.get_or_insert(fault);
    }
}

impl Header {
    fn total(&self) -> usize {
        self.length + self.payload
    }
}

impl Decoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            partial: Vec::new(),
            message: Vec::new(),
            gathered: 0,
            open: None,
            partial_used: None,
            message_used: false,
        }
    }

    /// The bytes that are kept for frames and messages that are not whole yet.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.partial.capacity() + self.message.capacity()
    }

    /// Whether a frame or a message has begun that is not whole yet.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.open.is_some() || !self.partial.is_empty() && self.partial_used.is_none()
    }

    /// Frees what is kept. The decoder cannot be used any more.
    pub fn discard(&mut self) {
        (self.partial, self.message) = (Vec::new(), Vec::new());
    }

    /// The payload of the message that [`next`](Decoder::next) has just returned, without a copy. `None` if it lies in the
    /// caller's input, where it is at most as long as that.
    pub fn take_payload(&mut self) -> Option<Payload> {
        if std::mem::take(&mut self.message_used) {
            let bytes = std::mem::take(&mut self.message);
            self.release();
            return Some(Payload { bytes, start: 0 });
        }
        let start = usize::from(self.partial_used.take()?.get());
        Some(Payload { bytes: std::mem::take(&mut self.partial), start })
    }

    /// The next item, or `None` once `input` is used up; call it until then.
    ///
    /// # Errors
    /// If the client broke the protocol: close the connection with the error's code.
    pub fn next<'a>(&'a mut self, input: &'a mut Input<'_>) -> Result<Option<Item<'a>>, FrameError> {
        let (opcode, place) = loop {
            self.release();
            let Some((header, place)) = self.whole_frame(input)? else {
                return Ok(None);
            };
            if let Place::Input(range) = &place {
                unmask(&mut input.bytes[range.clone()], header.mask);
            }
            if header.opcode.is_control() {
                break (header.opcode, place);
            }
            if let Some(done) = self.gather(&header, place, input) {
                break done;
            }
        };
        // A control frame may come between fragments: their sum goes on.
        let gathered = if opcode.is_control() { 0 } else { std::mem::take(&mut self.gathered) };
        let payload = self.payload(&place, input);
        Ok(Some(match opcode {
            Opcode::Text => Item::Text(gathered),
            Opcode::Ping => Item::Ping(payload),
            Opcode::Pong => Item::Pong(payload),
            Opcode::Close => Item::Close(close_code(payload)?),
            Opcode::Binary | Opcode::Continuation => Item::Binary(payload),
        }))
    }

    /// Takes one whole frame out of `input`, or keeps what there is of it.
    fn whole_frame(&mut self, input: &mut Input<'_>) -> Result<Option<(Header, Place)>, FrameError> {
        if self.partial.is_empty()
            && let Some(header) = self.header(input.rest())?
            && header.total() <= input.rest().len()
        {
            let frame = input.take(header.total());
            return Ok(Some((header, Place::Input(frame.start + header.length..frame.end))));
        }
        loop {
            let header = self.header(&self.partial)?;
            // Until the header is there, one byte more at a time: it is at most fourteen bytes long.
            let wanted = header.map_or(self.partial.len() + 1, |header| header.total());
            let missing = wanted - self.partial.len();
            if let Some(header) = header
                && missing == 0
            {
                self.partial_used = u8::try_from(header.length).ok().and_then(NonZeroU8::new);
                return Ok(Some((header, Place::Partial(header.length))));
            }
            let got = missing.min(input.rest().len());
            if got == 0 {
                return Ok(None);
            }
            grow(&mut self.partial, got, wanted);
            let old = self.partial.len();
            let range = input.take(got);
            self.partial.extend_from_slice(&input.bytes[range]);
            if let Some(header) = header {
                let mut mask = header.mask;
                mask.rotate_left((old - header.length) % header.mask.len());
                unmask(&mut self.partial[old..], mask);
            }
        }
    }

    /// Reads the header at the start of `bytes`, and rejects it as soon as enough of it is there.
    fn header(&self, bytes: &[u8]) -> Result<Option<Header>, FrameError> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = self.check_start(*first, *second)?;
        let (length_bytes, payload) = match second & !MASKED {
            126 => match rest {
                [a, b, ..] => (2, u64::from(u16::from_be_bytes([*a, *b]))),
                _ => return Ok(None),
            },
            127 => match rest {
                [a, b, c, d, e, f, g, h, ..] => (8, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
                _ => return Ok(None),
            },
            short => (0, u64::from(short)),
        };
        let gathered = if opcode.is_control() { 0 } else { self.gathered };
        let room =
            self.limits.max_message.max(MAX_CONTROL_PAYLOAD * usize::from(opcode.is_control())) - gathered;
        let payload = usize::try_from(payload).ok().filter(|payload| *payload <= room);
        let Some(payload) = payload else {
            return Err(FrameError::TooBig { limit: self.limits.max_message });
        };
        let [a, b, c, d, ..] = rest[length_bytes..] else {
            return Ok(None);
        };
        Ok(Some(Header {
            opcode,
            fin: first & FIN != 0,
            mask: [a, b, c, d],
            length: 2 + length_bytes + 4,
            payload,
        }))
    }

    /// Checks a frame's first two bytes (RFC 6455 §5.2, §5.4, §5.5) and names all their faults.
    fn check_start(&self, first: u8, second: u8) -> Result<Opcode, FrameError> {
        let mut faults = Faults::default();
        for (bit, text) in [(0x40, "RSV1 set"), (0x20, "RSV2 set"), (0x10, "RSV3 set")] {
            if first & RESERVED & bit != 0 {
                faults.add(HeaderFault::ReservedBits, text);
            }
        }
        let opcode = Opcode::from_bits(first & 0x0f);
        match opcode {
            None => faults.add(HeaderFault::Opcode, format_args!("bad opcode {}", first & 0x0f)),
            Some(Opcode::Continuation) if self.open.is_none() => {
                faults.add(HeaderFault::Fragment, "continuation after FIN");
            }
            Some(Opcode::Text | Opcode::Binary) if self.open.is_some() => {
                faults.add(HeaderFault::Fragment, "data before FIN");
            }
            Some(opcode) if opcode.is_control() => {
                if usize::from(second & !MASKED) > MAX_CONTROL_PAYLOAD {
                    faults.add(HeaderFault::Control, "len > 125 for control");
                }
                if first & FIN == 0 {
                    faults.add(HeaderFault::Control, "FIN not set on control");
                }
            }
            Some(_) => {}
        }
        if second & MASKED == 0 {
            faults.add(HeaderFault::Unmasked, "bad MASK");
        }
        match (opcode, faults.first) {
            (Some(opcode), None) => Ok(opcode),
            (_, first) => {
                Err(FrameError::Header { first: first.unwrap_or(HeaderFault::Opcode), all: faults.text })
            }
        }
    }

    /// Adds a data frame to its message. `Some` when the message is whole: its kind, and where it lies.
    fn gather(&mut self, header: &Header, place: Place, input: &Input<'_>) -> Option<(Opcode, Place)> {
        let kind = self.open.unwrap_or(header.opcode);
        let is_first = self.open.is_none();
        self.gathered += header.payload;
        self.open = if header.fin { None } else { Some(kind) };
        if kind == Opcode::Text || (is_first && header.fin) {
            return header.fin.then_some((kind, place));
        }
        grow(&mut self.message, header.payload, self.limits.max_message);
        match &place {
            Place::Input(range) => self.message.extend_from_slice(&input.bytes[range.clone()]),
            Place::Partial(from) => self.message.extend_from_slice(&self.partial[*from..]),
            Place::Message => {}
        }
        self.message_used = header.fin;
        header.fin.then_some((kind, Place::Message))
    }

    /// Frees what the last item borrowed.
    fn release(&mut self) {
        if self.partial_used.take().is_some() {
            self.partial = Vec::new();
        }
        if std::mem::take(&mut self.message_used) {
            self.message = Vec::new();
        }
    }

    fn payload<'a>(&'a self, place: &Place, input: &'a Input<'_>) -> &'a [u8] {
        match place {
            Place::Input(range) => &input.bytes[range.clone()],
            Place::Partial(from) => &self.partial[*from..],
            Place::Message => &self.message,
        }
    }
}

/// The code of a close frame's payload (RFC 6455 §5.5.1).
fn close_code(payload: &[u8]) -> Result<Option<CloseCode>, FrameError> {
    let [high, low, reason @ ..] = payload else {
        return if payload.is_empty() { Ok(None) } else { Err(FrameError::ClosePayload) };
    };
    let code = CloseCode(u16::from_be_bytes([*high, *low]));
    if !code.is_sendable() {
        return Err(FrameError::CloseCode(code.0));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(FrameError::CloseReason),
    }
}

/// Makes room for `more` bytes. Doubles as a `Vec` does, but never beyond `ceiling`, which holds them.
fn grow(bytes: &mut Vec<u8>, more: usize, ceiling: usize) {
    let needed = bytes.len() + more;
    if needed > bytes.capacity() {
        let target = needed.max((2 * bytes.capacity()).min(ceiling));
        bytes.reserve_exact(target - bytes.len());
    }
}

#[cfg(test)]
mod tests;
