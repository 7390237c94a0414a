//! What accompanies a record through the client and comes back with its fate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use smallvec::SmallVec;
use wrp::QosLevel;

use crate::dead_letter::DeadLetterReason;
use crate::error::PublishError;
use crate::outcome::Outcome;
use crate::publisher::Receipt;
use crate::route::Target;
use crate::schema::Frame;

/// An event type, without the heap for all that occur in practice.
type EventType = SmallVec<[u8; 32]>;

/// The one allocation of a record: the client's opaque pointer is the box of this.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) target: Arc<Target>,
    event_type: EventType,
    pub(crate) level: QosLevel,
    /// What the record takes of the buffer.
    pub(crate) bytes: usize,
    /// The place in the order in which records were handed over; what is sent again keeps it.
    pub(crate) sequence: u64,
    /// How often it was handed to a client.
    pub(crate) attempts: u64,
    pub(crate) submitted: Instant,
    /// What the record's value still lacks.
    pub(crate) frame: Frame,
    /// Why this record is a dead letter, if it is one.
    pub(crate) dead_letter: Option<DeadLetterReason>,
    share: Share,
}

impl Ticket {
    pub(crate) fn new(
        target: Arc<Target>,
        event_type: &str,
        level: QosLevel,
        submitted: Instant,
        share: Share,
    ) -> Box<Ticket> {
        Box::new(Ticket {
            target,
            event_type: EventType::from_slice(event_type.as_bytes()),
            level,
            bytes: 0,
            sequence: 0,
            attempts: 0,
            submitted,
            frame: Frame::Closed,
            dead_letter: None,
            share,
        })
    }

    pub(crate) fn event_type(&self) -> &str {
        str::from_utf8(&self.event_type).unwrap_or_default()
    }

    /// Tells the message's receipt.
    pub(crate) fn settle(self, result: Result<(), PublishError>) {
        self.share.settle(result);
    }
}

/// A record's share of its message's receipt. Dropping it unsettled settles it as failed, so that forgetting to answer
/// cannot turn into a lie.
#[derive(Debug, Default)]
pub(crate) struct Share(Option<Holder>);

enum Holder {
    /// The message has one record.
    Sole(Mutex<Receipt>),
    /// The message has several.
    Fanout(Arc<Fanout>),
}

impl std::fmt::Debug for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Holder::Sole(_) => "Sole",
            Holder::Fanout(_) => "Fanout",
        })
    }
}

/// The receipt of a message with several records.
struct Fanout {
    left: AtomicUsize,
    state: Mutex<FanoutState>,
}

struct FanoutState {
    receipt: Option<Receipt>,
    /// The first record's that failed.
    error: Option<PublishError>,
}

impl Share {
    /// The shares of a receipt for this many records.
    pub(crate) fn split(receipt: Option<Receipt>, records: usize) -> impl Iterator<Item = Share> {
        let holder = receipt.map(|receipt| {
            if records == 1 {
                return Holder::Sole(Mutex::new(receipt));
            }
            let state = Mutex::new(FanoutState { receipt: Some(receipt), error: None });
            Holder::Fanout(Arc::new(Fanout { left: AtomicUsize::new(records), state }))
        });
        let mut holder = holder;
        (0..records).map(move |_| match &holder {
            None => Share(None),
            Some(Holder::Fanout(fanout)) => Share(Some(Holder::Fanout(Arc::clone(fanout)))),
            Some(Holder::Sole(_)) => Share(holder.take()),
        })
    }

    fn settle(mut self, result: Result<(), PublishError>) {
        if let Some(holder) = self.0.take() {
            holder.settle(result);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(holder) = self.0.take() {
            holder.settle(Err(PublishError::Stopped));
        }
    }
}

impl Holder {
    fn settle(self, result: Result<(), PublishError>) {
        match self {
            Holder::Sole(receipt) => receipt.into_inner()(result.map(|()| Outcome::Accepted)),
            Holder::Fanout(fanout) => fanout.settle(result),
        }
    }
}

impl Fanout {
    fn settle(&self, result: Result<(), PublishError>) {
        if let Err(error) = result {
            self.state.lock().error.get_or_insert(error);
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let (receipt, error) = {
            let mut state = self.state.lock();
            (state.receipt.take(), state.error.take())
        };
        if let Some(receipt) = receipt {
            receipt(error.map_or(Ok(Outcome::Accepted), Err));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn receipt() -> (Option<Receipt>, mpsc::Receiver<Result<Outcome, PublishError>>) {
        let (tx, rx) = mpsc::channel();
        (Some(Box::new(move |fate| drop(tx.send(fate)))), rx)
    }

    #[test]
    fn a_receipt_waits_for_the_last_record_and_tells_the_first_failure() {
        let (receipt, told) = receipt();
        let mut shares = Share::split(receipt, 3);
        shares.next().unwrap().settle(Ok(()));
        shares.next().unwrap().settle(Err(PublishError::Timeout));
        let last = shares.next().unwrap();
        assert!(told.try_recv().is_err());
        last.settle(Err(PublishError::BufferFull));
        assert_eq!(told.try_recv(), Ok(Err(PublishError::Timeout)));
        assert!(told.recv().is_err(), "told once");
    }

    #[test]
    fn a_record_that_is_forgotten_counts_as_failed() {
        let (receipt, told) = receipt();
        drop(Share::split(receipt, 1).next());
        assert_eq!(told.recv(), Ok(Err(PublishError::Stopped)));
    }

    #[test]
    fn a_message_is_accepted_when_all_its_records_are() {
        let (receipt, told) = receipt();
        Share::split(receipt, 2).for_each(|share| share.settle(Ok(())));
        assert_eq!(told.recv(), Ok(Ok(Outcome::Accepted)));
    }
}
