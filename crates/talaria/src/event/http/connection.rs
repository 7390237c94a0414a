//! A connection to a receiver: HTTP/1.1, which carries one request at a time or several in one packet, or a share of one by HTTP/2.
//!
//! Which of them is agreed with TLS (ALPN); without TLS it is HTTP/1.1. Deliberately absent: which connection an event gets
//! (`pool.rs`). Start reading at [`Connection::open`].

mod exchange_error;
mod http1;
mod http2;

pub(super) use self::exchange_error::{Body, ExchangeError};
pub(super) use self::http1::{Http1, Pipeline, PipelineEnd, Probe, Written};
pub(super) use self::http2::{Http2, Multiplexed};
use super::dial::{Protocol, Stream};
use super::post_error::PostError;

/// What an event gets to make its request with.
pub(super) enum Connection {
    Http1(Http1),
    Http2(Http2),
}

impl Connection {
    /// Starts HTTP on a byte stream. No request is sent yet.
    pub(super) async fn open(stream: Box<dyn Stream>) -> Result<Self, PostError> {
        match stream.protocol() {
            Protocol::Http1 => Ok(Self::Http1(Http1::open(stream))),
            Protocol::Http2 => Http2::open(stream).await.map(Self::Http2),
        }
    }
}

impl From<Http1> for Connection {
    fn from(connection: Http1) -> Self {
        Self::Http1(connection)
    }
}
