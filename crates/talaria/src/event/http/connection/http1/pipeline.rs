//! Several requests on one connection, sent together, whose answers come one after the other (RFC 9112 §9.3.2).
//!
//! By HTTP/1.1 an answer does not say which request it belongs to: only the order does. A receiver that does not keep to it
//! is found by what it sends too much, too early or wrongly. Two answers that have changed places are not found.
//!
//! Deliberately absent: time limits, and what a receiver gets after a fault (`pipelining.rs`). Start reading at
//! [`Pipeline::answers`].

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use talaria_protocol::receiver_answer::{
    AnswerError, AnswerHead, AnswerReader, Connection, Method, Progress,
};
use tokio::io::ReadBuf;

use super::super::exchange_error::is_closed_by_peer;
use super::writing::Writing;
use super::{Http1, Life, Parts};
use crate::event::http::pipelining::PipelineFault;
use crate::event::http::post_error::PostError;
use crate::thread_buffer::ReadBuffer;

/// Requests that are under way on a connection. When it is dropped, the connection is closed.
pub(in crate::event) struct Pipeline<'a> {
    connection: Http1,
    writing: Writing<'a>,
    reader: AnswerReader,
    /// Where each request ends in what is written.
    ends: Vec<usize>,
    /// How many of them are answered.
    answered: usize,
    end: Option<PipelineEnd>,
}

/// Why no further answer comes.
#[derive(Clone, Copy, Debug)]
pub(in crate::event) enum PipelineEnd {
    /// All requests are answered, and the connection is in this state.
    Complete(Life),
    /// The receiver has answered a request before it was written, which counts. Nothing more can be sent to it.
    Early,
    /// The receiver has closed the connection, or has said that it will.
    Closed,
    /// The connection is broken.
    Broken(io::ErrorKind),
    NotHttp(AnswerError),
    /// More answers came than there were requests.
    Unexpected,
}

impl<'a> Pipeline<'a> {
    /// `requests` have three parts each.
    pub(in crate::event) fn new(
        mut connection: Http1,
        requests: impl ExactSizeIterator<Item = [&'a [u8]; 3]>,
        method: Method,
    ) -> Self {
        connection.begin();
        let mut ends = Vec::with_capacity(requests.len());
        let mut parts = Parts::with_capacity(3 * requests.len());
        let mut end = 0;
        for request in requests {
            end += request.iter().map(|part| part.len()).sum::<usize>();
            ends.push(end);
            parts.extend(request);
        }
        Self {
            connection,
            writing: Writing::new(parts),
            reader: AnswerReader::new(method),
            ends,
            answered: 0,
            end: None,
        }
    }

    /// Writes on and waits for answers. Those that have come are added to `answers`, at least one.
    ///
    /// It may be dropped and called again.
    ///
    /// # Errors
    /// Why there are no more.
    pub(in crate::event) async fn answers(
        &mut self,
        answers: &mut Vec<AnswerHead>,
    ) -> Result<(), PipelineEnd> {
        poll_fn(|cx| self.poll_answers(answers, cx)).await
    }

    /// Whether nothing was written of a request, so that it can be sent again as if it had never been.
    pub(in crate::event) fn is_unsent(&self, request: usize) -> bool {
        self.writing.written() <= self.start(request)
    }

    /// What the receiver has done wrong, if it was sent several requests.
    pub(in crate::event) fn fault(&self) -> Option<PipelineFault> {
        let has_several = self.ends.len() > 1 && self.writing.written() > 0;
        match self.end.filter(|_| has_several)? {
            PipelineEnd::Complete(_) | PipelineEnd::Early => None,
            // It has answered what it was sent.
            PipelineEnd::Closed | PipelineEnd::Broken(_) if self.is_unsent(self.answered) => None,
            PipelineEnd::Closed | PipelineEnd::Broken(_) => Some(PipelineFault::Closed),
            PipelineEnd::NotHttp(_) => Some(PipelineFault::NotHttp),
            PipelineEnd::Unexpected => Some(PipelineFault::Unexpected),
        }
    }

    /// The connection, as it is now.
    pub(in crate::event) fn into_connection(mut self) -> Http1 {
        if let Some(PipelineEnd::Complete(life)) = self.end {
            self.connection.life = life;
        }
        self.connection
    }

    fn poll_answers(
        &mut self,
        answers: &mut Vec<AnswerHead>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), PipelineEnd>> {
        if let Some(end) = self.end {
            return Poll::Ready(Err(end));
        }
        self.writing.poll(&mut *self.connection.stream, cx);
        let known = answers.len();
        let mut buffer = ReadBuffer::borrow();
        while self.end.is_none() && answers.len() == known {
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(&mut *self.connection.stream).poll_read(cx, &mut read) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if read.filled().is_empty() => {
                    self.end = Some(self.cut_off(PipelineEnd::Closed, answers));
                }
                Poll::Ready(Ok(())) => self.end = self.read(read.filled(), answers),
                Poll::Ready(Err(error)) => {
                    self.end = Some(self.cut_off(PipelineEnd::Broken(error.kind()), answers));
                }
            }
        }
        if answers.len() > known {
            return Poll::Ready(Ok(()));
        }
        if self.end.is_none()
            && let Some(error) = self.writing.error()
        {
            self.end = Some(PipelineEnd::Broken(error.kind()));
        }
        self.end.map_or(Poll::Pending, |end| Poll::Ready(Err(end)))
    }

    /// Reads the answers in these bytes. Returns why no further one comes, if so.
    fn read(&mut self, mut bytes: &[u8], answers: &mut Vec<AnswerHead>) -> Option<PipelineEnd> {
        while !bytes.is_empty() {
            if self.answered == self.ends.len() || self.is_unsent(self.answered) {
                return Some(PipelineEnd::Unexpected);
            }
            let (head, used, connection) = match self.reader.read(bytes) {
                Ok(Progress::Incomplete) => return None,
                Ok(Progress::Complete { head, used, connection }) => (head, used, connection),
                Err(error) => return Some(PipelineEnd::NotHttp(error)),
            };
            bytes = &bytes[used..];
            answers.push(head);
            self.answered += 1;
            let is_written = self.writing.written() >= self.ends[self.answered - 1];
            let is_last = self.answered == self.ends.len();
            match connection {
                Connection::Closed if is_last => return Some(PipelineEnd::Complete(Life::Closed)),
                Connection::Closed => return Some(PipelineEnd::Closed),
                Connection::Kept | Connection::KeptForOne if !is_written => return Some(PipelineEnd::Early),
                Connection::Kept | Connection::KeptForOne if is_last && bytes.is_empty() => {
                    let life =
                        if self.writing.is_finished() { Life::after(connection) } else { Life::Closed };
                    return Some(PipelineEnd::Complete(life));
                }
                Connection::Kept | Connection::KeptForOne => {}
            }
        }
        None
    }

    /// The connection has ended. An answer whose body was cut off counts.
    fn cut_off(&mut self, end: PipelineEnd, answers: &mut Vec<AnswerHead>) -> PipelineEnd {
        let head = self.reader.end();
        self.answered += usize::from(head.is_some());
        answers.extend(head);
        if self.answered == self.ends.len() { PipelineEnd::Complete(Life::Closed) } else { end }
    }

    fn start(&self, request: usize) -> usize {
        request.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

impl PipelineEnd {
    /// What becomes of a request that was sent and not answered. As after every kept connection that was closed, its event may have
    /// arrived.
    pub(in crate::event) fn error(self) -> PostError {
        let error = match self {
            Self::Complete(_) | Self::Early | Self::Closed => PostError::Closed,
            Self::NotHttp(error) => PostError::NotHttp(error),
            Self::Unexpected => PostError::Unexpected,
            Self::Broken(kind) => {
                let error = PostError::Broken(kind.into());
                if !is_closed_by_peer(&error) {
                    return error;
                }
                error
            }
        };
        PostError::KeptClosed(Box::new(error))
    }
}
