//! Why a request got no answer, and what the metrics call it (contract §10.15).

use std::error::Error;
use std::io;

use talaria_protocol::url::AddressError;

use crate::event::reason::DropReason;

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// `requestTimeout` or `clientTimeout` ran out.
    #[error("no answer before the event's time ran out")]
    DeadlineExceeded,
    /// The gateway shuts down.
    #[error("the gateway is shutting down")]
    Cancelled,
    /// No request can be made to such a URL.
    #[error(transparent)]
    Unusable(#[from] AddressError),
    /// The name service failed.
    #[error("the host could not be looked up: {0}")]
    Lookup(#[source] io::Error),
    /// No address of the host could be connected to.
    #[error("connecting failed: {0}")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed, or TLS cannot be used at all.
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// The receiver closed the connection instead of answering.
    #[error("the receiver closed the connection instead of answering")]
    Closed,
    /// The request could not be written or the answer not be read.
    #[error("the exchange failed: {}", innermost(.0))]
    Exchange(#[source] hyper::Error),
    /// One redirect after the other.
    #[error("stopped after {0} redirects")]
    TooManyRedirects(usize),
    /// A redirect to somewhere that is no URL.
    #[error("redirected to something that is not a URL")]
    BadRedirect,
}

impl Failure {
    /// What the metrics call it.
    pub fn reason(&self) -> DropReason {
        match self {
            Self::DeadlineExceeded => DropReason::DeadlineExceeded,
            Self::Cancelled => DropReason::Cancelled,
            Self::Unusable(_) => DropReason::InvalidAddress,
            Self::Lookup(error) if lookup_is_temporary(error) => DropReason::Dns,
            Self::Lookup(_) => DropReason::HostNotFound,
            Self::Connect(_) | Self::Tls(_) => DropReason::Network,
            Self::Closed => DropReason::UnexpectedEof,
            Self::Exchange(error) => match io_error(error).map(io::Error::kind) {
                Some(io::ErrorKind::UnexpectedEof) => DropReason::UnexpectedEof,
                Some(
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected,
                ) => DropReason::ConnectionClosed,
                Some(_) => DropReason::Network,
                None => DropReason::UnknownNetwork,
            },
            Self::TooManyRedirects(_) | Self::BadRedirect => DropReason::Unknown,
        }
    }

    /// Whether another attempt may go better: what Go calls a temporary error. A refused connection is none
    /// (contract §5.6).
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Lookup(error) => lookup_is_temporary(error),
            Self::Connect(error) => is_temporary(error),
            Self::Exchange(error) => io_error(error).is_some_and(is_temporary),
            _ => false,
        }
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            Self::Closed
        } else {
            Self::Exchange(error)
        }
    }
}

/// Interrupted, out of file descriptors, or timed out by the system.
fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
        || matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// The standard library gives the resolver's answer as text only.
fn lookup_is_temporary(error: &io::Error) -> bool {
    is_temporary(error) || error.to_string().contains("Temporary failure")
}

fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The cause that says most: hyper's own text leaves it out.
fn innermost(error: &hyper::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
