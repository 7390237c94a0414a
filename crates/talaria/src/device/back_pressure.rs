//! Back-pressure: whether a device waits until there is room for its messages.
//!
//! The dispatcher of messages asks a device to [wait](RoomWait::begin), and ends that when there is room. The
//! session reads nothing meanwhile. In ten seconds a device waits for a second at most in sum ([`WaitBudget`]): a burst is slowed
//! down, but an overload that lasts is shed by the queues, which know the levels of all messages. Messages that are not read wait
//! behind each other, whatever their level.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::random;

/// How long a device waits at most in a [`PERIOD`].
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// For how long a device that has used up its budget is not asked to wait again, and how long a budget lasts.
pub(super) const PERIOD: Duration = Duration::from_secs(10);

const READS: u8 = 0;
const WAITS: u8 = 1;
const HAS_WAITED: u8 = 2;

/// Whether a device waits.
#[derive(Debug, Default)]
pub(crate) struct RoomWait(AtomicU8);

/// How long a device may wait in this [`PERIOD`].
///
/// It is from half of [`LONGEST_WAIT`] to all of it, at random: when all devices wait for a receiver that is too slow, they do not
/// all send what they have kept back at the same moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitBudget {
    left: Duration,
    began: Instant,
}

impl WaitBudget {
    /// The budget for a wait that begins `now`: what is left of the one before, or a new one.
    pub(super) fn at(now: Instant, before: Option<Self>) -> Self {
        before.filter(|before| now < before.began + PERIOD).unwrap_or_else(|| Self {
            left: LONGEST_WAIT.mul_f64(0.5 + random::fraction() / 2.0),
            began: now,
        })
    }

    pub(super) const fn left(&self) -> Duration {
        self.left
    }

    /// The device has waited. Returns whether the budget is used up.
    pub(super) fn spend(&mut self, waited: Duration) -> bool {
        self.left = self.left.saturating_sub(waited);
        self.left.is_zero()
    }
}

/// How a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitEnd {
    /// There is room.
    Room,
    /// The device has used up its budget.
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
    /// Lets the device wait before its next message. Returns whether it does: not if it waits already, or has used up its
    /// budget.
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

    /// The device has used up its budget while it waited.
    pub(super) fn give_up(&self) {
        self.change(WAITS, HAS_WAITED);
    }

    /// The device has used up its budget when there was room.
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
