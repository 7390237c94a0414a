//! One HTTP/1.1 connection to a receiver, driven by the task that waits for the answer.
//!
//! hyper splits a client connection into a sender and a future that reads and writes, and expects the future in a task of its
//! own. Here one task polls both: first the connection, which makes the answer ready, then the answer, with a waker that
//! does nothing, because nothing else can make the answer ready. That saves two switches between tasks for each event, a
//! quarter of its cost.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use ::http::{Request, Response};
use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::exchange_error::{Body, ExchangeError, MAX_ANSWER_BODY, is_closed_by_peer};
use crate::event::http::dial::Stream;
use crate::event::http::post_error::PostError;
use crate::event::http::watched_stream::{Watch, WatchedStream};

type Driver = http1::Connection<TokioIo<WatchedStream>, Body>;

/// A connection that carries one request at a time.
pub(in crate::event) struct Http1 {
    sender: http1::SendRequest<Body>,
    driver: Driver,
    /// Whether the driver has ended. It must not be polled again.
    is_closed: bool,
    /// Whether a byte of the current request was written, among others.
    watch: Arc<Watch>,
    /// Whether a request was sent on it before, or it was idle, so that the receiver may have closed it.
    is_used: bool,
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
    pub(super) async fn open(stream: Box<dyn Stream>) -> Result<Box<Self>, PostError> {
        let mut builder = http1::Builder::new();
        // Header names as Go writes them, because receivers' logs and filters show them.
        builder.title_case_headers(true);
        let watch = Arc::new(Watch::default());
        let stream = WatchedStream::new(stream, Arc::clone(&watch));
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Box::new(Self { sender, driver, is_closed: false, watch, is_used: false }))
    }

    /// Sends a request and reads the whole answer. Returns the head of the answer.
    ///
    /// If the future is dropped, the connection must be dropped, too.
    pub(super) async fn exchange(&mut self, request: Request<Body>) -> Result<Response<()>, ExchangeError> {
        let is_reused = std::mem::replace(&mut self.is_used, true);
        self.watch.has_written.store(false, Relaxed);
        let mut answer = pin!(self.sender.try_send_request(request));
        let (driver, is_closed) = (&mut self.driver, &mut self.is_closed);
        let answer = poll_fn(|cx| {
            poll_driver(driver, is_closed, cx);
            match answer.as_mut().poll(&mut no_wake()) {
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
            Some(Err(error)) => Err(self.failed(is_reused, error.into_error().into())),
            None => Err(self.failed(is_reused, PostError::Closed)),
        }
    }

    fn failed(&self, is_reused: bool, error: PostError) -> ExchangeError {
        if !is_reused || !is_closed_by_peer(&error) {
            return ExchangeError::Failed(error);
        }
        if self.watch.has_written.load(Relaxed) {
            ExchangeError::Failed(PostError::KeptClosed(Box::new(error)))
        } else {
            ExchangeError::NotSent(error)
        }
    }

    /// Whether a request can be sent on it, as far as is known. The task that polled it before is not woken any more.
    pub(in crate::event) fn is_ready(&mut self, probe: Probe) -> bool {
        let probes = probe == Probe::System;
        if probes {
            self.watch.probes.store(true, Relaxed);
        }
        let is_open = self.poll_idle(&mut no_wake());
        if probes {
            self.watch.probes.store(false, Relaxed);
        }
        is_open
    }

    /// Whether another request can be sent on it, now that one has ended or before the first one. `waker` is woken when
    /// something arrives.
    pub(in crate::event) fn park(&mut self, waker: &Waker) -> bool {
        self.is_used = true;
        self.poll_idle(&mut Context::from_waker(waker))
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> bool {
        poll_driver(&mut self.driver, &mut self.is_closed, cx);
        !self.is_closed && self.sender.is_ready()
    }

    /// Reads the body to its end, so that the connection can be used again. If it is too long or incomplete, the connection
    /// is closed; the head of the answer is valid all the same.
    async fn drain(&mut self, mut body: Incoming) {
        let (driver, is_closed) = (&mut self.driver, &mut self.is_closed);
        let mut length = 0;
        let is_complete = poll_fn(|cx| {
            loop {
                if body.is_end_stream() {
                    return Poll::Ready(true);
                }
                poll_driver(driver, is_closed, cx);
                match Pin::new(&mut body).poll_frame(&mut no_wake()) {
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

fn poll_driver(driver: &mut Driver, is_closed: &mut bool, cx: &mut Context<'_>) {
    // An error of the driver is also an error of the answer, if one is awaited.
    if !*is_closed && Pin::new(driver).poll(cx).is_ready() {
        *is_closed = true;
    }
}

/// A context whose waker does nothing.
fn no_wake() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
