//! Why a request got no answer, and its label in the metrics (contract §10.15).

use std::error::Error;
use std::io;

use talaria_protocol::receiver_answer::AnswerError;
use talaria_protocol::url::AddressError;
use talaria_protocol::url::public_address::NotPublicError;

use crate::event::reason::DropReason;

/// Why an event was not posted, or its post was not answered.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// `requestTimeout` or `clientTimeout` is over.
    #[error("no answer before the event's time ran out")]
    DeadlineExceeded,
    /// `connectTimeout` is over.
    #[error("no connection within connectTimeout")]
    ConnectTimeout,
    /// `device.outbound.dns.answerTimeout` is over.
    #[error("no complete answer within answerTimeout")]
    AnswerTimeout,
    /// The receiver took much longer than it usually does, or had failed before and got little time to show that it works.
    #[error("no answer within the time of one attempt")]
    AttemptTimeout,
    /// The gateway is shutting down.
    #[error("cancelled because the gateway is shutting down")]
    Cancelled,
    /// What the receiver has to be shown is not available.
    #[error("{0}")]
    Credentials(&'static str),
    /// No request can be made to this URL.
    #[error(transparent)]
    Unusable(#[from] AddressError),
    /// The host could not be resolved.
    #[error("the host could not be looked up: {0}")]
    Lookup(#[source] io::Error),
    /// All addresses of a host that a device named are such that devices may not name them.
    #[error("the host has {0}: list it in device.outbound.dns.allowedHosts if devices may name it")]
    NotPublic(#[from] NotPublicError),
    /// No address of the host could be connected to.
    #[error("connecting failed: {0}")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed, or TLS cannot be used.
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// The receiver closed the connection instead of answering.
    #[error("the receiver closed the connection instead of answering")]
    Closed,
    /// The receiver closed a kept connection after the request was sent. It may have the event or not (contract §14.31).
    #[error("a kept connection was closed after the request had been sent: {0}")]
    KeptClosed(#[source] Box<Self>),
    /// The request could not be written or its answer could not be read, by HTTP/1.1.
    #[error("the exchange failed: {0}")]
    Broken(#[source] io::Error),
    /// The answer is not one of HTTP/1.1.
    #[error("the exchange failed: {0}")]
    NotHttp(#[from] AnswerError),
    /// The same by HTTP/2.
    #[error("the exchange failed: {}", innermost(.0))]
    Exchange(#[source] hyper::Error),
    /// An answer came to a request that had not been sent, on a connection that has several.
    #[error("the receiver answered a request that had not been sent")]
    Unexpected,
    /// Too many redirects followed each other.
    #[error("stopped after {0} redirects")]
    TooManyRedirects(usize),
    /// A redirect to something that is not a URL.
    #[error("redirected to something that is not a URL")]
    BadRedirect,
}

impl PostError {
    /// Its label in the metrics.
    pub fn reason(&self) -> DropReason {
        match self {
            Self::DeadlineExceeded | Self::ConnectTimeout | Self::AnswerTimeout | Self::AttemptTimeout => {
                DropReason::DeadlineExceeded
            }
            Self::NotPublic(_) => DropReason::AddressNotPublic,
            Self::KeptClosed(error) => error.reason(),
            Self::Cancelled => DropReason::Cancelled,
            Self::Credentials(_) => DropReason::NoCredentials,
            Self::Unusable(_) => DropReason::InvalidAddress,
            Self::Lookup(error) if lookup_is_temporary(error) => DropReason::Dns,
            Self::Lookup(_) => DropReason::HostNotFound,
            Self::Connect(_) | Self::Tls(_) => DropReason::Network,
            Self::Closed => DropReason::UnexpectedEof,
            Self::Exchange(error) if is_go_away(error) => DropReason::ConnectionClosed,
            Self::Exchange(error) if is_reset(error) => DropReason::Network,
            Self::Exchange(error) => match io_error(error).map(io::Error::kind) {
                Some(kind) => reason_of(kind),
                None => DropReason::UnknownNetwork,
            },
            Self::Broken(error) => reason_of(error.kind()),
            Self::NotHttp(_) | Self::Unexpected => DropReason::UnknownNetwork,
            Self::TooManyRedirects(_) | Self::BadRedirect => DropReason::Unknown,
        }
    }

    /// Whether another attempt may succeed, whatever `retryOn` says: what Go calls a temporary error, a kept connection that was
    /// closed, or an attempt that took too long by itself (contract §5.6).
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Lookup(error) => lookup_is_temporary(error),
            Self::Connect(error) | Self::Broken(error) => is_temporary(error),
            Self::KeptClosed(_) | Self::AttemptTimeout | Self::Credentials(_) => true,
            Self::Exchange(error) => io_error(error).is_some_and(is_temporary),
            _ => false,
        }
    }

    /// Whether the receiver may have the event although there was no answer (contract §14.31).
    pub(super) fn may_have_arrived(&self) -> bool {
        match self {
            Self::Closed | Self::KeptClosed(_) | Self::AttemptTimeout => true,
            Self::Broken(_) | Self::Exchange(_) => self.reason() == DropReason::ConnectionClosed,
            _ => false,
        }
    }
}

impl From<hyper::Error> for PostError {
    fn from(error: hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            Self::Closed
        } else {
            Self::Exchange(error)
        }
    }
}

const fn reason_of(kind: io::ErrorKind) -> DropReason {
    match kind {
        io::ErrorKind::UnexpectedEof => DropReason::UnexpectedEof,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => DropReason::ConnectionClosed,
        _ => DropReason::Network,
    }
}

/// Interrupted, out of file descriptors, or timed out by the system.
fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
        || matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// The standard library reports the resolver's error only as text.
pub(super) fn lookup_is_temporary(error: &io::Error) -> bool {
    is_temporary(error) || error.to_string().contains("Temporary failure")
}

fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        if let Some(http2) = error.downcast_ref::<h2::Error>() {
            return http2.get_io();
        }
        next = error.source();
    }
    None
}

/// Whether the receiver has ended an HTTP/2 connection.
fn is_go_away(error: &hyper::Error) -> bool {
    http2_error(error).is_some_and(|error| error.is_go_away() && error.is_remote())
}

/// Whether the receiver has ended a request by HTTP/2.
fn is_reset(error: &hyper::Error) -> bool {
    http2_error(error).is_some_and(|error| error.is_reset() && error.is_remote())
}

fn http2_error(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref()
}

/// The innermost cause, which hyper's own text leaves out.
fn innermost(error: &hyper::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
