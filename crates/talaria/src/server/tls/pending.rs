//! Bytes on their way into or out of a TLS session.

use std::io;

use rustls::unbuffered::{EncodeError, EncryptError};
use tokio::io::ReadBuf;

use crate::thread_buffer::WriteBuffer;

/// Bytes that are taken piece by piece and freed with the last one.
#[derive(Debug, Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    taken: usize,
}

/// Why rustls could not write into a buffer.
#[derive(Debug)]
pub(super) enum AppendError {
    /// The buffer needs to have this size.
    TooSmall(usize),
    /// It would not fit any buffer.
    Failed(io::Error),
}

impl Pending {
    /// No bytes yet, in a borrowed buffer.
    pub(super) fn over(buffer: &mut WriteBuffer) -> Self {
        Self { bytes: std::mem::take(&mut **buffer), taken: 0 }
    }

    /// Gives the borrowed buffer back and keeps what is left in memory of its own.
    pub(super) fn give_back(&mut self, buffer: &mut WriteBuffer) {
        let rest = Self { bytes: self.rest().to_vec(), taken: 0 };
        **buffer = std::mem::replace(self, rest).bytes;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub(super) fn take(&mut self, count: usize) {
        self.taken += count;
    }

    /// Frees the memory if no bytes are left.
    pub(super) fn release(&mut self) {
        if self.rest().is_empty() {
            *self = Self::default();
        }
    }

    /// Appends what `write` writes into this much room, or into as much as it then asks for.
    pub(super) fn append(
        &mut self,
        mut room: usize,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, AppendError>,
    ) -> io::Result<()> {
        let start = self.bytes.len();
        loop {
            self.bytes.resize(start + room, 0);
            match write(&mut self.bytes[start..]) {
                Ok(length) => {
                    self.bytes.truncate(start + length);
                    return Ok(());
                }
                Err(AppendError::TooSmall(needed)) if needed > room => room = needed,
                Err(error) => {
                    self.bytes.truncate(start);
                    return Err(error.into());
                }
            }
        }
    }

    /// Copies `bytes` to `out` and keeps those that have no room there, behind the bytes kept before.
    pub(super) fn deliver(&mut self, out: &mut ReadBuf<'_>, bytes: &[u8]) {
        let fits = if self.rest().is_empty() { bytes.len().min(out.remaining()) } else { 0 };
        out.put_slice(&bytes[..fits]);
        self.bytes.extend_from_slice(&bytes[fits..]);
    }

    /// Moves the bytes kept before to `out`.
    pub(super) fn move_to(&mut self, out: &mut ReadBuf<'_>) {
        let count = self.rest().len().min(out.remaining());
        out.put_slice(&self.rest()[..count]);
        self.take(count);
        self.release();
    }
}

impl From<EncodeError> for AppendError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(error) => Self::TooSmall(error.required_size),
            error @ EncodeError::AlreadyEncoded => Self::Failed(io::Error::other(error)),
        }
    }
}

impl From<EncryptError> for AppendError {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(error) => Self::TooSmall(error.required_size),
            error @ EncryptError::EncryptExhausted => Self::Failed(io::Error::other(error)),
        }
    }
}

impl From<AppendError> for io::Error {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::TooSmall(needed) => Self::other(format!("{needed} bytes of room are not enough")),
            AppendError::Failed(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_kept_in_order_and_freed_with_its_last_byte() {
        let mut pending = Pending::default();
        let mut space = [0; 4];
        let mut out = ReadBuf::new(&mut space);
        pending.deliver(&mut out, b"abcdef");
        pending.deliver(&mut out, b"gh");
        assert_eq!((out.filled(), pending.rest()), (&b"abcd"[..], &b"efgh"[..]));
        let mut out = ReadBuf::new(&mut space);
        pending.move_to(&mut out);
        assert_eq!(out.filled(), b"efgh");
        assert_eq!(pending.bytes.capacity(), 0);
    }

    #[test]
    fn a_buffer_grows_to_what_is_asked_for_once() {
        let mut pending = Pending::default();
        let write = |buffer: &mut [u8]| {
            buffer.get_mut(..3).ok_or(AppendError::TooSmall(3))?.copy_from_slice(b"abc");
            Ok(3)
        };
        pending.append(1, write).unwrap();
        assert_eq!(pending.rest(), b"abc");
        assert!(pending.append(1, |_| Err(AppendError::TooSmall(1))).is_err());
        assert_eq!(pending.rest(), b"abc");
    }
}
