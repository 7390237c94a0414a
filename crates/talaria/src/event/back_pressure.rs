//! Whether a sink has room for more messages of a device: if no sink has, the device waits a moment before its next one
//! (`device/back_pressure.rs`).

/// The room of one sink for messages like the one that it has just been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// The message did not go to this sink.
    Unused,
    /// There is room.
    Free,
    /// There is little room, or none.
    Scarce,
}
