//! The WebSocket codec and the session's state machine: any bytes, cut anywhere.
//!
//! The input: how the stream is cut (one byte), the limit (one byte), the stream.

use talaria_protocol::session::{Session, Step};
use talaria_protocol::ws::frame::{self, CloseCode, FrameError, Opcode};
use talaria_protocol::ws::{Decoder, Input, Item, Limits};

use crate::cost::Cost;

static DECODE: Cost = Cost::measured("decode", 100);

const LIMITS: [usize; 4] = [100, 1000, 8000, 1 << 20];

/// A stream of up to so many bytes is also fed byte by byte.
const SHORT: usize = 400;

/// A stream is cut into so many pieces at most, but if it is short.
const MOST_PIECES: usize = 4096;

/// What a decoder keeps beside the payload: a frame's header.
const HEADER: usize = 14;

/// An [`Item`] that has outlived its buffer.
#[derive(Debug, PartialEq, Eq)]
enum Owned {
    Binary(Vec<u8>),
    Text(usize),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>),
}

/// What came of a stream.
type Decoded = (Vec<Owned>, Option<FrameError>);

/// One input.
pub fn run(data: &[u8]) {
    let [cut, limit, stream @ ..] = data else { return };
    let limits = Limits { max_message: LIMITS[usize::from(*limit) % LIMITS.len()] };
    let cut = (1 + usize::from(*cut)).max(stream.len() / MOST_PIECES);
    let whole = DECODE.hold(stream.len(), || decode(limits, stream, usize::MAX));
    // Byte by byte takes its time, and the interesting cuts are in headers.
    let pieces = [cut, 1];
    for piece in &pieces[..if stream.len() <= SHORT { 2 } else { 1 }] {
        assert_eq!(
            DECODE.hold(stream.len(), || decode(limits, stream, *piece)),
            whole,
            "cut into pieces of {piece}"
        );
    }
    session_agrees(limits, stream, cut, &whole);
    comes_back(stream, cut);
}

/// Decodes `stream`, which comes in pieces, and checks what is kept between them.
fn decode(limits: Limits, stream: &[u8], piece: usize) -> Decoded {
    let mut decoder = Decoder::new(limits);
    let mut items = Vec::new();
    let mut fed = 0;
    for piece in stream.chunks(piece.min(stream.len().max(1))) {
        let mut bytes = piece.to_vec();
        let mut input = Input::new(&mut bytes);
        loop {
            match decoder.next(&mut input) {
                Ok(Some(item)) => items.push(owned(&item, limits)),
                Ok(None) => break,
                Err(error) => return (items, Some(error)),
            }
        }
        fed += piece.len();
        let kept = decoder.kept();
        assert!(kept <= 2 * fed + HEADER, "{kept} bytes kept of {fed}: a claimed length was trusted");
        let most = 2 * (limits.max_message.max(frame::MAX_CONTROL_PAYLOAD) + HEADER);
        assert!(kept <= most, "{kept} bytes kept under a limit of {}", limits.max_message);
    }
    (items, None)
}

fn owned(item: &Item<'_>, limits: Limits) -> Owned {
    match item {
        Item::Binary(message) => {
            assert!(message.len() <= limits.max_message);
            Owned::Binary(message.to_vec())
        }
        Item::Text(length) => {
            assert!(*length <= limits.max_message);
            Owned::Text(*length)
        }
        Item::Ping(payload) => Owned::Ping(control(payload)),
        Item::Pong(payload) => Owned::Pong(control(payload)),
        Item::Close(code) => {
            assert!(code.is_none_or(CloseCode::is_sendable));
            Owned::Close(*code)
        }
    }
}

fn control(payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= frame::MAX_CONTROL_PAYLOAD);
    payload.to_vec()
}

/// A session tells of the same messages, up to its end; and nothing comes after the end.
fn session_agrees(limits: Limits, stream: &[u8], piece: usize, (items, error): &Decoded) {
    let mut session = Session::new(limits);
    let mut expected = items.iter();
    for piece in stream.chunks(piece) {
        let mut bytes = piece.to_vec();
        let mut input = Input::new(&mut bytes);
        loop {
            match session.next(&mut input) {
                Step::NeedMore => break,
                Step::Ended => return ends_as(session, expected.next(), error.as_ref()),
                Step::Message(message) => {
                    assert_eq!(expected.next(), Some(&Owned::Binary(message.to_vec())));
                }
                Step::Text(length) => assert_eq!(expected.next(), Some(&Owned::Text(length))),
                Step::Ping => assert!(matches!(expected.next(), Some(Owned::Ping(_)))),
                Step::Pong => assert!(matches!(expected.next(), Some(Owned::Pong(_)))),
            }
        }
    }
    assert_eq!(expected.next(), None);
    assert!(error.is_none() && session.ending().is_none());
}

fn ends_as(mut session: Session, last: Option<&Owned>, error: Option<&FrameError>) {
    let close_frame = session.ending().and_then(|ending| ending.close_frame.clone());
    let code = close_frame.expect("an ended session says why").code;
    match last {
        Some(Owned::Close(close)) => assert_eq!(code, *close, "a close is answered with its own code"),
        None => assert_eq!(code, error.map(FrameError::close_code)),
        Some(item) => panic!("the session ended at {item:?}"),
    }
    let mut ping = client_frame(Opcode::Ping, b"", true, [0; 4]);
    assert_eq!(session.next(&mut Input::new(&mut ping)), Step::Ended);
}

/// What is written as frames, whole or in two fragments, is read again; `data` is the payload.
fn comes_back(data: &[u8], seed: usize) {
    let limits = Limits { max_message: data.len() };
    let mask = [seed as u8, 0x5a, !seed as u8, 0];
    let (first, second) = data.split_at(seed.min(data.len()));
    let mut stream = client_frame(Opcode::Binary, data, true, mask);
    stream.extend(client_frame(Opcode::Binary, first, false, mask));
    let short = &data[..data.len().min(frame::MAX_CONTROL_PAYLOAD)];
    stream.extend(client_frame(Opcode::Ping, short, true, mask));
    stream.extend(client_frame(Opcode::Continuation, second, true, mask));
    stream.extend(client_frame(Opcode::Pong, short, true, mask));

    let (items, error) = decode(limits, &stream, 1 + seed);
    let whole = || Owned::Binary(data.to_vec());
    assert_eq!(items, [whole(), Owned::Ping(short.to_vec()), whole(), Owned::Pong(short.to_vec())]);
    assert_eq!(error, None);

    let mut close = Vec::new();
    frame::write_close(&mut close, Some(CloseCode::GOING_AWAY), &String::from_utf8_lossy(data));
    let (items, error) = decode(limits, &as_client(close, mask), usize::MAX);
    assert_eq!((items, error), (vec![Owned::Close(Some(CloseCode::GOING_AWAY))], None));
}

/// A client's frame, masked.
fn client_frame(opcode: Opcode, payload: &[u8], fin: bool, mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write_frame(&mut bytes, opcode, payload);
    if !fin {
        bytes[0] &= 0x7f;
    }
    as_client(bytes, mask)
}

/// Makes a server's frame a client's: sets the mask bit, puts the key in, and masks the payload.
fn as_client(mut bytes: Vec<u8>, mask: [u8; 4]) -> Vec<u8> {
    let header = match bytes[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    bytes[1] |= 0x80;
    for (byte, key) in bytes[header..].iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    bytes.splice(header..header, mask);
    bytes
}
