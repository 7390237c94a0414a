//! A connection to a receiver: HTTP/1.1, which carries one request at a time, or a share of one by HTTP/2.
//!
//! Which of them is agreed with TLS (ALPN); without TLS it is HTTP/1.1. Deliberately absent: which connection an event gets
//! (`pool.rs`). Start reading at [`Connection::open`].

mod exchange_error;
mod http1;
mod http2;

use ::http::{Request, Response};

pub(super) use self::exchange_error::{Body, ExchangeError};
pub(super) use self::http1::{Http1, Probe};
pub(super) use self::http2::{Http2, Multiplexed};
use super::dial::{Protocol, Stream};
use super::post_error::PostError;

/// What an event gets to make its request with.
pub(super) enum Connection {
    /// Boxed, because it moves between workers and the pool with every event.
    Http1(Box<Http1>),
    Http2(Http2),
}

impl Connection {
    /// Starts HTTP on a byte stream. No request is sent yet.
    pub(super) async fn open(stream: Box<dyn Stream>) -> Result<Self, PostError> {
        match stream.protocol() {
            Protocol::Http1 => Http1::open(stream).await.map(Self::Http1),
            Protocol::Http2 => Http2::open(stream).await.map(Self::Http2),
        }
    }

    /// Sends a request and reads the whole answer. Returns the head of the answer.
    ///
    /// If the future is dropped, the connection must be dropped, too.
    pub(super) async fn exchange(&mut self, request: Request<Body>) -> Result<Response<()>, ExchangeError> {
        match self {
            Self::Http1(connection) => connection.exchange(request).await,
            // Boxed, so that the future of an event by HTTP/1.1 does not carry its state.
            Self::Http2(connection) => Box::pin(connection.exchange(request)).await,
        }
    }

    /// Which protocol a request has to be written for.
    pub(super) const fn protocol(&self) -> Protocol {
        match self {
            Self::Http1(_) => Protocol::Http1,
            Self::Http2(_) => Protocol::Http2,
        }
    }
}
