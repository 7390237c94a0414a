//! The way into the backlog: to the client at once, or into the lane of its topic.

use std::future::Future;
use std::sync::Arc;

use wrp::QosLevel;

use super::flow::Flow;
use super::lanes::{Overflow, Phase, Pushed};
use super::outlet::{NotSent, send};
use super::primitives::{Event as _, Lock as _, Primitives, Slot as _};
use super::queue::Waiting;
use super::{Backlog, Failed, Unreported};
use crate::delivery::{DeliveryContext, RecordRef};
use crate::error::PublishError;
use crate::schema::Frame;

/// Why a record was not accepted.
enum NotAccepted {
    /// Neither the client nor the lane has room.
    NoRoom(Waiting),
    Failed(Failed),
}

impl<P: Primitives> Backlog<P> {
    /// Sends a record, or lets it wait as its level allows. A full lane evicts other records. Never waits itself.
    pub(crate) fn submit(
        &self,
        record: RecordRef<'_>,
        context: Box<DeliveryContext>,
        unreported: &mut Unreported,
    ) -> Result<(), (Box<DeliveryContext>, PublishError)> {
        let (context, flow) = match self.send_or_defer(record, context, unreported) {
            Ok(()) => return Ok(()),
            Err(NotSent::Rejected(context, error)) => return Err((context, error)),
            Err(NotSent::TopicFailed(context, error)) => {
                let waiting = Waiting { record: record.to_record(), context };
                let closed = |waiting: Waiting| (waiting.context, PublishError::Stopped);
                return self.put_back_failed(waiting, &error, unreported).map_err(closed);
            }
            Err(NotSent::MustWait(context, flow)) => (context, flow),
        };
        if context.level == QosLevel::Low {
            let (id, now) = (context.target.lane(), context.submitted);
            // A lane with a window has records that wait also where there is room.
            let may_wait = context.frame == Frame::Open
                || !matches!(flow, Flow::Open | Flow::Queued)
                || self.lane(id).has_window();
            let refused = match flow {
                Flow::Failing => self.locked.with(|locked| locked.refuses_low(id, now)),
                _ => (!may_wait).then_some(PublishError::BufferFull),
            };
            if let Some(error) = refused {
                return Err((context, error));
            }
        }
        let waiting = Waiting { record: record.to_record(), context };
        self.enqueue(waiting, Overflow::Evict, unreported).map_err(|not_accepted| match not_accepted {
            NotAccepted::NoRoom(waiting) => (waiting.context, PublishError::BufferFull),
            NotAccepted::Failed((waiting, error)) => (waiting.context, error),
        })
    }

    /// Sends a record as soon as the client or its lane has room for it. Evicts no other record, and lets records of any
    /// level wait. `report` gets what is to be reported meanwhile.
    ///
    /// If the future is dropped before, the record is dropped.
    pub(crate) async fn submit_when_room(
        &self,
        mut waiting: Waiting,
        report: impl Fn(Unreported),
    ) -> Result<(), Failed> {
        loop {
            waiting = match self.try_submit(waiting, &report) {
                Ok(()) => return Ok(()),
                Err(NotAccepted::NoRoom(waiting)) => waiting,
                Err(NotAccepted::Failed(failed)) => return Err(failed),
            };
            // Once more, now that nothing is missed any more: point 1 of the protocol.
            let room = self.room();
            waiting = match self.try_submit(waiting, &report) {
                Ok(()) => return Ok(()),
                Err(NotAccepted::NoRoom(waiting)) => waiting,
                Err(NotAccepted::Failed(failed)) => return Err(failed),
            };
            room.await;
        }
    }

    fn try_submit(&self, waiting: Waiting, report: &impl Fn(Unreported)) -> Result<(), NotAccepted> {
        let Waiting { record, context } = waiting;
        let target = Arc::clone(&context.target);
        let mut unreported = Unreported::default();
        let result = match self.send_or_defer(record.as_ref(&target), context, &mut unreported) {
            Ok(()) => Ok(()),
            Err(NotSent::Rejected(context, error)) => {
                Err(NotAccepted::Failed((Waiting { record, context }, error)))
            }
            Err(NotSent::TopicFailed(context, error)) => self
                .put_back_failed(Waiting { record, context }, &error, &mut unreported)
                .map_err(|waiting| NotAccepted::Failed((waiting, PublishError::Stopped))),
            Err(NotSent::MustWait(context, _)) => {
                self.enqueue(Waiting { record, context }, Overflow::Reject, &mut unreported)
            }
        };
        report(unreported);
        result
    }

    /// Ready when there may be room again for a record that finds none *after* this call.
    fn room(&self) -> impl Future<Output = ()> + Send {
        // In this order: the thread that finds the bit notifies, and reaches this future.
        let room_made = self.room_made.notified();
        self.capacity.add_caller();
        room_made
    }

    /// Sends a record that came just now, if nothing waits in its lane and there is room.
    fn send_or_defer(
        &self,
        record: RecordRef<'_>,
        mut context: Box<DeliveryContext>,
        unreported: &mut Unreported,
    ) -> Result<(), NotSent> {
        if context.frame == Frame::Open {
            return Err(NotSent::MustWait(context, Flow::Open));
        }
        let (bytes, id) = (context.bytes(), context.target.lane());
        let lane = self.lane(id);
        // The client first, then the lane: point 4 of the protocol.
        let sent = self.client.with(|client| {
            let share = self.share();
            if let Err(flow) = lane.admits(bytes, share) {
                return Err((NotSent::MustWait(context, flow), false));
            }
            if !self.capacity.reserve(bytes) {
                return Err((NotSent::MustWait(context, Flow::Open), false));
            }
            if let Err(flow) = lane.add_if_open(bytes, share) {
                return Err((NotSent::MustWait(context, flow), self.free_room(bytes)));
            }
            context.sequence = self.next_sequence();
            send(client, record, context).map_err(|not_sent| (not_sent, self.free(id, bytes).is_wanted))
        });
        sent.map_err(|(not_sent, is_wanted)| {
            if is_wanted {
                self.pump(unreported);
            }
            not_sent
        })
    }

    /// Lets a record wait that came just now, and sends what there is room for.
    fn enqueue(
        &self,
        mut waiting: Waiting,
        overflow: Overflow,
        unreported: &mut Unreported,
    ) -> Result<(), NotAccepted> {
        let room_made = self.locked.with(|locked| {
            if locked.phase == Phase::Closed {
                return Err(NotAccepted::Failed((waiting, PublishError::Stopped)));
            }
            let id = waiting.context.target.lane();
            if overflow == Overflow::Reject && !locked.has_room(id, waiting.held()) {
                return Err(NotAccepted::NoRoom(waiting));
            }
            waiting.context.sequence = self.next_sequence();
            match locked.push(waiting) {
                Pushed::Full(waiting) => return Err(NotAccepted::NoRoom(waiting)),
                Pushed::Queued(evicted) => {
                    unreported
                        .failed
                        .extend(evicted.into_iter().map(|waiting| (waiting, PublishError::Displaced)));
                }
            }
            self.note_waiting(locked, id);
            Ok(self.pump_locked(locked, unreported))
        })?;
        if room_made {
            self.wake_callers();
        }
        Ok(())
    }
}
