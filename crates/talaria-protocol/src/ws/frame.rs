//! Frames: opcodes, close codes, the errors of a client, and the writer of a server's frames.
//!
//! Reading a client's frames is [`decode`](super::decode)'s task.

/// The longest payload of a control frame in bytes (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// The longest header of a server's (unmasked) frame in bytes.
pub const MAX_HEADER: usize = 10;

const FIN: u8 = 0x80;

/// What a frame is for (RFC 6455 §5.2). Reserved opcodes have no value: a [`FrameError`] names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message that an earlier frame began.
    Continuation,
    /// A text message.
    Text,
    /// A binary message.
    Binary,
    /// The closing handshake.
    Close,
    /// A sign of life that requires an answer.
    Ping,
    /// The answer to a ping, or an unsolicited sign of life.
    Pong,
}

impl Opcode {
    /// The opcode of a header's low four bits, if RFC 6455 defines it.
    #[must_use]
    pub fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// The header's low four bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    /// Whether this is a control frame: short, never fragmented, allowed between a message's fragments.
    #[must_use]
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The status of a close frame (RFC 6455 §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server is shutting down, or this device belongs to another one.
    pub const GOING_AWAY: Self = Self(1001);
    /// The client broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The server does not accept this client.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message is over the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// The server cannot serve this client now.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// Whether a client may send this code.
    #[must_use]
    pub fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1013 | 3000..=4999)
    }
}

/// What can be wrong with a frame's header (RFC 6455 §5.2, §5.4, §5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// A reserved bit is set, although no extension was negotiated.
    ReservedBits,
    /// An opcode that has no meaning.
    Opcode,
    /// A continuation without a first fragment, or a new message before the end of the last one.
    Fragment,
    /// A control frame that is long or fragmented.
    Control,
    /// A client's frame without a mask.
    Unmasked,
}

/// A client broke the protocol. The texts are those of the close frame's reason (contract §2.11).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A header breaks RFC 6455 §5.2.
    #[error("{all}")]
    Header {
        /// Its first fault.
        first: HeaderFault,
        /// All its faults, comma separated.
        all: String,
    },
    /// A close frame with a code that may not be sent.
    #[error("bad close code {0}")]
    CloseCode(u16),
    /// A close frame with a single byte of payload: a code has two.
    #[error("bad close payload")]
    ClosePayload,
    /// A close frame whose reason is not UTF-8.
    #[error("invalid utf8 payload in close frame")]
    CloseReason,
    /// A frame, or a message of several frames, over its limit in bytes.
    #[error("message over {limit} bytes")]
    TooBig {
        /// The limit that the message is over.
        limit: usize,
    },
}

impl FrameError {
    /// The code that the server closes with.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::TooBig { .. } => CloseCode::TOO_BIG,
            Self::Header { .. } | Self::CloseCode(_) | Self::ClosePayload | Self::CloseReason => {
                CloseCode::PROTOCOL_ERROR
            }
        }
    }
}

/// Appends one whole, unmasked frame to `out`: header and payload in one buffer.
pub fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.reserve(MAX_HEADER + payload.len());
    out.push(FIN | opcode.bits());
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        medium @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Appends a close frame. Without a code its payload is empty; a `reason` that is too long is cut at a character's end.
pub fn write_close(out: &mut Vec<u8>, code: Option<CloseCode>, reason: &str) {
    let Some(code) = code else {
        return write_frame(out, Opcode::Close, &[]);
    };
    let mut end = reason.len().min(MAX_CONTROL_PAYLOAD - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = Vec::with_capacity(2 + end);
    payload.extend_from_slice(&code.0.to_be_bytes());
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    write_frame(out, Opcode::Close, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_s_length_is_written_in_the_shortest_way() {
        for (length, header) in [
            (0_usize, vec![0x82, 0]),
            (125, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (65_535, vec![0x82, 126, 0xff, 0xff]),
            (65_536, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            write_frame(&mut out, Opcode::Binary, &vec![7; length]);
            assert_eq!(out[..header.len()], header, "length {length}");
            assert_eq!(out.len(), header.len() + length);
        }
    }

    #[test]
    fn a_close_reason_is_cut_at_a_character_s_end() {
        let mut out = Vec::new();
        write_close(&mut out, Some(CloseCode::GOING_AWAY), &"ü".repeat(100));
        assert_eq!(out[..4], [0x88, 124, 0x03, 0xe9]);
        assert_eq!(std::str::from_utf8(&out[4..]).unwrap(), "ü".repeat(61));
    }

    #[test]
    fn a_close_without_a_code_is_empty() {
        let mut out = Vec::new();
        write_close(&mut out, None, "not sent");
        assert_eq!(out, [0x88, 0]);
    }
}
