//! The order of a device's events: `device.outbound.order`.

/// Whether the events of a device may overtake each other after they have left the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// They may: several of them are on their way at the same time.
    #[default]
    None,
    /// The next event of a device leaves the queue when the one before it has ended.
    Device,
}
