use std::fmt;

/// A request delivery response: what became of a message, in the `rdr` of its acknowledgement (contract §15.3).
///
/// 50 to 99 and 150 to 199 are the implementation's own.
///
/// ```
/// use wrp::Rdr;
///
/// assert!(Rdr::DELIVERED.is_delivered());
/// assert!(!Rdr::UNABLE_TO_ENQUEUE.is_delivered());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rdr(pub i64);

impl Rdr {
    /// It arrived, or is now the receiver's responsibility.
    pub const DELIVERED: Rdr = Rdr(0);
    /// The message's format is invalid.
    pub const INVALID_FORMAT: Rdr = Rdr(1);
    /// The message has no source.
    pub const MISSING_SOURCE: Rdr = Rdr(2);
    /// The message has no dest.
    pub const MISSING_DEST: Rdr = Rdr(3);
    /// The message is larger than the receiver takes.
    pub const TOO_LARGE: Rdr = Rdr(4);
    /// There was no room to queue it.
    pub const UNABLE_TO_ENQUEUE: Rdr = Rdr(100);
    /// The agent was disconnected for too long.
    pub const DISCONNECTED_TOO_LONG: Rdr = Rdr(101);
    /// A message of higher priority took its place.
    pub const DISPLACED: Rdr = Rdr(102);

    /// Whether this says that the message was delivered.
    pub const fn is_delivered(self) -> bool {
        self.0 == 0
    }
}

impl From<Rdr> for i64 {
    fn from(rdr: Rdr) -> i64 {
        rdr.0
    }
}

impl fmt::Display for Rdr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
