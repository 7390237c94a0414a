//! What became of a message, as its acknowledgement tells it.

use std::fmt;

use wrp::Rdr;

use super::reason::DropReason;

/// The outcome of a message: the `rdr` of its acknowledgement (contract §15.3).
///
/// Codes below 150 are those of the WRP specification, those from 150 on are this gateway's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// 0: the deciding sink has delivered it.
    Delivered,
    /// 3: the message has no destination.
    MissingDest,
    /// 4: it is larger than a sink accepts.
    TooLarge,
    /// 100: a queue is full, or the device has too many unacknowledged messages.
    NotEnqueued,
    /// 102: a message of a higher level displaced it.
    Displaced,
    /// 150: the destination is malformed, or nothing is configured for it.
    NoRoute,
    /// 151: the event receiver answered, but not with 202.
    ReceiverRefused,
    /// 152: the event receiver could not be reached or did not answer in time.
    ReceiverUnreachable,
    /// 153: Kafka did not accept it.
    KafkaFailed,
    /// 154: the gateway is shutting down.
    ShuttingDown,
    /// 155: a sink dropped it without a verdict, which is a bug.
    Abandoned,
}

impl Verdict {
    /// The number in the acknowledgement.
    #[must_use]
    pub const fn rdr(self) -> Rdr {
        match self {
            Self::Delivered => Rdr::DELIVERED,
            Self::MissingDest => Rdr::MISSING_DEST,
            Self::TooLarge => Rdr::TOO_LARGE,
            Self::NotEnqueued => Rdr::UNABLE_TO_ENQUEUE,
            Self::Displaced => Rdr::DISPLACED,
            Self::NoRoute => Rdr(150),
            Self::ReceiverRefused => Rdr(151),
            Self::ReceiverUnreachable => Rdr(152),
            Self::KafkaFailed => Rdr(153),
            Self::ShuttingDown => Rdr(154),
            Self::Abandoned => Rdr(155),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivered => "delivered",
            Self::MissingDest => "the message has no destination",
            Self::TooLarge => "the message is too large",
            Self::NotEnqueued => "no room to queue the message",
            Self::Displaced => "displaced by a message of a higher level",
            Self::NoRoute => "nothing is configured for this destination",
            Self::ReceiverRefused => "the event receiver rejected it",
            Self::ReceiverUnreachable => "the event receiver could not be reached",
            Self::KafkaFailed => "kafka did not accept it",
            Self::ShuttingDown => "cancelled by the shutdown of the gateway",
            Self::Abandoned => "abandoned",
        })
    }
}

impl From<DropReason> for Verdict {
    /// The verdict for a message that the HTTP sink dropped for this reason.
    fn from(reason: DropReason) -> Self {
        match reason {
            DropReason::NoError | DropReason::ExpectedCode => Self::Delivered,
            DropReason::FullQueue => Self::NotEnqueued,
            DropReason::Cancelled => Self::ShuttingDown,
            DropReason::Panic => Self::Abandoned,
            DropReason::Non202 => Self::ReceiverRefused,
            DropReason::KafkaSendFailure => Self::KafkaFailed,
            DropReason::UnroutableDestination
            | DropReason::Unknown
            | DropReason::UnsupportedEvent
            | DropReason::NoEndpoint
            | DropReason::SchemeNotAllowed
            | DropReason::DnsDisabled
            | DropReason::HostNotAllowed
            | DropReason::AddressNotPublic
            | DropReason::MalformedRequest => Self::NoRoute,
            DropReason::Encoding
            | DropReason::NoCredentials
            | DropReason::DeadlineExceeded
            | DropReason::Address
            | DropReason::ParseAddress
            | DropReason::InvalidAddress
            | DropReason::Dns
            | DropReason::HostNotFound
            | DropReason::ConnectionClosed
            | DropReason::Network
            | DropReason::UnknownNetwork
            | DropReason::UnexpectedEof => Self::ReceiverUnreachable,
        }
    }
}
