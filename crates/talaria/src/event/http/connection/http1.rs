//! One HTTP/1.1 connection to a receiver, driven by the task that waits for the answer.
//!
//! Head and body of a request leave in one write, and the answer is read into a [buffer of the thread](crate::thread_buffer), so
//! that a connection owns nothing but its socket. `talaria_protocol::receiver_answer` reads the answer. While a request is
//! written, the answer is read already: a receiver may refuse an event before it has read all of it. The
//! connection is closed then.
//!
//! Deliberately absent: time limits, and what is written (`request_head.rs`). Start reading at [`Http1::exchange`]; several requests
//! at a time are a [`Pipeline`].

mod pipeline;
mod writing;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use smallvec::SmallVec;
use talaria_protocol::receiver_answer::{AnswerHead, AnswerReader, Connection, Method, Progress};
use tokio::io::{AsyncRead as _, ReadBuf};

pub(in crate::event) use self::pipeline::{Pipeline, PipelineEnd};
use self::writing::Writing;
use super::exchange_error::{ExchangeError, is_closed_by_peer};
use crate::event::http::dial::Stream;
use crate::event::http::post_error::PostError;
use crate::thread_buffer::ReadBuffer;

/// The parts of requests one after the other. Those of one request take no memory from the heap.
type Parts<'a> = SmallVec<[&'a [u8]; 3]>;

/// A connection that carries one request at a time, or several in one packet.
pub(in crate::event) struct Http1 {
    stream: Box<dyn Stream>,
    life: Life,
}

/// What a connection can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::event) enum Life {
    /// A request. Nothing was sent on it yet.
    New,
    /// A request. It was idle, so that the receiver may have closed it.
    Kept,
    /// The same, or several requests: the receiver has answered one by HTTP/1.1.
    Proven,
    /// Nothing. So it is while requests are under way.
    Closed,
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

impl Http1 {
    /// Starts HTTP on a byte stream. Nothing is sent yet.
    pub(super) fn open(stream: Box<dyn Stream>) -> Self {
        Self { stream, life: Life::New }
    }

    /// Sends a request and reads the whole answer. Returns the head of the answer.
    ///
    /// If the future is dropped, the connection cannot be used any more.
    pub(in crate::event) async fn exchange(
        &mut self,
        request: &Written<'_>,
    ) -> Result<AnswerHead, ExchangeError> {
        let is_reused = self.begin() != Life::New;
        let mut writing = Writing::new(request.parts.into());
        let mut reader = AnswerReader::new(request.method);
        let stream = &mut *self.stream;
        let answer = poll_fn(|cx| {
            writing.poll(stream, cx);
            match poll_answer(stream, &mut reader, cx) {
                Poll::Ready(Ok(answer)) => Poll::Ready(Ok(answer)),
                Poll::Ready(Err(error)) => Poll::Ready(Err(writing.error().map_or(error, PostError::Broken))),
                Poll::Pending => {
                    writing.error().map_or(Poll::Pending, |error| Poll::Ready(Err(PostError::Broken(error))))
                }
            }
        });
        match answer.await {
            Ok((head, connection)) => {
                if writing.is_finished() {
                    self.life = Life::after(connection);
                }
                Ok(head)
            }
            Err(error) if !is_reused || !is_closed_by_peer(&error) => Err(ExchangeError::Failed(error)),
            Err(error) if writing.written() == 0 => Err(ExchangeError::NotSent(error)),
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
        if self.life == Life::New {
            self.life = Life::Kept;
        }
        self.poll_idle(&mut Context::from_waker(waker))
    }

    /// Whether several requests may be sent on it at a time.
    pub(in crate::event) fn is_proven(&self) -> bool {
        self.life == Life::Proven
    }

    /// A request begins. Returns what the connection was.
    const fn begin(&mut self) -> Life {
        std::mem::replace(&mut self.life, Life::Closed)
    }

    /// Nothing is expected to arrive on an idle connection. If something does, it is its end, or the receiver does not keep to
    /// HTTP.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> bool {
        if self.life != Life::Closed {
            let mut byte = [0];
            if Pin::new(&mut *self.stream).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_ready() {
                self.life = Life::Closed;
            }
        }
        self.life != Life::Closed
    }
}

impl Life {
    const fn after(connection: Connection) -> Self {
        match connection {
            Connection::Kept => Self::Proven,
            Connection::KeptForOne => Self::Kept,
            Connection::Closed => Self::Closed,
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
