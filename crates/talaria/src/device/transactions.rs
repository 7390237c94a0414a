//! Requests to a device that wait for its answers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::SendError;

/// The waiting requests to one device by transaction_uuid. Without any it takes one pointer.
#[derive(Debug)]
pub(super) struct Transactions {
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Requests may be registered; none waits if there is no map.
    Open(Option<Box<Waiting>>),
    /// The session has ended.
    Closed,
}

type Waiting = HashMap<Box<str>, oneshot::Sender<Bytes>>;

/// A registered request. Dropping it removes the registration.
#[derive(Debug)]
pub(super) struct Pending<'a> {
    transactions: &'a Transactions,
    uuid: &'a str,
    answer: oneshot::Receiver<Bytes>,
}

impl Transactions {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::Open(None)) }
    }

    /// Registers a request, before it is sent.
    pub(super) fn register<'a>(&'a self, uuid: &'a str) -> Result<Pending<'a>, SendError> {
        if uuid.is_empty() {
            return Err(SendError::EmptyTransactionKey);
        }
        let mut state = self.state.lock();
        let State::Open(waiting) = &mut *state else {
            return Err(SendError::TransactionsClosed);
        };
        match waiting.get_or_insert_default().entry(uuid.into()) {
            Entry::Occupied(_) => Err(SendError::DuplicateTransaction),
            Entry::Vacant(place) => {
                let (sender, answer) = oneshot::channel();
                place.insert(sender);
                Ok(Pending { transactions: self, uuid, answer })
            }
        }
    }

    /// Whether a request waits for this transaction's answer.
    pub(super) fn is_waiting(&self, uuid: &str) -> bool {
        match &*self.state.lock() {
            State::Open(Some(waiting)) => waiting.contains_key(uuid),
            State::Open(None) | State::Closed => false,
        }
    }

    /// Passes an answer to the request that waits for it. Returns whether one does.
    pub(super) fn complete(&self, uuid: &str, answer: Bytes) -> bool {
        self.remove_if(uuid, |_| true).is_some_and(|sender| sender.send(answer).is_ok())
    }

    /// Fails every waiting request, and all later ones.
    pub(super) fn close(&self) {
        let closed = std::mem::replace(&mut *self.state.lock(), State::Closed);
        drop(closed);
    }

    fn remove_if(
        &self,
        uuid: &str,
        wanted: impl Fn(&oneshot::Sender<Bytes>) -> bool,
    ) -> Option<oneshot::Sender<Bytes>> {
        let mut state = self.state.lock();
        let State::Open(slot) = &mut *state else { return None };
        let waiting = slot.as_mut()?;
        if !waiting.get(uuid).is_some_and(wanted) {
            return None;
        }
        let sender = waiting.remove(uuid);
        if waiting.is_empty() {
            *slot = None;
        }
        sender
    }
}

impl Pending<'_> {
    /// Waits for the answer.
    pub(super) async fn answer(mut self, deadline: Instant) -> Result<Bytes, SendError> {
        match timeout_at(deadline, &mut self.answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(SendError::Closed),
            Err(_) => Err(SendError::Timeout),
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        // Once the answer has arrived, another request may have been registered with the same uuid. Its receiver is open.
        self.answer.close();
        self.transactions.remove_if(self.uuid, oneshot::Sender::is_closed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_goes_to_the_request_of_its_uuid() {
        let transactions = Transactions::new();
        let first = transactions.register("a").unwrap();
        let second = transactions.register("b").unwrap();
        assert!(transactions.complete("b", Bytes::from_static(b"for b")));
        assert!(!transactions.complete("b", Bytes::from_static(b"again")));
        assert_eq!(second.answer(soon()).await.unwrap(), "for b");
        assert_eq!(first.answer(soon()).await, Err(SendError::Timeout));
        assert!(!transactions.is_waiting("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_uuid_waits_once_and_must_not_be_empty() {
        let transactions = Transactions::new();
        let pending = transactions.register("a").unwrap();
        assert_eq!(transactions.register("a").unwrap_err(), SendError::DuplicateTransaction);
        assert_eq!(transactions.register("").unwrap_err(), SendError::EmptyTransactionKey);
        drop(pending);
        assert!(transactions.register("a").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_request_may_use_a_uuid_whose_answer_was_not_read() {
        let transactions = Transactions::new();
        let first = transactions.register("a").unwrap();
        transactions.complete("a", Bytes::new());
        let second = transactions.register("a").unwrap();
        drop(first);
        assert!(transactions.complete("a", Bytes::from_static(b"second's")));
        assert_eq!(second.answer(soon()).await.unwrap(), "second's");
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_ends_every_waiting_request() {
        let transactions = Transactions::new();
        let pending = transactions.register("a").unwrap();
        transactions.close();
        assert_eq!(pending.answer(soon()).await, Err(SendError::Closed));
        assert_eq!(transactions.register("b").unwrap_err(), SendError::TransactionsClosed);
    }
}
