//! One HTTP/1.1 connection to a receiver, driven by the task that waits for the answer.
//!
//! Head and body of a request leave in one write, and the answer is read into a [buffer of the thread](crate::thread_buffer), so
//! that a connection owns nothing but its socket. `talaria_protocol::receiver_answer` reads the answer. While a request is
//! written, the answer is read already: a receiver may refuse an event before it has read all of it. The
//! connection is closed then.
//!
//! Deliberately absent: time limits, and what is written (`request_head.rs`). Start reading at [`Http1::exchange`].

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use talaria_protocol::receiver_answer::{AnswerHead, AnswerReader, Connection, Method, Progress};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::exchange_error::{ExchangeError, is_closed_by_peer};
use crate::event::http::dial::Stream;
use crate::event::http::post_error::PostError;
use crate::thread_buffer::ReadBuffer;

/// A connection that carries one request at a time.
pub(in crate::event) struct Http1 {
    stream: Box<dyn Stream>,
    /// Whether it cannot carry another request. So it is while a request is under way.
    is_closed: bool,
    /// Whether a request was sent on it before, or it was idle, so that the receiver may have closed it.
    is_used: bool,
}

/// A request as it is written.
pub(in crate::event) struct Written<'a> {
    /// The head, in the parts that it is made of, and the body.
    pub(in crate::event) parts: [&'a [u8]; 3],
    pub(in crate::event) method: Method,
}

/// How to find out whether the receiver has closed an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::event) enum Probe {
    /// By what tokio's reactor has noticed.
    Reactor,
    /// By asking the system, too.
    System,
}

/// How much of a request was written.
struct Writing<'a> {
    parts: [&'a [u8]; 3],
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

impl Http1 {
    /// Starts HTTP on a byte stream. Nothing is sent yet.
    pub(super) fn open(stream: Box<dyn Stream>) -> Self {
        Self { stream, is_closed: false, is_used: false }
    }

    /// Sends a request and reads the whole answer. Returns the head of the answer.
    ///
    /// If the future is dropped, the connection cannot be used any more.
    pub(in crate::event) async fn exchange(
        &mut self,
        request: &Written<'_>,
    ) -> Result<AnswerHead, ExchangeError> {
        let is_reused = std::mem::replace(&mut self.is_used, true);
        self.is_closed = true;
        let mut writing = Writing { parts: request.parts, written: 0, state: WriteState::Unfinished };
        let mut reader = AnswerReader::new(request.method);
        let stream = &mut *self.stream;
        let answer = poll_fn(|cx| {
            writing.poll(stream, cx);
            match poll_answer(stream, &mut reader, cx) {
                Poll::Ready(Ok(answer)) => Poll::Ready(Ok(answer)),
                Poll::Ready(Err(error)) => Poll::Ready(Err(writing.error().unwrap_or(error))),
                Poll::Pending => writing.error().map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
            }
        });
        match answer.await {
            Ok((head, connection)) => {
                let is_whole = matches!(writing.state, WriteState::Finished);
                self.is_closed = !is_whole || connection == Connection::Closed;
                Ok(head)
            }
            Err(error) if !is_reused || !is_closed_by_peer(&error) => Err(ExchangeError::Failed(error)),
            Err(error) if writing.written == 0 => Err(ExchangeError::NotSent(error)),
            Err(error) => Err(ExchangeError::Failed(PostError::KeptClosed(Box::new(error)))),
        }
    }

    /// Whether a request can be sent on it, as far as is known. The task that polled it before is not woken any more.
    pub(in crate::event) fn is_ready(&mut self, probe: Probe) -> bool {
        self.poll_idle(&mut Context::from_waker(Waker::noop()))
            && (probe == Probe::Reactor || !self.stream.has_input())
    }

    /// Whether another request can be sent on it, now that one has ended or before the first one. `waker` is woken when
    /// something arrives.
    pub(in crate::event) fn park(&mut self, waker: &Waker) -> bool {
        self.is_used = true;
        self.poll_idle(&mut Context::from_waker(waker))
    }

    /// Nothing is expected to arrive on an idle connection. If something does, it is its end, or the receiver does not keep to
    /// HTTP.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.is_closed {
            let mut byte = [0];
            self.is_closed =
                Pin::new(&mut *self.stream).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_ready();
        }
        !self.is_closed
    }
}

impl Writing<'_> {
    /// Writes on, as far as the stream takes it. An error is kept: the answer may have come before.
    fn poll(&mut self, stream: &mut dyn Stream, cx: &mut Context<'_>) {
        if let Poll::Ready(Err(error)) = self.poll_write(stream, cx) {
            self.state = WriteState::Failed(Some(error));
        }
    }

    fn poll_write(&mut self, mut stream: &mut dyn Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let WriteState::Unfinished = self.state {
            let mut slices = self.parts.map(IoSlice::new);
            let mut left = &mut slices[..];
            IoSlice::advance_slices(&mut left, self.written);
            match ready!(Pin::new(&mut stream).poll_write_vectored(cx, left))? {
                0 if !left.is_empty() => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
            if self.written == self.parts.iter().map(|part| part.len()).sum::<usize>() {
                self.state = WriteState::Unflushed;
            }
        }
        if let WriteState::Unflushed = self.state {
            ready!(Pin::new(&mut stream).poll_flush(cx))?;
            self.state = WriteState::Finished;
        }
        Poll::Ready(Ok(()))
    }

    /// Why the request could not be written.
    fn error(&mut self) -> Option<PostError> {
        match &mut self.state {
            WriteState::Failed(error) => error.take().map(PostError::Broken),
            WriteState::Unfinished | WriteState::Unflushed | WriteState::Finished => None,
        }
    }
}

fn poll_answer(
    mut stream: &mut dyn Stream,
    reader: &mut AnswerReader,
    cx: &mut Context<'_>,
) -> Poll<Result<(AnswerHead, Connection), PostError>> {
    let mut buffer = ReadBuffer::borrow();
    loop {
        let mut read = ReadBuf::new(&mut buffer);
        let ended = match ready!(Pin::new(&mut stream).poll_read(cx, &mut read)) {
            Ok(()) if read.filled().is_empty() => PostError::Closed,
            Ok(()) => match reader.read(read.filled())? {
                Progress::Incomplete => continue,
                Progress::Complete { head, used, connection } => {
                    // Bytes that belong to no answer.
                    let is_more = used < read.filled().len();
                    return Poll::Ready(Ok((head, if is_more { Connection::Closed } else { connection })));
                }
            },
            Err(error) => PostError::Broken(error),
        };
        // A body that was cut off is no loss.
        let head = reader.end().map(|head| (head, Connection::Closed));
        return Poll::Ready(head.ok_or(ended));
    }
}
