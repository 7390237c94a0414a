//! How a request fails, by either protocol.

use bytes::Bytes;
use http_body_util::Full;

use crate::event::http::post_error::PostError;
use crate::event::reason::DropReason;

/// The body of a request by HTTP/2.
pub(in crate::event) type Body = Full<Bytes>;

/// A failed request.
pub(in crate::event) enum ExchangeError {
    /// The receiver has not seen the request, or has not looked at it: it may be sent again on another connection.
    NotSent(PostError),
    /// Anything else.
    Failed(PostError),
}

/// Whether this is the error of a request on a connection that the receiver has closed.
pub(super) fn is_closed_by_peer(error: &PostError) -> bool {
    matches!(error.reason(), DropReason::UnexpectedEof | DropReason::ConnectionClosed)
}
