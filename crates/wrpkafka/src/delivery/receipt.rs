//! A message's receipt, shared by the message's records.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::error::PublishError;
use crate::outcome::Outcome;

/// Called exactly once with the result of a whole message: `Ok` ([`Outcome::Accepted`]) when the brokers have
/// acknowledged every record of it, else the error of the record that failed first.
///
/// Called from one of the client's threads, or from the publishing thread when the result is known at once: it must be quick
/// and must not wait. No lock is held meanwhile, so it may publish messages itself.
pub type Receipt = Box<dyn FnOnce(Result<Outcome, PublishError>) + Send>;

/// A record's share of its message's receipt, and the trace that the message is recorded in. Dropping it unsettled reports a
/// failure: a result that is forgotten cannot look like a delivery.
#[derive(Default)]
pub(crate) struct ReceiptShare(
    /// Never locked: the client wants what it carries to be usable by several threads.
    Mutex<Share>,
);

/// Two variants, so that it takes no more than the receipt.
enum Share {
    /// Of a message that is not recorded.
    Receipt(Receipt),
    Other(Option<Box<Traced>>),
}

const _: () = assert!(size_of::<Share>() == size_of::<Receipt>());

struct Traced {
    trace: u128,
    receipt: Option<Receipt>,
}

impl Default for Share {
    fn default() -> Self {
        Self::Other(None)
    }
}

impl From<Option<Receipt>> for Share {
    fn from(receipt: Option<Receipt>) -> Self {
        receipt.map_or(Self::Other(None), Self::Receipt)
    }
}

impl Share {
    fn take_receipt(&mut self) -> Option<Receipt> {
        match self {
            Self::Other(None) => None,
            Self::Other(Some(traced)) => traced.receipt.take(),
            Self::Receipt(_) => match std::mem::take(self) {
                Self::Receipt(receipt) => Some(receipt),
                Self::Other(_) => None,
            },
        }
    }
}

impl std::fmt::Debug for ReceiptShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReceiptShare")
    }
}

/// The receipt of a message with several records.
struct Fanout {
    unsettled: AtomicUsize,
    state: Mutex<FanoutState>,
}

struct FanoutState {
    receipt: Option<Receipt>,
    /// The error of the record that failed first.
    error: Option<PublishError>,
}

impl ReceiptShare {
    /// The share of a message with one record.
    pub(crate) fn sole(receipt: Receipt) -> Self {
        Self(Mutex::new(Share::Receipt(receipt)))
    }

    /// The shares of a receipt for this many records.
    pub(crate) fn split(receipt: Option<Receipt>, records: usize) -> impl Iterator<Item = Self> {
        let (mut sole, fanout) = match receipt {
            Some(receipt) if records > 1 => {
                let state = Mutex::new(FanoutState { receipt: Some(receipt), error: None });
                (None, Some(Arc::new(Fanout { unsettled: AtomicUsize::new(records), state })))
            }
            receipt => (receipt, None),
        };
        (0..records).map(move |_| match fanout.clone() {
            None => Self(Mutex::new(sole.take().into())),
            Some(fanout) => {
                let receipt: Receipt = Box::new(move |result| fanout.settle(result.map(drop)));
                Self::sole(receipt)
            }
        })
    }

    /// The message is recorded in this trace.
    pub(super) fn set_trace(&mut self, trace: u128) {
        let share = self.0.get_mut();
        *share = Share::Other(Some(Box::new(Traced { trace, receipt: share.take_receipt() })));
    }

    /// The trace that the message is recorded in.
    pub(super) fn trace(&mut self) -> Option<u128> {
        match self.0.get_mut() {
            Share::Other(Some(traced)) => Some(traced.trace),
            Share::Other(None) | Share::Receipt(_) => None,
        }
    }

    pub(super) fn settle(mut self, result: Result<(), PublishError>) {
        if let Some(receipt) = self.0.get_mut().take_receipt() {
            receipt(result.map(|()| Outcome::Accepted));
        }
    }
}

impl Drop for ReceiptShare {
    fn drop(&mut self) {
        if let Some(receipt) = self.0.get_mut().take_receipt() {
            receipt(Err(PublishError::Stopped));
        }
    }
}

impl Fanout {
    fn settle(&self, result: Result<(), PublishError>) {
        if let Err(error) = result {
            self.state.lock().error.get_or_insert(error);
        }
        if self.unsettled.fetch_sub(1, Ordering::AcqRel) > 1 {
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
        (Some(Box::new(move |result| drop(tx.send(result)))), rx)
    }

    #[test]
    fn a_receipt_waits_for_the_last_record_and_reports_the_first_failure() {
        let (receipt, results) = receipt();
        let mut shares = ReceiptShare::split(receipt, 3);
        shares.next().unwrap().settle(Ok(()));
        shares.next().unwrap().settle(Err(PublishError::Timeout));
        let last = shares.next().unwrap();
        assert!(results.try_recv().is_err());
        last.settle(Err(PublishError::BufferFull));
        assert_eq!(results.try_recv(), Ok(Err(PublishError::Timeout)));
        assert!(results.recv().is_err(), "called once");
    }

    #[test]
    fn a_record_that_is_dropped_unsettled_counts_as_failed() {
        let (receipt, results) = receipt();
        drop(ReceiptShare::split(receipt, 1).next());
        assert_eq!(results.recv(), Ok(Err(PublishError::Stopped)));
    }

    #[test]
    fn a_share_with_a_trace_settles_as_one_without() {
        let (receipt, results) = receipt();
        let mut share = ReceiptShare::split(receipt, 1).next().unwrap();
        assert_eq!(share.trace(), None);
        share.set_trace(7);
        assert_eq!(share.trace(), Some(7));
        share.settle(Ok(()));
        assert_eq!(results.recv(), Ok(Ok(Outcome::Accepted)));
        assert!(results.recv().is_err(), "called once");
    }

    #[test]
    fn a_message_is_accepted_when_all_its_records_are() {
        let (receipt, results) = receipt();
        ReceiptShare::split(receipt, 2).for_each(|share| share.settle(Ok(())));
        assert_eq!(results.recv(), Ok(Ok(Outcome::Accepted)));
    }
}
