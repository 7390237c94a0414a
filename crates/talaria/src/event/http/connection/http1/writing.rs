//! Requests on their way to the receiver.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use smallvec::SmallVec;
use tokio::io::AsyncWrite as _;

use super::Parts;
use crate::event::http::dial::Stream;

/// The parts of so many requests are passed to the system without memory from the heap.
const USUAL_PARTS: usize = 3 * 8;

/// How much of one or several requests was written. They leave in one write, if the stream takes them whole.
pub(super) struct Writing<'a> {
    parts: Parts<'a>,
    length: usize,
    written: usize,
    state: WriteState,
}

enum WriteState {
    Unfinished,
    /// What was written may wait in the stream.
    Unflushed,
    Finished,
    Failed(Option<io::Error>),
}

impl<'a> Writing<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Self {
        let length = parts.iter().map(|part| part.len()).sum();
        Self { parts, length, written: 0, state: WriteState::Unfinished }
    }

    /// How many bytes were written.
    pub(super) const fn written(&self) -> usize {
        self.written
    }

    pub(super) const fn is_finished(&self) -> bool {
        matches!(self.state, WriteState::Finished)
    }

    /// Writes on, as far as the stream takes it. An error is kept: an answer may have come before.
    pub(super) fn poll(&mut self, stream: &mut dyn Stream, cx: &mut Context<'_>) {
        if let Poll::Ready(Err(error)) = self.poll_write(stream, cx) {
            self.state = WriteState::Failed(Some(error));
        }
    }

    /// Why not all could be written.
    pub(super) fn error(&mut self) -> Option<io::Error> {
        match &mut self.state {
            WriteState::Failed(error) => error.take(),
            WriteState::Unfinished | WriteState::Unflushed | WriteState::Finished => None,
        }
    }

    fn poll_write(&mut self, mut stream: &mut dyn Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let WriteState::Unfinished = self.state {
            let mut slices: SmallVec<[IoSlice<'_>; USUAL_PARTS]> =
                self.parts.iter().map(|part| IoSlice::new(part)).collect();
            let mut left = &mut slices[..];
            IoSlice::advance_slices(&mut left, self.written);
            match ready!(Pin::new(&mut stream).poll_write_vectored(cx, left))? {
                0 if !left.is_empty() => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
            if self.written == self.length {
                self.state = WriteState::Unflushed;
            }
        }
        if let WriteState::Unflushed = self.state {
            ready!(Pin::new(&mut stream).poll_flush(cx))?;
            self.state = WriteState::Finished;
        }
        Poll::Ready(Ok(()))
    }
}
