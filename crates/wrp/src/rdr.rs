//! Request delivery responses: the `rdr` of an acknowledgement (contract §15.3).
//!
//! These are the values that the protocol defines. The gateway's own, from 150 on, are defined in the gateway.

use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

/// The result of delivering a message, in the `rdr` of its acknowledgement (contract §15.3).
///
/// The values 50 to 99 and 150 to 199 are left to implementations.
///
/// ```
/// use wrp::Rdr;
///
/// assert!(Rdr::DELIVERED.is_delivered());
/// assert!(!Rdr::UNABLE_TO_ENQUEUE.is_delivered());
/// assert_eq!(Rdr::from(100), Rdr::UNABLE_TO_ENQUEUE);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rdr(pub i64);

impl Rdr {
    /// The message arrived, or its receiver has taken responsibility for it.
    pub const DELIVERED: Self = Self(0);
    /// The message's format is invalid.
    pub const INVALID_FORMAT: Self = Self(1);
    /// The message has no source.
    pub const MISSING_SOURCE: Self = Self(2);
    /// The message has no dest.
    pub const MISSING_DEST: Self = Self(3);
    /// The message is larger than the receiver accepts.
    pub const TOO_LARGE: Self = Self(4);
    /// The queue was full.
    pub const UNABLE_TO_ENQUEUE: Self = Self(100);
    /// The agent was disconnected for too long.
    pub const DISCONNECTED_TOO_LONG: Self = Self(101);
    /// A message of higher priority took its place in the queue.
    pub const DISPLACED: Self = Self(102);

    /// Whether the value is [`Rdr::DELIVERED`].
    #[must_use]
    pub const fn is_delivered(self) -> bool {
        self.0 == 0
    }
}

impl From<i64> for Rdr {
    fn from(value: i64) -> Self {
        Self(value)
    }
}

impl FromStr for Rdr {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

impl From<Rdr> for i64 {
    fn from(rdr: Rdr) -> Self {
        rdr.0
    }
}

impl fmt::Display for Rdr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
