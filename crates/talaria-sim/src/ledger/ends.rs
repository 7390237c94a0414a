//! The ends at which a message or its acknowledgement arrives.

use serde::{Deserialize, Serialize};

/// A place where a message, or its acknowledgement, arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The event receiver.
    Http,
    /// The Kafka topic.
    Kafka,
    /// The device that sent the message, where its acknowledgement arrives.
    Ack,
}

impl End {
    /// All ends.
    pub const ALL: [Self; 3] = [Self::Http, Self::Kafka, Self::Ack];

    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends(pub(super) u8);

impl Ends {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Adds `end`, if `condition` is true.
    #[must_use]
    pub const fn with(self, end: End, condition: bool) -> Self {
        if condition { Self(self.0 | end.bit()) } else { self }
    }

    /// Whether the set contains `end`.
    #[must_use]
    pub const fn has(self, end: End) -> bool {
        self.0 & end.bit() != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
