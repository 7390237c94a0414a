use std::fmt;

/// What became of a publish call (contract §8.9).
///
/// The texts of [`Outcome::as_str`] are the values of the metric label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The broker has acknowledged every record of the message.
    Accepted,
    /// The records are buffered and will be retried until the delivery timeout, which may be never.
    Queued,
    /// The records were offered to the client once, and dropped if there was no room.
    Attempted,
    /// At least one record of a message that asked for an acknowledgement will never get it.
    Failed,
    /// The filters of all routes that match the message turned its sender away: it goes nowhere, as was configured.
    Filtered,
}

impl Outcome {
    /// Every outcome, in the order of the enum: for those who register a metric for each.
    pub const ALL: [Outcome; 5] =
        [Outcome::Accepted, Outcome::Queued, Outcome::Attempted, Outcome::Failed, Outcome::Filtered];

    /// The outcome's name as metrics and logs show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Accepted => "Accepted",
            Outcome::Queued => "Queued",
            Outcome::Attempted => "Attempted",
            Outcome::Failed => "Failed",
            Outcome::Filtered => "Filtered",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
