//! The events of a queue: those that wait, and which of them may be posted now.

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::url::Target;
use tokio::time::Instant;

use super::health::Report;
use super::job::{Job, Pushed};
use super::named_events::NamedEvents;
use super::receiver::{Ended, StartedRequest};
use super::receivers::{Receivers, Released};
use super::turns;
use crate::device::{Device, Owner};

/// New events, and those that wait for another attempt.
pub(super) enum Backlog {
    /// Configured receivers take turns, each with its own queue.
    ByReceiver(Receivers),
    /// Devices take turns.
    Named(NamedEvents),
}

/// A request that runs.
pub(super) enum Started {
    ToReceiver(StartedRequest),
    ToNamedHost(turns::Started),
}

impl Started {
    /// How long the request may take, if that is less than its event.
    pub(super) const fn time(&self) -> Option<Duration> {
        match self {
            Self::ToReceiver(started) => started.time,
            Self::ToNamedHost(_) => None,
        }
    }

    /// As many events that wait may be sent in its packet.
    pub(super) const fn further(&self) -> usize {
        match self {
            Self::ToReceiver(started) => started.further,
            Self::ToNamedHost(_) => 0,
        }
    }
}

impl Backlog {
    /// Queues a new event.
    pub(super) fn push_fresh(&mut self, job: Job) -> Pushed {
        match self {
            Self::ByReceiver(receivers) => receivers.push_fresh(job),
            Self::Named(named) => named.push_fresh(job),
        }
    }

    /// Whether there is little room for new events.
    pub(super) fn is_nearly_full(&self) -> bool {
        match self {
            Self::ByReceiver(receivers) => receivers.is_nearly_full(),
            // Each device has its own bound.
            Self::Named(_) => false,
        }
    }

    /// Lets a device wait before its next event if there is little room for events to each of these targets.
    pub(super) fn wait_for_room<'a>(
        &mut self,
        mut targets: impl Iterator<Item = &'a Arc<Target>>,
        device: &Arc<Device>,
    ) {
        let Self::ByReceiver(receivers) = self else { return };
        if let Some(first) = targets.next().filter(|first| receivers.has_little_room(first))
            && targets.all(|target| receivers.has_little_room(target))
        {
            receivers.wait_for_room(first, device);
        }
    }

    /// The devices that may be read again.
    pub(super) fn take_freed(&mut self) -> Vec<Arc<Device>> {
        match self {
            Self::ByReceiver(receivers) => receivers.take_freed(),
            Self::Named(_) => Vec::new(),
        }
    }

    /// Queues an online or offline event.
    pub(super) fn push_status(&mut self, job: Job) {
        match self {
            Self::ByReceiver(receivers) => receivers.push_status(job),
            Self::Named(named) => named.push_status(job),
        }
    }

    /// Keeps an event for another attempt at `due`.
    pub(super) fn push_retry(&mut self, due: Instant, job: Job) -> Pushed {
        match self {
            Self::ByReceiver(receivers) => receivers.push_retry(due, job),
            Self::Named(named) => named.push_retry(due, job),
        }
    }

    /// An event of this owner to this target has ended, after which the next one may leave.
    pub(super) fn turn_ended(&mut self, target: &Arc<Target>, owner: Owner) {
        match self {
            Self::ByReceiver(receivers) => receivers.turn_ended(target, owner),
            Self::Named(_) => {}
        }
    }

    /// Lets what is due at `now` go on.
    pub(super) fn release(&mut self, now: Instant) -> Released {
        match self {
            Self::ByReceiver(receivers) => receivers.release(now),
            Self::Named(named) => named.release(now),
        }
    }

    /// The runtime was late by so much: answers may have waited for their turns.
    pub(super) fn was_late(&mut self, late: Duration) {
        match self {
            Self::ByReceiver(receivers) => receivers.was_late(late),
            // Their requests have a fixed bound.
            Self::Named(_) => {}
        }
    }

    /// Retries wait no longer than until `now`.
    pub(super) fn hurry(&mut self, now: Instant) {
        match self {
            Self::ByReceiver(receivers) => receivers.hurry(now),
            Self::Named(named) => named.hurry(now),
        }
    }

    /// The next event that may be posted. [`ended`](Self::ended) must be called with what is returned with it.
    pub(super) fn take(&mut self, clock: impl Fn() -> Instant) -> Option<(Job, Started)> {
        match self {
            Self::ByReceiver(receivers) => {
                receivers.take(clock).map(|(job, started)| (job, Started::ToReceiver(started)))
            }
            Self::Named(named) => named.take().map(|(job, started)| (job, Started::ToNamedHost(started))),
        }
    }

    /// The next event that may be sent in the packet of this request.
    pub(super) fn take_further(
        &mut self,
        started: &Started,
        clock: impl Fn() -> Instant,
    ) -> Option<(Job, Started)> {
        match (self, started) {
            (Self::ByReceiver(receivers), Started::ToReceiver(started)) => receivers
                .take_further(started.receiver, clock)
                .map(|(job, started)| (job, Started::ToReceiver(started))),
            (Self::ByReceiver(_), Started::ToNamedHost(_)) | (Self::Named(_), _) => None,
        }
    }

    /// The receiver of this target did not bear several requests in one packet. Returns how long it gets one at a time, if that has
    /// begun now.
    pub(super) fn pipelining_failed(&mut self, target: &Arc<Target>, now: Instant) -> Option<Duration> {
        match self {
            Self::ByReceiver(receivers) => receivers.pipelining_failed(target, now),
            Self::Named(_) => None,
        }
    }

    /// Whether there is an event that may be posted.
    pub(super) fn can_start(&mut self, clock: impl Fn() -> Instant) -> bool {
        match self {
            Self::ByReceiver(receivers) => receivers.can_start(clock),
            Self::Named(named) => named.can_start(),
        }
    }

    /// When the next event may be posted that had to wait for the pace of its receiver.
    pub(super) fn paced_until(&self) -> Option<Instant> {
        match self {
            Self::ByReceiver(receivers) => receivers.paced_until(),
            Self::Named(_) => None,
        }
    }

    /// A request has ended.
    pub(super) fn ended(&mut self, started: &Started, report: &Report) -> Ended {
        match (self, started) {
            (Self::ByReceiver(receivers), Started::ToReceiver(started)) => receivers.ended(*started, report),
            (Self::Named(named), Started::ToNamedHost(started)) => {
                named.ended(started);
                Ended::default()
            }
            (Self::ByReceiver(_), Started::ToNamedHost(_)) | (Self::Named(_), Started::ToReceiver(_)) => {
                Ended::default()
            }
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::ByReceiver(receivers) => receivers.is_empty(),
            Self::Named(named) => named.is_empty(),
        }
    }

    /// Removes all events.
    pub(super) fn drain(&mut self) -> Vec<Job> {
        match self {
            Self::ByReceiver(receivers) => receivers.drain(),
            Self::Named(named) => named.drain(),
        }
    }
}
