//! The fate of one message that wants an acknowledgement, shared by the sinks that carry it.

use std::fmt;

/// What became of a message: the `rdr` of its acknowledgement (contract §15).
///
/// Codes below 150 are the WRP specification's; those from 150 on are this gateway's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// 0: every sink that decides has it safely.
    Delivered,
    /// 3: the message names no destination.
    MissingDest,
    /// 4: larger than a sink takes.
    TooLarge,
    /// 100: a queue, or what one device may have unacknowledged, is full.
    NotEnqueued,
    /// 102: a message of a higher level took its place.
    Displaced,
    /// 150: nothing is configured that takes messages for this destination.
    NoRoute,
    /// 151: the event receiver answered, but not with 202.
    ReceiverRefused,
    /// 152: no answer came from the event receiver in time, or none could come.
    ReceiverUnreachable,
    /// 153: Kafka failed to take it.
    KafkaFailed,
    /// 154: the gateway is shutting down.
    ShuttingDown,
    /// 155: a sink gave it up without saying why. Never meant to be seen.
    Abandoned,
}

impl Verdict {
    /// The number in the acknowledgement.
    pub const fn rdr(self) -> i64 {
        match self {
            Self::Delivered => 0,
            Self::MissingDest => 3,
            Self::TooLarge => 4,
            Self::NotEnqueued => 100,
            Self::Displaced => 102,
            Self::NoRoute => 150,
            Self::ReceiverRefused => 151,
            Self::ReceiverUnreachable => 152,
            Self::KafkaFailed => 153,
            Self::ShuttingDown => 154,
            Self::Abandoned => 155,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivered => "delivered",
            Self::MissingDest => "the message names no destination",
            Self::TooLarge => "the message is too large",
            Self::NotEnqueued => "no room to queue the message",
            Self::Displaced => "displaced by a message of a higher level",
            Self::NoRoute => "nothing takes messages for this destination",
            Self::ReceiverRefused => "the event receiver refused it",
            Self::ReceiverUnreachable => "the event receiver could not be reached",
            Self::KafkaFailed => "kafka failed to take it",
            Self::ShuttingDown => "the gateway is shutting down",
            Self::Abandoned => "given up",
        })
    }
}
