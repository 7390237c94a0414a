//! One HTTP/1.1 connection to a receiver, driven by the task that waits for the answer.
//!
//! hyper splits a client connection into a sender and a future that does the reading and writing, and expects the
//! latter in a task of its own. Here one task polls both: the connection first, which makes the answer ready, then
//! the answer, with a waker that wakes nobody since nobody else can make it ready. That saves two hops between tasks
//! per event, a quarter of its cost.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::dial::Stream;
use super::failure::Failure;

/// More of an answer's body than this is not read: the connection is closed instead.
const MAX_ANSWER_BODY: usize = 256 * 1024;

/// The body of a request.
pub(super) type Body = Full<Bytes>;

/// A connection that carries one request at a time.
pub(super) struct Connection {
    sender: http1::SendRequest<Body>,
    driver: http1::Connection<TokioIo<Box<dyn Stream>>, Body>,
    /// The driver is done and must not be polled again.
    is_closed: bool,
    /// A request was answered on it before.
    is_used: bool,
}

/// A request that failed, and whether it may be made again on another connection as if nothing had happened.
pub(super) struct Broken {
    pub(super) failure: Failure,
    pub(super) was_idle_too_long: bool,
}

impl Connection {
    /// Makes an HTTP connection of a byte stream; nothing is sent yet.
    pub(super) async fn open(stream: Box<dyn Stream>) -> Result<Box<Self>, Failure> {
        let mut builder = http1::Builder::new();
        // Receivers' logs and filters see `Content-Type`, as Go writes it.
        builder.title_case_headers(true);
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        // Boxed, as it moves between workers and the pool with every event.
        Ok(Box::new(Self { sender, driver, is_closed: false, is_used: false }))
    }

    /// Sends a request and reads the whole answer; what is given back is its head.
    ///
    /// If the future is dropped, so must be the connection.
    pub(super) async fn exchange(&mut self, request: Request<Body>) -> Result<Response<()>, Broken> {
        let is_reused = std::mem::replace(&mut self.is_used, true);
        let mut answer = pin!(self.sender.try_send_request(request));
        let (driver, is_closed) = (&mut self.driver, &mut self.is_closed);
        let answer = poll_fn(|cx| {
            poll_driver(driver, is_closed, cx);
            match answer.as_mut().poll(&mut nobody()) {
                Poll::Pending if *is_closed => Poll::Ready(None),
                polled => polled.map(Some),
            }
        });
        match answer.await {
            Some(Ok(answer)) => {
                let (head, body) = answer.into_parts();
                self.drain(body).await;
                Ok(Response::from_parts(head, ()))
            }
            Some(Err(mut error)) => {
                let was_sent = error.take_message().is_none();
                let failure = Failure::from(error.into_error());
                let was_idle_too_long = is_reused && (!was_sent || is_closed_by_peer(&failure));
                Err(Broken { failure, was_idle_too_long })
            }
            None => Err(Broken { failure: Failure::Closed, was_idle_too_long: is_reused }),
        }
    }

    /// Whether another request can be made on it, as far as is known. Whoever polled it before is not woken any more.
    pub(super) fn is_ready(&mut self) -> bool {
        poll_driver(&mut self.driver, &mut self.is_closed, &mut nobody());
        !self.is_closed && self.sender.is_ready()
    }

    /// Reads the body to its end, so that the connection can be used again. If it is too long or breaks off, the
    /// connection is closed: the answer itself has been given.
    async fn drain(&mut self, mut body: Incoming) {
        let (driver, is_closed) = (&mut self.driver, &mut self.is_closed);
        let mut length = 0;
        let is_complete = poll_fn(|cx| {
            loop {
                if body.is_end_stream() {
                    return Poll::Ready(true);
                }
                poll_driver(driver, is_closed, cx);
                match Pin::new(&mut body).poll_frame(&mut nobody()) {
                    Poll::Pending if *is_closed => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(true),
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
                    Poll::Ready(Some(Ok(frame))) => length += frame.data_ref().map_or(0, Bytes::len),
                }
                if length > MAX_ANSWER_BODY {
                    return Poll::Ready(false);
                }
            }
        });
        if !is_complete.await {
            self.is_closed = true;
        }
    }
}

fn poll_driver(
    driver: &mut http1::Connection<TokioIo<Box<dyn Stream>>, Body>,
    is_closed: &mut bool,
    cx: &mut Context<'_>,
) {
    // An error of the driver is the answer's as well, or nobody waits for one.
    if !*is_closed && Pin::new(driver).poll(cx).is_ready() {
        *is_closed = true;
    }
}

/// A context that wakes nobody.
fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// What an idle connection that the receiver has closed fails with when it is used.
fn is_closed_by_peer(failure: &Failure) -> bool {
    use crate::event::reason::DropReason;
    matches!(failure.reason(), DropReason::UnexpectedEof | DropReason::ConnectionClosed)
}
