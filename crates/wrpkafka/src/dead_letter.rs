//! Dead letters: records that can never be delivered where they should go.

use std::fmt;

/// Why a record can never be delivered. The texts of [`DeadLetterReason::as_str`] are the values of the header
/// `dead-letter-reason` and of the metric label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadLetterReason {
    /// It is larger than `batchMaxBytes`, or than the broker takes.
    TooLarge,
    /// There is no such topic, nor was there any for as long as the record could wait.
    UnknownTopic,
    /// The publisher may not write to the topic, nor could it for as long as the record could wait.
    Unauthorized,
    /// The broker rejects the record for another reason, for good.
    BrokerRefused,
    /// The schema registry rejects the schema, the subject or the user.
    SchemaRefused,
    /// The schema registry cannot be reached, and the policy is not to wait for it.
    SchemaUnknown,
}

/// What became of a dead letter. The texts of [`DeadLetterOutcome::as_str`] are the values of the metric label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadLetterOutcome {
    /// A broker has acknowledged it.
    Delivered,
    /// It is lost: no broker took it, or there was no room for it.
    Lost,
    /// No topic for dead letters is configured.
    Discarded,
}

impl DeadLetterReason {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::TooLarge,
        Self::UnknownTopic,
        Self::Unauthorized,
        Self::BrokerRefused,
        Self::SchemaRefused,
        Self::SchemaUnknown,
    ];

    /// The reason's name as headers, metrics and logs show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::UnknownTopic => "unknown_topic",
            Self::Unauthorized => "unauthorized",
            Self::BrokerRefused => "broker_refused",
            Self::SchemaRefused => "schema_refused",
            Self::SchemaUnknown => "schema_unknown",
        }
    }

    /// The reason behind a broker's or the client's own error, by its name.
    pub(crate) fn of_code(code: &str) -> Self {
        match code {
            "MessageSizeTooLarge" | "MessageBatchTooLarge" | "InvalidMessageSize" => Self::TooLarge,
            "UnknownTopic" | "UnknownTopicOrPartition" | "UnknownPartition" | "InvalidTopic" => {
                Self::UnknownTopic
            }
            "TopicAuthorizationFailed" | "ClusterAuthorizationFailed" => Self::Unauthorized,
            _ => Self::BrokerRefused,
        }
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl DeadLetterOutcome {
    /// The outcome's name as metrics show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Lost => "lost",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for DeadLetterOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
