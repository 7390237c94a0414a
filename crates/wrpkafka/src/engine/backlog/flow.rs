//! What a record meets that is submitted: the part of a lane's state that callers read without the lock.

/// What a record meets that is submitted to a lane now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Nothing waits: the record goes to the client, if there is room.
    Open = 0,
    /// Records wait for room: the record waits behind them, unless its level is low.
    Queued = 1,
    /// Records wait for a client or for a schema's id: records of every level wait.
    Suspended = 2,
    /// The topic cannot be written to: records wait, those of low level for a while.
    Failing = 3,
    /// The publisher does not run: the record is rejected.
    Closed = 4,
}
