//! Back-pressure: whether a device waits until there is room for its messages.
//!
//! The dispatcher of messages asks a device to [wait](RoomWait::begin), and ends that when there is room. The
//! session reads nothing meanwhile, for a second at most: then it reads on, and the device is not asked again for ten seconds, so
//! that a receiver which accepts nothing does not slow down devices for long. Nor is it asked again for that time after five
//! seconds of waiting in sum.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How long a device waits at most.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// For how long a device that has waited in vain is not asked to wait again.
pub(super) const NOT_AGAIN: Duration = Duration::from_secs(10);

/// How long a device waits in sum before it is not asked again. An overload that lasts is shed by the queues, which know the
/// levels of all messages; unread messages wait behind each other.
pub(super) const MOST_WAITED: Duration = Duration::from_secs(5);

const READS: u8 = 0;
const WAITS: u8 = 1;
const HAS_WAITED: u8 = 2;

/// Whether a device waits.
#[derive(Debug, Default)]
pub(crate) struct RoomWait(AtomicU8);

/// How a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitEnd {
    /// There is room.
    Room,
    /// The device has waited for long enough.
    Timeout,
}

impl WaitEnd {
    /// The label `ended` of `device_waits_for_room_total`.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Timeout => "timeout",
        }
    }
}

impl RoomWait {
    /// Lets the device wait before its next message. Returns whether it does: not if it waits already, or has just waited in
    /// vain.
    pub(crate) fn begin(&self) -> bool {
        self.change(READS, WAITS)
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Acquire) == WAITS
    }

    /// There is room. Returns whether the device has waited for it.
    pub(super) fn end(&self) -> bool {
        self.change(WAITS, READS)
    }

    /// The device has waited for long enough.
    pub(super) fn give_up(&self) {
        self.change(WAITS, HAS_WAITED);
    }

    /// The device has waited for long enough in sum.
    pub(super) fn refrain(&self) {
        self.change(READS, HAS_WAITED);
    }

    /// The device may be asked to wait again.
    pub(super) fn allow(&self) {
        self.change(HAS_WAITED, READS);
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
