//! A connection by HTTP/2, which several events share.
//!
//! Tasks of hyper drive it. A request that the receiver has refused or not looked at (RFC 9113 §8.7: `REFUSED_STREAM`, or a
//! GOAWAY whose last stream is an earlier one) was not sent, as far as contract §14.31 is concerned.

use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use ::http::Request;
use h2::Reason;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use talaria_protocol::receiver_answer::{AnswerHead, MAX_BODY};

use super::exchange_error::{Body, ExchangeError, is_closed_by_peer};
use crate::event::http::dial::Stream;
use crate::event::http::post_error::PostError;

/// As many requests at the same time until the receiver has said how many it takes.
const FIRST_STREAMS: usize = 16;

/// As many requests at the same time share a connection, even if the receiver takes more.
const MAX_STREAMS: usize = 128;

/// A connection with requests under way on which nothing arrives is asked for a sign of life after so long,
const PING_AFTER: Duration = Duration::from_secs(5);
/// and is given up if there is none.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an answer may arrive before it is read.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The place of one request on a shared connection. Dropping it gives the place back.
pub(in crate::event) struct Http2 {
    shared: Arc<Multiplexed>,
    sender: SendRequest<Body>,
    /// Whether the connection has carried a request before.
    is_used: bool,
}

/// A connection that several requests share.
pub(in crate::event) struct Multiplexed {
    sender: SendRequest<Body>,
    in_use: AtomicUsize,
    /// As many as the receiver takes.
    max: Arc<AtomicUsize>,
    is_used: AtomicBool,
    /// Whether the socket is closed.
    has_ended: Arc<AtomicBool>,
}

/// Spawns the tasks of a connection. The first one owns the socket.
#[derive(Clone)]
struct Tasks {
    is_first: Arc<AtomicBool>,
    has_ended: Arc<AtomicBool>,
}

impl Http2 {
    pub(super) async fn open(stream: Box<dyn Stream>) -> Result<Self, PostError> {
        let has_ended = Arc::new(AtomicBool::new(false));
        let tasks = Tasks { is_first: Arc::new(AtomicBool::new(true)), has_ended: Arc::clone(&has_ended) };
        let (sender, mut connection) = Builder::new(tasks)
            .timer(TokioTimer::new())
            .initial_max_send_streams(FIRST_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(stream))
            .await?;
        let max = Arc::new(AtomicUsize::new(FIRST_STREAMS));
        let told = Arc::clone(&max);
        tokio::spawn(async move {
            // Its errors are those of the requests.
            let _ = poll_fn(|cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                told.store(connection.current_max_send_streams(), Relaxed);
                polled
            })
            .await;
        });
        let shared = Arc::new(Multiplexed {
            sender,
            in_use: AtomicUsize::new(0),
            max,
            is_used: AtomicBool::new(false),
            has_ended,
        });
        Ok(shared.place())
    }

    /// Sends a request and reads the whole answer. Returns the head of the answer.
    pub(in crate::event) async fn exchange(
        &mut self,
        request: Request<Body>,
    ) -> Result<AnswerHead, ExchangeError> {
        self.is_used = self.shared.is_used.swap(true, Relaxed);
        match self.sender.try_send_request(request).await {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                drain(body).await;
                Ok(AnswerHead::of(head.status, &head.headers))
            }
            Err(mut error) => {
                let was_taken = error.take_message().is_none();
                Err(self.failed(was_taken, error.into_error()))
            }
        }
    }

    pub(in crate::event) const fn shared(&self) -> &Arc<Multiplexed> {
        &self.shared
    }

    fn failed(&self, was_taken: bool, error: hyper::Error) -> ExchangeError {
        let has_ended = self.shared.has_ended.load(Relaxed);
        let is_refused = h2_error(&error).is_some_and(|error| {
            // After the end of the socket, every request has the last GOAWAY as its error, also those that were looked at.
            (error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM))
                || (error.is_remote() && error.is_go_away() && !has_ended)
        });
        let error = PostError::from(error);
        if is_refused || !was_taken {
            ExchangeError::NotSent(error)
        } else if self.is_used && is_closed_by_peer(&error) {
            ExchangeError::Failed(PostError::KeptClosed(Box::new(error)))
        } else {
            ExchangeError::Failed(error)
        }
    }
}

impl Multiplexed {
    /// A place for a request.
    pub(in crate::event) fn place(self: &Arc<Self>) -> Http2 {
        self.in_use.fetch_add(1, Relaxed);
        Http2 { shared: Arc::clone(self), sender: self.sender.clone(), is_used: true }
    }

    /// Whether there is a place for another request.
    pub(in crate::event) fn has_room(&self) -> bool {
        self.in_use.load(Relaxed) < self.max.load(Relaxed).min(MAX_STREAMS)
    }

    /// Whether no request is under way.
    pub(in crate::event) fn is_idle(&self) -> bool {
        self.in_use.load(Relaxed) == 0
    }

    /// Whether requests can be sent on it, as far as is known.
    pub(in crate::event) fn is_open(&self) -> bool {
        !self.sender.is_closed() && !self.has_ended.load(Relaxed)
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.shared.in_use.fetch_sub(1, Relaxed);
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        if self.is_first.swap(false, Relaxed) {
            let has_ended = Arc::clone(&self.has_ended);
            tokio::spawn(async move {
                task.await;
                has_ended.store(true, Relaxed);
            });
        } else {
            tokio::spawn(task);
        }
    }
}

/// Reads the body to its end, or resets the stream.
async fn drain(body: Incoming) {
    let mut body = pin!(body);
    let mut length = 0;
    while let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        length += frame.data_ref().map_or(0, bytes::Bytes::len);
        if length > MAX_BODY {
            return;
        }
    }
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref()
}
