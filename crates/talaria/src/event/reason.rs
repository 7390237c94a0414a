//! Why a message did not get to where it should have gone: the labels of contract §10.15.

use std::fmt;

/// The `code` label of a request that got no HTTP status (contract §10.15).
pub const NO_STATUS: &str = "message_dropped";

/// Why a message was dropped, or what became of a request: the `reason` label of the outbound metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The destination is a device or the gateway itself: nothing that events go to.
    UnroutableDestination,
    /// The message could not be encoded.
    Encoding,
    /// A queue, or what one device may have in flight, is full.
    FullQueue,
    /// The time for the message ran out, in the queue or while a receiver was silent.
    DeadlineExceeded,
    /// The gateway is shutting down.
    Cancelled,
    /// A network address that cannot be used.
    Address,
    /// An address that does not parse.
    ParseAddress,
    /// A URL of a scheme that is not spoken, or without a host.
    InvalidAddress,
    /// The name service failed.
    Dns,
    /// The name service knows no such host.
    HostNotFound,
    /// The receiver reset or closed the connection while it was being written to.
    ConnectionClosed,
    /// Connecting, the TLS handshake, reading or writing failed.
    Network,
    /// Something on the network that has no better name, such as an answer that is not HTTP.
    UnknownNetwork,
    /// An answer to a request that nobody waits for (any more).
    UnsupportedEvent,
    /// A destination that does not parse, or redirects that lead nowhere.
    Unknown,
    /// No endpoint is configured for this event type, and there is no default.
    NoEndpoint,
    /// A `dns:` destination whose scheme is not in `device.outbound.allowedSchemes`.
    SchemeNotAllowed,
    /// The URL to post to does not parse.
    MalformedRequest,
    /// A part of the gateway gave up the message without saying why.
    Panic,
    /// The receiver closed the connection instead of answering.
    UnexpectedEof,
    /// Nothing is wrong.
    NoError,
    /// The receiver answered as it should: 202.
    ExpectedCode,
    /// The receiver answered, but not with 202.
    Non202,
    /// Kafka did not take the message, or no topic did.
    KafkaSendFailure,
}

impl DropReason {
    /// The label's text.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnroutableDestination => "unroutable_destination",
            Self::Encoding => "encoding_err",
            Self::FullQueue => "full outbound queue",
            Self::DeadlineExceeded => "context_deadline_exceeded",
            Self::Cancelled => "context_canceled",
            Self::Address => "address_error",
            Self::ParseAddress => "parse_address_error",
            Self::InvalidAddress => "invalid_address",
            Self::Dns => "dns_error",
            Self::HostNotFound => "host_not_found",
            Self::ConnectionClosed => "connection_closed",
            Self::Network => "op_error",
            Self::UnknownNetwork => "unknown_network_err",
            Self::UnsupportedEvent => "unsupported event",
            Self::Unknown => "unknown",
            Self::NoEndpoint => "no_endpoint_configured_for_event",
            Self::SchemeNotAllowed => "url_scheme_not_allowed",
            Self::MalformedRequest => "malformed_http_request",
            Self::Panic => "panic",
            Self::UnexpectedEof => "connection_unexpectedly_closed_eof",
            Self::NoError => "no_err",
            Self::ExpectedCode => "expected_code",
            Self::Non202 => "non202",
            Self::KafkaSendFailure => "kafka_send_failure",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The `outcome` label of the families that count events (contract §10.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// Every place the event was routed to has taken it over.
    Success,
    /// At least one has not.
    Failure,
}

impl EventOutcome {
    /// The label's text.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// The `scheme` label: the kind of destination, or unknown for what was refused before it was queued
/// (contract §5.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemeLabel {
    /// `event:…`
    Event,
    /// `dns:…`
    Dns,
    /// Refused before it was queued.
    Unknown,
}

impl SchemeLabel {
    /// The label's text.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Dns => "dns",
            Self::Unknown => "unknown",
        }
    }
}
