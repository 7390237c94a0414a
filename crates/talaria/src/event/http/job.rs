//! An event that is to be posted to one URL.

use std::sync::Arc;

use bytes::Bytes;
use talaria_protocol::url::Target;
use tokio::time::Instant;
use wrp::DeviceId;

use super::device_share::DeviceSlot;
use crate::event::fair_queue::{Rank, Ranked};
use crate::event::finalizer::Share;
use crate::event::reason::SchemeLabel;
use crate::trace::Trace;

/// An event on its way to one URL.
pub(super) struct Job {
    pub(super) target: Arc<Target>,
    pub(super) body: Bytes,
    pub(super) scheme: SchemeLabel,
    pub(super) kind: JobKind,
    pub(super) rank: Rank,
    pub(super) deadline: Instant,
    /// How many attempts were made.
    pub(super) attempts: u32,
    pub(super) share: Option<Share>,
    /// The trace that it belongs to.
    pub(super) trace: Option<Trace>,
}

/// What an event is, and what it holds until it has ended.
pub(super) enum JobKind {
    /// A device's event for a URL that was configured.
    Event,
    /// The same, where the events of a device leave one after the other.
    Ordered(Box<OrderTurn>),
    /// For a URL that the device named, with the place in its share.
    Named(Box<DeviceSlot>),
    /// An online or offline event, with its turn once it has started.
    Status { _turn: Option<Box<EventTurn>> },
}

/// What became of an event that was to be queued.
#[derive(Default)]
pub(super) struct Pushed {
    /// The event itself, if the queue is closed or everything that could give way is more important.
    pub(super) refused: Option<Job>,
    /// Events that have given way to it.
    pub(super) displaced: Vec<Job>,
}

/// The turn of an event whose device has one event at a time under way to each receiver. When it is dropped, the next event of
/// the device may leave.
pub(super) struct OrderTurn {
    turn: EventTurn,
    /// An event that has not left the queue holds back no other one.
    has_begun: bool,
}

/// The turn of an event. When it is dropped, the next one of its device starts.
pub(super) struct EventTurn(Option<Box<dyn FnOnce() + Send>>);

impl Job {
    /// The device that named the URL.
    pub(super) fn device(&self) -> Option<&DeviceId> {
        match &self.kind {
            JobKind::Named(slot) => Some(slot.device()),
            JobKind::Event | JobKind::Ordered(_) | JobKind::Status { .. } => None,
        }
    }

    /// It has left the queue of new events.
    pub(super) fn begin_turn(&mut self) {
        if let JobKind::Ordered(turn) = &mut self.kind {
            turn.has_begun = true;
        }
    }

    /// Whether it is an online or offline event.
    pub(super) fn is_status(&self) -> bool {
        matches!(self.kind, JobKind::Status { .. })
    }
}

impl Pushed {
    pub(super) fn refused(job: Job) -> Self {
        Self { refused: Some(job), displaced: Vec::new() }
    }
}

impl Ranked for Job {
    fn rank(&self) -> Rank {
        self.rank
    }

    fn bytes(&self) -> usize {
        self.body.len()
    }
}

impl OrderTurn {
    pub(super) fn new(on_end: impl FnOnce() + Send + 'static) -> Self {
        Self { turn: EventTurn::new(on_end), has_begun: false }
    }
}

impl Drop for OrderTurn {
    fn drop(&mut self) {
        if !self.has_begun {
            self.turn.0 = None;
        }
    }
}

impl EventTurn {
    pub(super) fn new(on_end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(on_end)))
    }
}

impl Drop for EventTurn {
    fn drop(&mut self) {
        if let Some(on_end) = self.0.take() {
            on_end();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use wrp::QosLevel;

    use super::*;
    use crate::device::Owner;

    /// An event of this level and device.
    pub(in crate::event::http) fn job(level: QosLevel, device: u32) -> Job {
        Job {
            target: Arc::new(Target::parse("http://h/").unwrap()),
            body: Bytes::new(),
            scheme: SchemeLabel::Event,
            kind: JobKind::Event,
            rank: Rank { level, owner: Owner { partner: 0, device } },
            deadline: Instant::now(),
            attempts: 0,
            share: None,
            trace: None,
        }
    }
}
