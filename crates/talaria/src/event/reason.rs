//! Why a message was dropped, and the other labels of outbound metrics (contract §10.15).

use std::fmt;

/// The `code` label of a request that got no HTTP status (contract §10.15).
pub const NO_STATUS: &str = "message_dropped";

/// Why a message was dropped, or the outcome of a request: the `reason` label of the outbound metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The destination is a device or the gateway itself, where no events go.
    UnroutableDestination,
    /// The message could not be encoded.
    Encoding,
    /// A queue is full, or the device has too many unacknowledged messages.
    FullQueue,
    /// The message's time limit was reached, in the queue or while a receiver did not answer.
    DeadlineExceeded,
    /// The gateway is shutting down.
    Cancelled,
    /// A network address cannot be used.
    Address,
    /// An address is malformed.
    ParseAddress,
    /// A signature or token for the receiver is not available.
    NoCredentials,
    /// A URL has a scheme that is not supported, or no host.
    InvalidAddress,
    /// The name service failed.
    Dns,
    /// The name service knows no such host.
    HostNotFound,
    /// The receiver reset or closed the connection while it was being written to.
    ConnectionClosed,
    /// Connecting, the TLS handshake, reading or writing failed.
    Network,
    /// Another network error, such as an answer that is not HTTP.
    UnknownNetwork,
    /// An answer of a device that no request waits for (any more).
    UnsupportedEvent,
    /// A destination is malformed, or redirects do not end.
    Unknown,
    /// No endpoint is configured for this event type, and there is no default.
    NoEndpoint,
    /// The scheme of a `dns:` destination is not in `device.outbound.allowedSchemes`.
    SchemeNotAllowed,
    /// `device.outbound.dns.enabled` is off.
    DnsDisabled,
    /// The host of a `dns:` destination is not in `device.outbound.dns.allowedHosts`.
    HostNotAllowed,
    /// The host of a `dns:` destination has no public address.
    AddressNotPublic,
    /// The URL to post to is malformed.
    MalformedRequest,
    /// A worker panicked.
    Panic,
    /// The receiver closed the connection instead of answering.
    UnexpectedEof,
    /// No error.
    NoError,
    /// The receiver answered with 202, as expected.
    ExpectedCode,
    /// The receiver answered, but not with 202.
    Non202,
    /// Kafka did not accept the message, or no topic matched.
    KafkaSendFailure,
}

impl DropReason {
    /// The label's text.
    #[must_use]
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
            Self::NoCredentials => "credentials_not_available",
            Self::Dns => "dns_error",
            Self::HostNotFound => "host_not_found",
            Self::ConnectionClosed => "connection_closed",
            Self::Network => "op_error",
            Self::UnknownNetwork => "unknown_network_err",
            Self::UnsupportedEvent => "unsupported event",
            Self::Unknown => "unknown",
            Self::NoEndpoint => "no_endpoint_configured_for_event",
            Self::SchemeNotAllowed => "url_scheme_not_allowed",
            Self::DnsDisabled => "dns_destinations_disabled",
            Self::HostNotAllowed => "host_not_allowed",
            Self::AddressNotPublic => "address_not_public",
            Self::MalformedRequest => "malformed_http_request",
            Self::Panic => "panic",
            Self::UnexpectedEof => "connection_unexpectedly_closed_eof",
            Self::NoError => "no_err",
            Self::ExpectedCode => "expected_code",
            Self::Non202 => "non202",
            Self::KafkaSendFailure => "kafka_send_failure",
        }
    }

    /// Whether only a `dns:` destination is refused for this reason.
    pub(super) const fn is_of_named_host(self) -> bool {
        matches!(self, Self::SchemeNotAllowed | Self::DnsDisabled | Self::HostNotAllowed)
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
    /// All sinks that the event was routed to have accepted it.
    Success,
    /// At least one sink has not accepted it.
    Failure,
}

impl EventOutcome {
    /// The label's text.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// The `scheme` label: the kind of destination, or unknown if the message was dropped before it was queued (contract §5.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemeLabel {
    /// `event:…`
    Event,
    /// `dns:…`
    Dns,
    /// Dropped before it was queued.
    Unknown,
}

impl SchemeLabel {
    /// The label's text.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Dns => "dns",
            Self::Unknown => "unknown",
        }
    }
}
