//! The body of an answer, which is read to its end and dropped.

/// The longest body that is read, in bytes, with the framing of its chunks.
pub const MAX_BODY: usize = 256 * 1024;

/// A size of more hexadecimal digits is beyond every limit.
const MAX_DIGITS: u8 = 8;

/// What is left of a body.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// So many bytes.
    Length(usize),
    Chunked {
        state: Chunk,
        /// How many bytes were read, with all framing.
        read: usize,
    },
    /// It is longer than what is read, or ends with the connection.
    Unread,
}

/// Where in a chunked body the next byte is (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug)]
pub(super) enum Chunk {
    Size {
        size: usize,
        digits: u8,
    },
    /// Behind the size, up to the end of the line.
    Extension {
        size: usize,
    },
    /// `\n` behind the line of the size.
    SizeEnd {
        size: usize,
    },
    Data {
        left: usize,
    },
    /// `\r` behind the data.
    DataEnd,
    /// `\n` behind the data.
    DataLineEnd,
    /// A line of the trailer, or the empty one behind it.
    Trailer(Line),
    /// `\n` behind a line of the trailer.
    TrailerEnd(Line),
}

/// Whether a line has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Empty,
    Begun,
}

/// How far a body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Incomplete,
    Complete,
    /// Where it ends is not known.
    Unusable,
}

enum Next {
    Goes(Chunk),
    Complete,
    Unusable,
}

impl Body {
    pub(super) const fn chunked() -> Self {
        Self::Chunked { state: Chunk::START, read: 0 }
    }

    /// Reads on. Returns how many of the bytes belong to it, too.
    pub(super) fn read(&mut self, bytes: &[u8]) -> (Read, usize) {
        match self {
            Self::Unread => (Read::Unusable, bytes.len()),
            Self::Length(left) => {
                let used = bytes.len().min(*left);
                *left -= used;
                (if *left == 0 { Read::Complete } else { Read::Incomplete }, used)
            }
            Self::Chunked { state, read } => {
                let within = &bytes[..bytes.len().min(MAX_BODY - *read)];
                let (found, used) = state.read(within);
                *read += used;
                if found == Read::Incomplete && *read == MAX_BODY {
                    return (Read::Unusable, used);
                }
                (found, used)
            }
        }
    }
}

impl Chunk {
    const START: Self = Self::Size { size: 0, digits: 0 };

    fn read(&mut self, bytes: &[u8]) -> (Read, usize) {
        let mut used = 0;
        while let Some(byte) = bytes.get(used) {
            if let Self::Data { left } = self {
                let skipped = (bytes.len() - used).min(*left);
                used += skipped;
                *left -= skipped;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                continue;
            }
            used += 1;
            match self.next(*byte) {
                Next::Goes(next) => *self = next,
                Next::Complete => return (Read::Complete, used),
                Next::Unusable => return (Read::Unusable, used),
            }
        }
        (Read::Incomplete, used)
    }

    const fn next(self, byte: u8) -> Next {
        Next::Goes(match (self, byte) {
            (Self::Size { size, digits: 1.. } | Self::Extension { size }, b'\r') => Self::SizeEnd { size },
            (Self::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => Self::Extension { size },
            (Self::Size { size, digits }, _) => match (byte as char).to_digit(16) {
                Some(digit) if digits < MAX_DIGITS => {
                    Self::Size { size: size << 4 | digit as usize, digits: digits + 1 }
                }
                _ => return Next::Unusable,
            },
            // It would end the line for some readers.
            (Self::Extension { .. } | Self::Trailer(_), b'\n') => return Next::Unusable,
            (Self::Extension { size }, _) => Self::Extension { size },
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Trailer(Line::Empty),
            (Self::SizeEnd { size }, b'\n') => Self::Data { left: size },
            (Self::DataEnd, b'\r') => Self::DataLineEnd,
            (Self::DataLineEnd, b'\n') => Self::START,
            (Self::Trailer(line), b'\r') => Self::TrailerEnd(line),
            (Self::Trailer(_), _) => Self::Trailer(Line::Begun),
            (Self::TrailerEnd(Line::Empty), b'\n') => return Next::Complete,
            (Self::TrailerEnd(Line::Begun), b'\n') => Self::Trailer(Line::Empty),
            _ => return Next::Unusable,
        })
    }
}
