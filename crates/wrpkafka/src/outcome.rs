//! The outcome of a publish call.

use std::fmt;

/// How a publish call ended (contract §8.9).
///
/// The texts of [`Outcome::as_str`] are the values of the metric label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The brokers have acknowledged every record of the message.
    Accepted,
    /// The records are buffered and will be retried until the delivery timeout, if there is one.
    Queued,
    /// The records were offered to the client once, and were dropped if it had no room.
    Attempted,
    /// At least one record of a message that asked for an acknowledgement will never get it.
    Failed,
    /// Every route that matches the message rejects it by its filter, so it becomes no record.
    Filtered,
}

impl Outcome {
    /// Every outcome, in the order of the enum.
    pub const ALL: [Self; 5] = [Self::Accepted, Self::Queued, Self::Attempted, Self::Failed, Self::Filtered];

    /// The outcome's name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Queued => "Queued",
            Self::Attempted => "Attempted",
            Self::Failed => "Failed",
            Self::Filtered => "Filtered",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
