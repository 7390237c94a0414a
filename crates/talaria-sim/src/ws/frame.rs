//! Frames (RFC 6455 §5): encoding those of a client, which are masked, and decoding those of a server, which are not.

/// The longest message that is accepted from a server, in bytes. Gateways send much shorter ones.
const LONGEST: usize = 16 * 1024 * 1024;

/// The longest header of a client's frame: two bytes, a 64-bit length and the mask.
const HEADER: usize = 14;

/// The type of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// UTF-8 text, which devices ignore: WRP uses binary frames.
    Text,
    /// A WRP message.
    Binary,
    /// The end of the connection.
    Close,
    /// A request for a pong with the same payload.
    Ping,
    /// The response to a ping.
    Pong,
}

impl Opcode {
    const fn bits(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }
}

/// A complete message or control frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The type.
    pub opcode: Opcode,
    /// The payload, with the fragments of a message joined.
    pub payload: &'a [u8],
}

/// How a server violated RFC 6455 or the limits of a simulated device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// RFC 6455 §5.1: a server must not mask.
    #[error("the server masked a frame")]
    Masked,
    /// RFC 6455 §5.2: no extension was agreed on.
    #[error("the server set a reserved bit")]
    Reserved,
    /// RFC 6455 §5.2.
    #[error("the server used opcode {0}, which is not defined")]
    Opcode(u8),
    /// RFC 6455 §5.5: control frames are not fragmented and have at most 125 bytes.
    #[error("the server sent a control frame that is split or longer than 125 bytes")]
    Control,
    /// RFC 6455 §5.4.
    #[error("the server sent a fragment out of order")]
    Fragment,
    /// The message is longer than the limit of this client.
    #[error("the server sent a message of more than {LONGEST} bytes")]
    TooLong,
}

/// Appends a masked frame to `out`; `write` appends its payload. The header is written afterwards, into space that was left in
/// front of the payload, so that the payload is not moved.
///
/// Returns the offset of the frame in `out`: up to eight bytes of that space are unused.
pub fn encode(out: &mut Vec<u8>, opcode: Opcode, mask: [u8; 4], write: impl FnOnce(&mut Vec<u8>)) -> usize {
    let room = out.len();
    out.resize(room + HEADER, 0);
    write(out);
    let payload = room + HEADER;
    let len = out.len() - payload;

    let mut header = [0u8; HEADER];
    header[0] = 0x80 | opcode.bits();
    let used = match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..=125), _) => {
            header[1] = 0x80 | short;
            2
        }
        (_, Ok(medium)) => {
            header[1] = 0x80 | 126;
            header[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            header[1] = 0x80 | 127;
            header[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    };
    header[used..used + 4].copy_from_slice(&mask);
    let begin = payload - used - 4;
    out[begin..payload].copy_from_slice(&header[..used + 4]);
    apply_mask(&mut out[payload..], mask);
    begin
}

/// Decodes the frames in a server's bytes, which may be split anywhere. It allocates only for incomplete frames and messages.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The start of a frame whose rest has not arrived.
    torn: Vec<u8>,
    /// The fragments of a message whose last one has not arrived.
    message: Option<(Opcode, Vec<u8>)>,
}

impl Decoder {
    /// Decodes the bytes of one read, and calls `on_frame` with each message and control frame that is complete.
    ///
    /// # Errors
    /// If the server violated the protocol. The connection cannot be used any more.
    pub fn feed(&mut self, bytes: &[u8], mut on_frame: impl FnMut(Frame<'_>)) -> Result<(), FrameError> {
        if self.torn.is_empty() {
            let used = self.take_frames(bytes, &mut on_frame)?;
            self.torn.extend_from_slice(&bytes[used..]);
        } else {
            let mut all = std::mem::take(&mut self.torn);
            all.extend_from_slice(bytes);
            let used = self.take_frames(&all, &mut on_frame)?;
            if used < all.len() {
                all.drain(..used);
                self.torn = all;
            }
        }
        Ok(())
    }

    fn take_frames(
        &mut self,
        bytes: &[u8],
        on_frame: &mut impl FnMut(Frame<'_>),
    ) -> Result<usize, FrameError> {
        let mut used = 0;
        while let Some(raw) = Raw::parse(&bytes[used..])? {
            used += raw.size;
            self.take(&raw, on_frame)?;
        }
        Ok(used)
    }

    fn take(&mut self, raw: &Raw<'_>, on_frame: &mut impl FnMut(Frame<'_>)) -> Result<(), FrameError> {
        let payload = raw.payload;
        match (raw.opcode, raw.last, self.message.is_some()) {
            (Some(opcode @ (Opcode::Text | Opcode::Binary)), true, false) => {
                on_frame(Frame { opcode, payload });
            }
            (Some(opcode @ (Opcode::Text | Opcode::Binary)), false, false) => {
                self.message = Some((opcode, payload.to_vec()));
            }
            (Some(Opcode::Text | Opcode::Binary), _, true) => return Err(FrameError::Fragment),
            (Some(opcode), ..) => on_frame(Frame { opcode, payload }),
            (None, last, _) => {
                let Some((opcode, mut message)) = self.message.take() else {
                    return Err(FrameError::Fragment);
                };
                if message.len() + payload.len() > LONGEST {
                    return Err(FrameError::TooLong);
                }
                message.extend_from_slice(payload);
                if last {
                    on_frame(Frame { opcode, payload: &message });
                } else {
                    self.message = Some((opcode, message));
                }
            }
        }
        Ok(())
    }
}

/// A frame on the wire.
struct Raw<'a> {
    /// `None` for a continuation frame.
    opcode: Option<Opcode>,
    last: bool,
    payload: &'a [u8],
    /// The length of header and payload.
    size: usize,
}

impl<'a> Raw<'a> {
    /// The frame at the start of `bytes`; `None` if it is incomplete.
    fn parse(bytes: &'a [u8]) -> Result<Option<Self>, FrameError> {
        let &[first, second, ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(FrameError::Reserved);
        }
        if second & 0x80 != 0 {
            return Err(FrameError::Masked);
        }
        let last = first & 0x80 != 0;
        let opcode = match first & 0x0f {
            0 => None,
            1 => Some(Opcode::Text),
            2 => Some(Opcode::Binary),
            8 => Some(Opcode::Close),
            9 => Some(Opcode::Ping),
            10 => Some(Opcode::Pong),
            other => return Err(FrameError::Opcode(other)),
        };
        if first & 0x08 != 0 && (!last || second > 125) {
            return Err(FrameError::Control);
        }
        let (header, len) = match (second, bytes) {
            (126, [_, _, a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
            (127, [_, _, a, b, c, d, e, f, g, h, ..]) => {
                (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
            }
            (126 | 127, _) => return Ok(None),
            (short, _) => (2, u64::from(short)),
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > LONGEST {
            return Err(FrameError::TooLong);
        }
        let size = header + len;
        Ok(bytes.get(header..size).map(|payload| Self { opcode, last, payload, size }))
    }
}

/// XORs `bytes` with the mask (RFC 6455 §5.3), eight bytes at a time.
fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(word) = <[u8; 8]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u64::from_ne_bytes(word) ^ wide).to_ne_bytes());
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A server's frame, which has no mask.
    fn from_server(opcode: u8, last: bool, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![u8::from(last) << 7 | opcode];
        match payload.len() {
            short @ 0..=125 => out.push(short as u8),
            medium @ 126..=65535 => {
                out.push(126);
                out.extend((medium as u16).to_be_bytes());
            }
            long => {
                out.push(127);
                out.extend((long as u64).to_be_bytes());
            }
        }
        out.extend(payload);
        out
    }

    fn feed_all(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<(Opcode, Vec<u8>)>, FrameError> {
        let mut frames = vec![];
        decoder.feed(bytes, |frame| frames.push((frame.opcode, frame.payload.to_vec())))?;
        Ok(frames)
    }

    proptest! {
        #[test]
        fn an_encoded_frame_unmasks_to_its_payload(
            len in prop_oneof![0usize..300, 65_530usize..65_545],
            seed: u8,
            mask: [u8; 4],
        ) {
            let payload: Vec<u8> = (0..len).map(|n| n as u8 ^ seed).collect();
            let mut out = b"before".to_vec();
            let begin = encode(&mut out, Opcode::Binary, mask, |out| out.extend_from_slice(&payload));
            prop_assert!(out.starts_with(b"before") && begin >= 6);
            let frame = &mut out[begin..];
            prop_assert_eq!(frame[0], 0x82);
            prop_assert_eq!(frame[1] & 0x80, 0x80);
            let header = match frame[1] & 0x7f { 126 => 8, 127 => 14, _ => 6 };
            prop_assert_eq!(&frame[header - 4..header], &mask);
            apply_mask(&mut frame[header..], mask);
            prop_assert_eq!(&frame[header..], &payload[..]);
        }

        #[test]
        fn frames_are_decoded_wherever_they_are_split(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
            cuts in prop::collection::vec(1usize..400, 1..30),
        ) {
            let wire: Vec<u8> = payloads.iter().flat_map(|payload| from_server(2, true, payload)).collect();
            let mut decoder = Decoder::default();
            let (mut rest, mut found, mut cuts) = (&wire[..], vec![], cuts.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                found.extend(feed_all(&mut decoder, now).unwrap());
                rest = later;
            }
            let sent: Vec<_> = payloads.into_iter().map(|payload| (Opcode::Binary, payload)).collect();
            prop_assert_eq!(found, sent);
            prop_assert!(decoder.torn.is_empty());
        }

        #[test]
        fn any_bytes_never_panic(reads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8)) {
            let mut decoder = Decoder::default();
            for read in reads {
                if decoder.feed(&read, |_| ()).is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn fragments_are_joined_around_a_ping() {
        let wire =
            [from_server(2, false, b"one "), from_server(9, true, b"?"), from_server(0, true, b"message")]
                .concat();
        let frames = feed_all(&mut Decoder::default(), &wire).unwrap();
        assert_eq!(frames, [(Opcode::Ping, b"?".to_vec()), (Opcode::Binary, b"one message".to_vec())]);
    }

    #[test]
    fn frames_that_a_server_must_not_send_are_errors() {
        for (wire, error) in [
            (vec![0x82, 0x80, 0, 0, 0, 0], FrameError::Masked),
            (vec![0xC2, 0], FrameError::Reserved),
            (vec![0x83, 0], FrameError::Opcode(3)),
            (vec![0x09, 0], FrameError::Control),
            (vec![0x89, 126, 0, 200], FrameError::Control),
            (vec![0x80, 0], FrameError::Fragment),
            ([from_server(2, false, b"a"), from_server(2, true, b"b")].concat(), FrameError::Fragment),
            (vec![0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255], FrameError::TooLong),
        ] {
            assert_eq!(feed_all(&mut Decoder::default(), &wire), Err(error), "{wire:02x?}");
        }
    }
}
