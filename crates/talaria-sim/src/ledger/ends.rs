//! Where a message can be seen to arrive.

use serde::{Deserialize, Serialize};

/// A place where a message, or the answer to it, can be seen to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The event receiver.
    Http,
    /// The Kafka topic.
    Kafka,
    /// The device itself, which got the acknowledgement.
    Ack,
}

impl End {
    /// Every end, in the order of their counters.
    pub const ALL: [End; 3] = [End::Http, End::Kafka, End::Ack];

    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The ends that a message must reach before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends(pub(super) u8);

impl Ends {
    /// No end.
    pub const NONE: Ends = Ends(0);

    /// These, and `end` if `wanted`.
    #[must_use]
    pub const fn with(self, end: End, wanted: bool) -> Self {
        if wanted { Self(self.0 | end.bit()) } else { self }
    }

    /// Whether `end` is one of these.
    #[must_use]
    pub const fn has(self, end: End) -> bool {
        self.0 & end.bit() != 0
    }

    /// Whether there is no end in here.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
