//! What both protocols share: the bodies, and how a request fails.

use bytes::Bytes;
use http_body_util::Full;

use crate::event::http::post_error::PostError;
use crate::event::reason::DropReason;

/// The longest body of an answer that is read, in bytes. A longer one is cut off, and the head of the answer is valid all
/// the same.
pub(super) const MAX_ANSWER_BODY: usize = 256 * 1024;

/// The body of a request.
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
