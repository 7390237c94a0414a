//! The bodies of responses.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use prometheus::Histogram;

use super::memory::ConnectionMemory;
use super::stream::Answering;
use crate::budget::NoRoomError;

/// A response's body: nothing, bytes, or pieces that are generated while they are sent.
#[derive(Default)]
pub struct Body {
    content: Content,
    sent: u64,
    /// Observes the number of bytes sent when the body is dropped.
    size: Option<Histogram>,
    /// The request counts as unanswered until the body is dropped.
    answering: Option<Answering>,
    /// Counts pieces.
    memory: Option<Arc<ConnectionMemory>>,
}

#[derive(Default)]
enum Content {
    #[default]
    Empty,
    Bytes(Bytes),
    /// The next piece is generated when the last one is being sent, so that a slow client costs the memory of one.
    Pieces(Box<dyn Iterator<Item = Bytes> + Send>),
}

impl Body {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body of unknown length, generated piece by piece at the pace of the client.
    pub fn pieces(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Self {
        Content::Pieces(Box::new(pieces)).into()
    }

    /// Its length, if it is known.
    pub fn len(&self) -> Option<u64> {
        match &self.content {
            Content::Empty => Some(0),
            Content::Bytes(bytes) => Some(bytes.len() as u64),
            Content::Pieces(_) => None,
        }
    }

    /// Whether it is certain that there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Lets a histogram observe the number of bytes sent when the body is dropped.
    pub fn observe_size(&mut self, size: &Histogram) {
        self.size = Some(size.clone());
    }

    /// Counts its bytes in the budget of bodies, from now on or as they are generated.
    ///
    /// # Errors
    /// [`NoRoomError`] if there is no room for them.
    pub(super) fn count_in(&mut self, memory: &Arc<ConnectionMemory>) -> Result<(), NoRoomError> {
        match &mut self.content {
            Content::Empty => {}
            Content::Bytes(bytes) => *bytes = memory.count(std::mem::take(bytes))?,
            Content::Pieces(_) => self.memory = Some(Arc::clone(memory)),
        }
        Ok(())
    }

    pub(super) fn keep(&mut self, answering: Answering) {
        self.answering = Some(answering);
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Content::Bytes(bytes.into()).into()
    }
}

impl From<Content> for Body {
    fn from(content: Content) -> Self {
        Self { content, sent: 0, size: None, answering: None, memory: None }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(size) = &self.size {
            size.observe(self.sent as f64);
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.content {
            Content::Empty => None,
            Content::Bytes(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            // An empty piece would end the body.
            Content::Pieces(pieces) => pieces.find(|piece| !piece.is_empty()),
        };
        self.sent += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let counted = piece.map(|piece| match &self.memory {
            // If there is no room, the response cannot end as if it were complete.
            Some(memory) => memory.count(piece.clone()).unwrap_or_else(|_| {
                memory.cut();
                piece
            }),
            None => piece,
        });
        Poll::Ready(counted.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.len().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
