//! The errors of the public interface: of a message or record ([`PublishError`]) and of a start ([`StartError`]).
//!
//! The texts and the classes ([`ErrorType`]) that operators see are written here and nowhere else. Errors of a configuration
//! are in [`config`](crate::config).

use std::fmt;
use std::sync::Arc;

use crate::dead_letter::DeadLetterReason;

/// Why a message, or one record of it, was not published.
///
/// Cheap to clone: the same error goes to the caller, to the receipt and to the listeners.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// [`Publisher::start`](crate::Publisher::start) was not called yet.
    #[error("the kafka publisher is not started")]
    NotStarted,
    /// The publisher was stopped, or was stopped before the record could be delivered.
    #[error("the kafka publisher was stopped before the record was delivered")]
    Stopped,
    /// The message's destination is not a WRP locator, so it has no event type to route by.
    #[error("invalid destination `{destination}`: {problem}")]
    InvalidDestination {
        /// The destination; bytes that are not UTF-8 are replaced.
        destination: Arc<str>,
        /// What is wrong with it.
        problem: Arc<str>,
    },
    /// No route's pattern matches the message's event type.
    #[error("no topic route matches event type `{event_type}`")]
    NoTopicMatch {
        /// The authority of the message's destination.
        event_type: Arc<str>,
    },
    /// The message lacks the route's hash key, and records without a key are denied (`denyNilPartitionKey`).
    #[error("the message has no hash key `{hash_key}` and records without a key are denied")]
    MissingHashKey {
        /// The route's hash key, as configured.
        hash_key: Arc<str>,
    },
    /// The strategy chose one of the route's topics that is configured as an empty text, which the reference allows.
    #[error("the chosen topic has no name: one of the route's topics is empty")]
    EmptyTopic,
    /// The client's buffer has no room for the record; from QoS 25 on, neither has the backlog.
    #[error("the kafka buffer is full")]
    BufferFull,
    /// The record waited for room and was dropped in favour of one of a higher QoS.
    #[error("a record of higher priority took the place of this one")]
    Displaced,
    /// The record's delivery timeout passed before a broker acknowledged it.
    #[error("the record was not delivered within its delivery timeout")]
    Timeout,
    /// The record is larger than `batchMaxBytes` or the whole buffer: retrying is useless.
    #[error("MESSAGE_TOO_LARGE: a record of {size} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The record's key, value and headers, in bytes.
        size: usize,
        /// The limit it exceeds, in bytes.
        limit: usize,
    },
    /// The schema registry rejects the schema, the subject or the user. It is asked again once a minute.
    #[error("the schema registry refuses the schema of subject `{subject}`: {status}: {reason}")]
    SchemaRefused {
        /// The subject of the record's schema.
        subject: Arc<str>,
        /// The HTTP status: 401 or 403 for the user, 404 not registered, 409 incompatible, 422 invalid.
        status: u16,
        /// The registry's own text.
        reason: Arc<str>,
    },
    /// The schema registry cannot be reached, the schema's id is not known yet, and `whenDown` is not to wait.
    #[error(
        "the id of the schema of subject `{subject}` is not known: the schema registry cannot be reached"
    )]
    SchemaUnknown {
        /// The subject of the record's schema.
        subject: Arc<str>,
    },
    /// The brokers, or the client on their behalf, rejected the record finally.
    #[error("{code}: {reason}")]
    Broker {
        /// Kafka's name of the error, such as `UnknownTopicOrPartition`.
        code: Arc<str>,
        /// Kafka's description of it.
        reason: Arc<str>,
    },
}

impl PublishError {
    /// The error's class, for events and metrics.
    #[must_use]
    pub fn error_type(&self) -> ErrorType {
        match self {
            Self::NotStarted | Self::Stopped => ErrorType::NotStarted,
            Self::InvalidDestination { .. } | Self::MissingHashKey { .. } => ErrorType::ValidationError,
            Self::NoTopicMatch { .. } => ErrorType::NoTopicMatch,
            Self::EmptyTopic => ErrorType::Unknown,
            Self::SchemaRefused { .. } | Self::SchemaUnknown { .. } => ErrorType::EncodingError,
            Self::BufferFull | Self::Displaced => ErrorType::BufferFull,
            Self::Timeout => ErrorType::Timeout,
            Self::TooLarge { .. } | Self::Broker { .. } => ErrorType::BrokerError,
        }
    }
}

impl PublishError {
    /// Whether the same message may be delivered if it is published again: there was no room, no time, or no publisher that
    /// ran. The other errors concern the message, the configuration or what the brokers decided finally.
    ///
    /// ```
    /// use wrpkafka::PublishError;
    ///
    /// assert!(PublishError::Timeout.is_retryable());
    /// assert!(!PublishError::TooLarge { size: 2_000_000, limit: 1_000_000 }.is_retryable());
    /// ```
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotStarted | Self::Stopped | Self::BufferFull | Self::Displaced | Self::Timeout => true,
            Self::SchemaUnknown { .. } => true,
            Self::InvalidDestination { .. } | Self::NoTopicMatch { .. } | Self::MissingHashKey { .. } => {
                false
            }
            Self::EmptyTopic | Self::TooLarge { .. } | Self::SchemaRefused { .. } | Self::Broker { .. } => {
                false
            }
        }
    }

    /// Why the record is a dead letter; none if it might have been delivered at another time.
    #[must_use]
    pub fn dead_letter_reason(&self) -> Option<DeadLetterReason> {
        match self {
            Self::TooLarge { .. } => Some(DeadLetterReason::TooLarge),
            Self::SchemaRefused { .. } => Some(DeadLetterReason::SchemaRefused),
            Self::SchemaUnknown { .. } => Some(DeadLetterReason::SchemaUnknown),
            Self::Broker { code, .. } => Some(DeadLetterReason::of_code(code)),
            _ => None,
        }
    }
}

/// The classes of errors in publish events and in the metric label `error_type` (contract §8.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// The record's value cannot be written: the schema registry rejects the schema or its id is unknown.
    EncodingError,
    /// No route matched.
    NoTopicMatch,
    /// No room for the record.
    BufferFull,
    /// The brokers rejected the record.
    BrokerError,
    /// The delivery timeout passed.
    Timeout,
    /// A metadata field that a strategy needs is missing. Never reported: ours falls back to round robin.
    MissingMetadataField,
    /// The message cannot be routed.
    ValidationError,
    /// The publisher is not running.
    NotStarted,
    /// The publisher was started twice.
    AlreadyStarted,
    /// Anything else.
    Unknown,
}

impl ErrorType {
    /// Every error type, in the contract's order.
    pub const ALL: [Self; 10] = [
        Self::EncodingError,
        Self::NoTopicMatch,
        Self::BufferFull,
        Self::BrokerError,
        Self::Timeout,
        Self::MissingMetadataField,
        Self::ValidationError,
        Self::NotStarted,
        Self::AlreadyStarted,
        Self::Unknown,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EncodingError => "encoding_error",
            Self::NoTopicMatch => "no_topic_match",
            Self::BufferFull => "buffer_full",
            Self::BrokerError => "broker_error",
            Self::Timeout => "timeout",
            Self::MissingMetadataField => "missing_metadata_field",
            Self::ValidationError => "validation_error",
            Self::NotStarted => "not_started",
            Self::AlreadyStarted => "already_started",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why [`Publisher::start`](crate::Publisher::start) failed. That no broker can be reached is not an error: records wait.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The publisher is running.
    #[error("the kafka publisher is already started")]
    AlreadyStarted,
    /// A file that the configuration names cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The Kafka client rejects its settings, for example a key that does not belong to its certificate.
    #[error("the kafka client refuses its settings: {0}")]
    Client(String),
    /// The operating system gives no thread.
    #[error("the kafka client's thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
    /// The schema registry's settings cannot be used, for example a file that cannot be read. That the registry does not
    /// answer is not an error.
    #[error("the schema registry cannot be used: {0}")]
    SchemaRegistry(String),
}

/// Why [`Publisher::flush`](crate::Publisher::flush) ended with records left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The publisher was not started, or was stopped meanwhile.
    #[error("the kafka publisher is not running")]
    NotRunning,
    /// The time is over.
    #[error("{records} records were not acknowledged in time")]
    TimedOut {
        /// The records that are left, waiting ones included.
        records: u64,
    },
}

/// A file that the configuration names and that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot read `{path}`: {error}")]
pub struct FileError {
    /// The key that names the file, relative to the `kafka` section: `tls.caFile`.
    pub key: &'static str,
    /// The file's path.
    pub path: String,
    /// Why it cannot be read.
    #[source]
    pub error: std::io::Error,
}

impl StartError {
    /// Whether the configuration, or a file that it names, is at fault.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::File(_) | Self::Client(_))
    }

    /// The error's class, for events and metrics.
    #[must_use]
    pub fn error_type(&self) -> ErrorType {
        match self {
            Self::AlreadyStarted => ErrorType::AlreadyStarted,
            Self::File(_) | Self::Client(_) | Self::Thread(_) | Self::SchemaRegistry(_) => ErrorType::Unknown,
        }
    }
}
