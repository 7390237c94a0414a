//! The signals that a session can be given besides messages.

/// A signal of the wheel or of a budget to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(in crate::device) enum Signal {
    /// A ping is due.
    Ping = 1,
    /// The device has been silent for too long.
    Idle = 2,
    /// A write has been stuck for too long.
    Stalled = 4,
    /// The device's time to answer the closing handshake is over.
    Lingered = 8,
    /// The device's token has expired.
    Expired = 16,
    /// A message of the device has not arrived completely in time.
    SlowMessage = 32,
    /// The device's unfinished message is the largest when all of them are too much.
    UnfinishedTooMuch = 64,
    /// The device does not read, and most messages wait for it when all that wait are too much.
    UnreadTooMuch = 128,
    /// The session has ended, and its turn to be disconnected has come.
    MayEnd = 256,
}

/// A set of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::device) struct Signals(pub(super) u16);

impl Signals {
    pub(in crate::device) fn has(self, signal: Signal) -> bool {
        self.0 & signal as u16 != 0
    }
}
