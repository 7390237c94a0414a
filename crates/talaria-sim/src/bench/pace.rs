//! The two ways in which a load is sent: a closed loop and an open one.

/// How fast events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As fast as the gateway takes them: the next one when there is room in the window (a closed loop).
    FlatOut,
    /// So many a second, whatever becomes of them (an open loop).
    PerSecond(u32),
}
