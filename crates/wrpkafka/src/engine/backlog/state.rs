//! What the backlog's lock guards.

use super::flow::Flow;
use super::queue::WaitingQueue;

pub(crate) struct Locked {
    pub(super) queue: WaitingQueue,
    pub(super) phase: Phase,
    /// The word's flow, which changes only with the lock held.
    pub(super) flow: Flow,
}

/// Whether records leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// The client is being replaced: nothing leaves.
    Held,
    /// The publisher does not run: nothing enters.
    Closed,
}
